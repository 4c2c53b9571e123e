/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_query: what may come out of sidecar/http/query?
 *
 * The input is the query. Checked are:
 *   - what is lent lies in the text, and choices and numbers are in their bounds;
 *   - `after` with every byte escaped is the same value;
 *   - without its last pair it is taken too: no pair makes another one good;
 *   - a refusal can be answered, and holds no token.
 */
#include "fuzz_request.h"
#include "http/query.h"

static void check_inside(struct spn_bytes bytes, const char *text, size_t size)
{
    const char *from = bytes.data;
    CHECK(bytes.size == 0 || (from >= text && from + bytes.size <= text + size));
}

static void check_escaped(struct spn_bytes after)
{
    static const char key[] = "starting_after=";
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *bytes = after.data;
    char *text = malloc(sizeof(key) + 3 * after.size);
    CHECK(text != NULL);
    size_t size = sizeof(key) - 1;
    memcpy(text, key, size);
    for (size_t i = 0; i < after.size; i++) {
        text[size++] = '%';
        text[size++] = digits[bytes[i] >> 4];
        text[size++] = digits[bytes[i] & 15];
    }
    struct query query;
    struct problem problem;
    CHECK(query_parse(text, size, &query, &problem));
    CHECK(query.after_key && query.after.size == after.size);
    CHECK(after.size == 0 || memcmp(query.after.data, bytes, after.size) == 0);
    free(text);
}

static void check_shorter(const uint8_t *input, size_t size)
{
    while (size > 0 && input[size - 1] != '&')
        size--;
    if (size == 0)
        return;
    char *text = copy_of(input, size - 1);
    struct query query;
    struct problem problem;
    CHECK(query_parse(text, size - 1, &query, &problem));
    free(text);
}

/* The value of a token, whatever else is wrong, is in no detail. */
static void check_secret(const uint8_t *input, size_t size)
{
    static const char pairs[] = "token=s3cr3t-t0k3n%&token=s3cr3t-t0k3n&";
    char *text = malloc(sizeof(pairs) + size);
    CHECK(text != NULL);
    memcpy(text, pairs, sizeof(pairs) - 1);
    if (size > 0)
        memcpy(text + sizeof(pairs) - 1, input, size);
    struct query query;
    struct problem problem;
    CHECK(!query_parse(text, sizeof(pairs) - 1 + size, &query, &problem));
    CHECK(strstr(problem.detail, "s3cr3t") == NULL);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    char *text = copy_of(input, size);
    struct query query;
    struct problem problem = {0};
    check_secret(input, size);
    if (!query_parse(text, size, &query, &problem)) {
        check_problem(&problem);
        CHECK(problem.status == 400);
        free(text);
        return 0;
    }
    check_inside(query.after, text, size);
    check_inside(query.prefix, text, size);
    check_inside(query.token, text, size);
    CHECK(query.limit <= QUERY_LIMIT_MAX && query.prefix.size <= QUERY_PREFIX_MAX);
    CHECK(text_is_utf8(query.prefix));
    CHECK(query.from <= QUERY_FROM_NOW && query.wait <= QUERY_YES && query.touch <= QUERY_BARE);
    CHECK(query.ack <= QUERY_ACK_NONE && query.until <= QUERY_UNTIL_CAUGHT_UP);
    if (query.after_key)
        check_escaped(query.after);
    check_shorter(input, size);
    free(text);
    return 0;
}
