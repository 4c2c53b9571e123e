/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_headers: what is made of the values of headers by sidecar/http/accept and origin?
 *
 * The input is one value. Checked are:
 *   - only what is offered is chosen, and adding an element that accepts all finds something;
 *   - a type with a body that is JSON or events is of those names, in any case;
 *   - no origin but a listed one, byte by byte, is let in, and none is reflected.
 */
#include "fuzz_request.h"
#include "http/accept.h"
#include "http/origin.h"

static const char *const origins[] = {"https://app.example", "http://localhost:3000"};
static const char *const hosts[] = {"gate.example", "other.example:8080"};
static const struct origin_rules rules = {
    .origins = origins,
    .origin_count = 2,
    .hosts = hosts,
    .host_count = 2,
    .listen = "127.0.0.1",
};

static void check_accept(struct spn_bytes value)
{
    static const char all[] = ", */*;q=0.001";
    struct problem problem = {0};
    enum accept_media media = ACCEPT_MEDIAS;
    for (unsigned offered = 1; offered < 1u << ACCEPT_MEDIAS; offered++) {
        if (accept_choose(value, offered, &media, &problem)) {
            CHECK((offered & ACCEPT_BIT(media)) != 0);
            continue;
        }
        check_problem(&problem);
        CHECK(problem.status == 406);
    }
    enum accept_body body;
    if (!accept_body(value, &body, &problem)) {
        check_problem(&problem);
        CHECK(problem.status == 415);
    }
    /* Unless a quote is open, or each of ours is refused by name, this accepts something. */
    if (value.data && (memchr(value.data, '"', value.size) || memchr(value.data, '0', value.size)))
        return;
    char *text = malloc(value.size + sizeof(all));
    CHECK(text != NULL);
    if (value.data)
        memcpy(text, value.data, value.size);
    memcpy(text + value.size, all, sizeof(all) - 1);
    CHECK(
        accept_choose((struct spn_bytes){text, value.size + sizeof(all) - 1}, 1, &media, &problem));
    free(text);
}

static bool is_listed(struct spn_bytes value)
{
    for (size_t i = 0; value.data && i < 2; i++)
        if (memmem(value.data, value.size, origins[i], strlen(origins[i])))
            return true;
    return false;
}

static void check_origin(struct spn_bytes value)
{
    struct problem problem = {0};
    struct origin_header headers[ORIGIN_HEADERS_MAX];
    struct origin_request request = {
        .method = {"GET", 3},
        .host = {"localhost", 9},
        .origin = value,
    };
    bool good = origin_check(&rules, &request, &problem);
    if (!good)
        check_problem(&problem);
    CHECK(!good || value.size == 0 || is_listed(value));
    size_t count = origin_headers(&rules, value, true, headers);
    CHECK(count >= 1 && count <= ORIGIN_HEADERS_MAX && (count == 1 || is_listed(value)));
    request.origin = (struct spn_bytes){NULL, 0};
    request.host = value;
    if (!origin_check(&rules, &request, &problem)) {
        check_problem(&problem);
        CHECK(problem.status == 421);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    char *text = copy_of(input, size);
    struct spn_bytes value = {size > 0 ? text : NULL, size};
    check_accept(value);
    check_origin(value);
    free(text);
    return 0;
}
