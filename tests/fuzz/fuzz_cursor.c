/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cursor: where does a reader begin by sidecar/http/start?
 *
 * The first byte: bit 0 whether there is a header, bit 1 whether there is a query, bit 2
 * `from=now`. The rest is the id, in the one that is there; in both, the query has another one.
 * Checked are:
 *   - an id that is taken is one that the sidecar takes, and the very bytes;
 *   - a cursor is the only text of its life and seq;
 *   - the header wins; a refusal can be answered.
 */
#include "fuzz_request.h"
#include "http/start.h"
#include "sponson.h"
#include "wire.h"

static void check_cursor(const struct start *start)
{
    static const struct spn_life none;
    char text[SPN_CURSOR_TEXT_SIZE];
    spn_cursor_format(&start->life, start->seq, text);
    CHECK(memcmp(&start->life, &none, sizeof(none)) != 0);
    CHECK(start->id.size == strlen(text) && memcmp(start->id.data, text, start->id.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t how = *input++;
    size--;
    char *text = copy_of(input, size);
    struct spn_bytes id = {text, size};
    struct spn_bytes none = {NULL, 0};
    struct query query = {.from = (how & 4) != 0 ? QUERY_FROM_NOW : 0};
    bool by_header = (how & 1) != 0 && size > 0;
    bool by_query = (how & 2) != 0;
    if (by_query) {
        query.after_key = "after";
        query.after = by_header ? (struct spn_bytes){"other", 5} : id;
    }
    struct start start;
    struct problem problem = {0};
    if (!start_choose(by_header ? id : none, &query, &start, &problem)) {
        check_problem(&problem);
        CHECK(problem.status == 400 && wire_check_id(id) == SPN_E_BAD_ID);
        free(text);
        return 0;
    }
    if (size == 0 || (!by_header && !by_query)) {
        CHECK(start.kind == ((how & 4) != 0 ? START_NOW : START_EARLIEST) && start.id.size == 0);
    } else {
        bool is_absent =
            size == strlen(START_ABSENT_TEXT) && memcmp(text, START_ABSENT_TEXT, size) == 0;
        CHECK(is_absent ? start.kind == START_ABSENT
                        : start.kind == START_ID || start.kind == START_CURSOR);
        CHECK(wire_check_id(id) == SPN_OK);
        CHECK(start.id.data == text && start.id.size == size);
    }
    if (start.kind == START_CURSOR)
        check_cursor(&start);
    free(text);
    return 0;
}
