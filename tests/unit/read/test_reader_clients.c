/* SPDX-License-Identifier: Apache-2.0 */
/* test_reader_clients: the pages of CLIENTS: each connection comes once, and no page has more rows
 * or looks at more subscriptions than it may. The connections are made up. */
#include "check.h"

#include <string.h>

#include "read/reader_base.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ROWS_MAX = 32, LOOKS_MAX = 16384, MADE_MAX = 100, FIRST_FD = 10, ASKED_FOR = 256 };

static uint32_t made[MADE_MAX]; /* the subscriptions of each; connection i has descriptor 10 + i */
static size_t made_count;
static struct outbox_peer peers[MADE_MAX];
static struct user user = {.uid = 1000};
static size_t looked; /* for this page */

/* One of others is in front of each. */
struct roster_page __wrap_roster_page(const struct connections *connections, int after,
                                      const struct roster_view *view, struct roster_row *rows,
                                      size_t count_max);
struct roster_page __wrap_roster_page(const struct connections *connections, int after,
                                      const struct roster_view *view, struct roster_row *rows,
                                      size_t count_max)
{
    struct roster_page page = {0};
    (void)connections;
    assert_int_equal(view->uid, user.uid);
    for (size_t i = after < FIRST_FD ? 0 : (size_t)(after - FIRST_FD + 1); i < made_count; i++) {
        if (page.count == count_max) {
            page.next = FIRST_FD + (int)i - 1;
            break;
        }
        page.hidden++;
        rows[page.count++] = (struct roster_row){
            .fd = FIRST_FD + (int)i, .uid = user.uid, .socket = WIRE_READ, .hidden = page.hidden};
    }
    return page;
}

/* In another order than that of the descriptors. */
struct outbox_peer *__wrap_outbox_next(const struct outbox *outbox,
                                       const struct outbox_peer *after);
struct outbox_peer *__wrap_outbox_next(const struct outbox *outbox, const struct outbox_peer *after)
{
    size_t at = after ? (size_t)(after - peers) : made_count;
    (void)outbox;
    return at > 0 ? &peers[at - 1] : NULL;
}

size_t __wrap_outbox_held(const struct outbox *outbox, const struct outbox_peer *peer);
size_t __wrap_outbox_held(const struct outbox *outbox, const struct outbox_peer *peer)
{
    (void)outbox;
    return (size_t)(peer - peers) + 1;
}

uint32_t __wrap_subscriptions_of_peer(const struct outbox_peer *peer);
uint32_t __wrap_subscriptions_of_peer(const struct outbox_peer *peer)
{
    return made[peer - peers];
}

struct subscriptions_lag __wrap_subscriptions_lag_of(const struct subscriptions *subscriptions,
                                                     const struct outbox_peer *peer, size_t *looks);
struct subscriptions_lag __wrap_subscriptions_lag_of(const struct subscriptions *subscriptions,
                                                     const struct outbox_peer *peer, size_t *looks)
{
    uint32_t has = made[peer - peers];
    size_t seen = has < *looks ? has : *looks;
    (void)subscriptions;
    *looks -= seen;
    looked += seen;
    return (struct subscriptions_lag){.behind = (uint32_t)seen, .most = seen};
}

bool __wrap_reader_has_room(struct reader *reader, struct caller caller, size_t size);
bool __wrap_reader_has_room(struct reader *reader, struct caller caller, size_t size)
{
    (void)reader;
    (void)caller;
    return size > 0;
}

static struct wire_clients_are head;
static struct wire_client rows[ASKED_FOR];

void __wrap_reader_send_bytes(struct reader *reader, struct caller caller,
                              const struct wire_out *out);
void __wrap_reader_send_bytes(struct reader *reader, struct caller caller,
                              const struct wire_out *out)
{
    struct wire_header header;
    struct wire_in in = wire_in(out->start, wire_out_size(out));
    (void)reader;
    (void)caller;
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    wire_get_clients_are(&in, &head);
    for (uint32_t i = 0; i < head.count; i++)
        wire_get_client(&in, &rows[i]);
    assert_true(wire_in_done(&in));
}

static void ask(uint32_t after)
{
    static struct connections connections;
    struct reader reader = {.options.connections = &connections};
    struct outbox_peer caller = {.user = &user};
    uint8_t bytes[16];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_clients(&out, &(struct wire_clients){.after = after, .count_max = ASKED_FOR});
    looked = 0;
    assert_int_equal(reader_request_clients(&reader, (struct caller){.peer = &caller},
                                            wire_in(bytes, wire_out_size(&out))),
                     SPN_OK);
    assert_true(reader.listed);
}

static const struct page_row {
    const char *name;
    uint32_t subscriptions[6]; /* again and again */
    size_t connections;
    size_t pages;
} page_rows[] = {
    {"nobody", {0}, 0, 1},
    {"who only asks", {0}, 70, 3},
    {"a page that is just full", {LOOKS_MAX / 2}, 4, 2},
    {"and one more", {LOOKS_MAX / 2, LOOKS_MAX / 2, 1}, 3, 2},
    {"a large one at last", {1, 1, 1, 1, 1, 1000000}, 6, 2},
    {"a large one at first", {1000000, 1, 1, 1, 1, 1}, 6, 2},
    {"large ones", {1000000}, 100, 100},
};

static void pages_are_bounded(void **state)
{
    const struct page_row *row = *state;
    size_t count = 0, pages = 0;
    uint64_t hidden = 0;
    made_count = row->connections;
    size_t period = COUNT(row->subscriptions);
    while (period > 1 && row->subscriptions[period - 1] == 0)
        period--;
    for (size_t i = 0; i < made_count; i++) {
        made[i] = row->subscriptions[i % period];
        peers[i] = (struct outbox_peer){.user = &user, .fd = FIRST_FD + (int)i};
    }
    head.next = 0;
    do {
        ask(head.next);
        pages++;
        hidden += head.hidden;
        assert_true(head.count <= ROWS_MAX);
        assert_true(looked <= LOOKS_MAX);
        for (uint32_t i = 0; i < head.count; i++, count++) {
            assert_int_equal(rows[i].number, FIRST_FD + count);
            assert_int_equal(rows[i].subscriptions, made[count]);
            assert_int_equal(rows[i].waiting, count + 1);
            assert_int_equal(rows[i].behind, made[count] < LOOKS_MAX ? made[count] : LOOKS_MAX);
        }
    } while (head.next != 0);
    assert_int_equal(count, made_count);
    assert_int_equal(hidden, made_count);
    assert_int_equal(pages, row->pages);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(page_rows)];
    for (size_t i = 0; i < COUNT(page_rows); i++)
        tests[i] = (struct CMUnitTest){.name = page_rows[i].name,
                                       .test_func = pages_are_bounded,
                                       .initial_state = (void *)(uintptr_t)&page_rows[i]};
    return cmocka_run_group_tests_name("reader_clients", tests, NULL, NULL);
}
