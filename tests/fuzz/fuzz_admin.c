/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_admin: the id that the stream of all sessions begins after, and the cookie of the page.
 *
 * The first byte chooses which of them the rest is. A place that is read is written back as it
 * came: each place has one text. The cookie is found only where it is whole and has its name. */
#include "fuzz_request.h"

#include <assert.h>

#include "http/admin_key.h"
#include "http/events_text.h"

static void check_place(const char *text, size_t size)
{
    struct events_place place;
    char again[EVENTS_PLACE_SIZE];
    if (!events_place_parse((struct spn_bytes){text, size}, &place))
        return;
    events_place_format(&place, again);
    struct events_place reread;
    CHECK(events_place_parse((struct spn_bytes){again, strlen(again)}, &reread));
    CHECK(reread.position == place.position);
    CHECK(memcmp(reread.database, place.database, sizeof(place.database)) == 0);
}

/* Whether these bytes are somewhere in it. */
static bool has(const char *text, size_t size, const char *part)
{
    size_t length = strlen(part);
    for (size_t i = 0; i + length <= size; i++)
        if (memcmp(text + i, part, length) == 0)
            return true;
    return false;
}

static void check_cookie(const char *text, size_t size)
{
    static const char cookie[] = "0123456789abcdef0123456789abcdef0123456789abcdef";
    struct admin_key known = {.token = ""};
    static_assert(sizeof(cookie) == sizeof(known.cookie), "as long as a real one");
    memcpy(known.cookie, cookie, sizeof(cookie));
    bool is_in = admin_key_is_in(&known, (struct spn_bytes){text, size});
    CHECK(!is_in || (has(text, size, ADMIN_KEY_COOKIE) && has(text, size, cookie)));
    memset(known.cookie, 0, sizeof(known.cookie));
    CHECK(!admin_key_is_in(&known, (struct spn_bytes){text, size}));
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size == 0)
        return 0;
    char *text = copy_of(input + 1, size - 1);
    if (input[0] % 2 == 0)
        check_place(text, size - 1);
    else
        check_cookie(text, size - 1);
    free(text);
    return 0;
}
