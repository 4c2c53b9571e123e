/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_target: what may come out of sidecar/http/target?
 *
 * The input is a target. Checked are:
 *   - a name that is taken is one that the sidecar takes too, without empty, `.` and `..` parts;
 *   - the name with every byte escaped is the same name: it is decoded exactly once;
 *   - what is lent lies in the text; a refusal can be answered;
 *   - what the access log has of it is printable, and neither a query nor a token.
 */
#include "fuzz_request.h"
#include "http/access_log.h"
#include "http/target.h"
#include "wire.h"

static void check_inside(struct spn_bytes bytes, const char *text, size_t size)
{
    const char *from = bytes.data;
    CHECK(bytes.size == 0 || (from >= text && from + bytes.size <= text + size));
}

static void check_parts(struct spn_bytes name)
{
    char path[TARGET_NAME_MAX + 3];
    path[0] = '/';
    memcpy(path + 1, name.data, name.size);
    path[1 + name.size] = '/';
    path[2 + name.size] = '\0';
    CHECK(strlen(path) == name.size + 2);
    CHECK(strstr(path, "//") == NULL && strstr(path, "/./") == NULL);
    CHECK(strstr(path, "/../") == NULL);
}

static void check_escaped(const struct target *target)
{
    static const char digits[] = "0123456789abcdef";
    const char *prefix = target->route == TARGET_SESSION ? "/v1/sessions/" : "/v1/stream/";
    const unsigned char *name = target->name.data;
    char text[32 + 3 * TARGET_NAME_MAX];
    size_t size = 0;
    for (; prefix[size] != '\0'; size++)
        text[size] = prefix[size];
    for (size_t i = 0; i < target->name.size; i++) {
        text[size++] = '%';
        text[size++] = digits[name[i] >> 4];
        text[size++] = digits[name[i] & 15];
    }
    struct target again;
    struct problem problem;
    CHECK(target_parse(text, size, &again, &problem));
    CHECK(again.route == target->route && again.name.size == target->name.size);
    CHECK(memcmp(again.name.data, name, target->name.size) == 0);
}

static void check_logged(const char *target)
{
    char path[ACCESS_LOG_PATH_SIZE];
    CHECK(access_log_path(target, path) == path && strlen(path) < sizeof(path));
    CHECK(path[0] == '\0' || path[0] == '/');
    CHECK(strpbrk(path, "?# ") == NULL && strcasestr(path, "token=") == NULL &&
          strcasestr(path, "token%3d") == NULL);
    for (const char *at = path; *at != '\0'; at++)
        CHECK(*at > ' ' && *at < 0x7F);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    char *text = copy_of(input, size);
    struct target target;
    struct problem problem = {0};
    char *logged = strndup((const char *)input, size);
    CHECK(logged != NULL);
    check_logged(logged);
    free(logged);
    if (!target_parse(text, size, &target, &problem)) {
        check_problem(&problem);
        CHECK(problem.status == 400);
        free(text);
        return 0;
    }
    CHECK(problem.status == 0);
    CHECK(target.route <= TARGET_PAGE);
    check_inside(target.authority, text, size);
    check_inside(target.name, text, size);
    CHECK((target.name.size > 0) ==
          (target.route == TARGET_SESSION || target.route == TARGET_STREAM));
    if (target.name.size > 0) {
        CHECK(wire_check_session(target.name) == SPN_OK);
        check_parts(target.name);
        check_escaped(&target);
    }
    free(text);
    return 0;
}
