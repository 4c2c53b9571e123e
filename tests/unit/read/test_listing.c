/* SPDX-License-Identifier: Apache-2.0 */
/* test_listing: pages of sessions, whatever of them is on disk, frozen or only in the log.
 *
 * The model is the plain list of sessions that live, sorted. Sessions are opened, deleted and
 * written between the pages of a walk; a name that was there all the time comes once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "read/listing.h"
#include "log_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SESSIONS = 3000, WINDOW = 16, TURNS_MAX = 1000 };

static struct rig rig;
static struct journal_reader *reader;
static struct listing listing;
static uint64_t now_ns;
static size_t reads;
static bool listed[SESSIONS];
static size_t left_out;            /* names, because of their damaged size */
static struct spn_bytes stretched; /* this name's size is damaged; empty: none is */

static uint64_t fake_monotonic_ns(void)
{
    return now_ns;
}

static const struct clock fake_clock = {.monotonic_ns = fake_monotonic_ns};

spn_err __real_journal_read_entry(struct journal_reader *from, uint64_t position,
                                  struct record_entry *ret_entry);
spn_err __wrap_journal_read_entry(struct journal_reader *from, uint64_t position,
                                  struct record_entry *ret_entry);
spn_err __wrap_journal_read_entry(struct journal_reader *from, uint64_t position,
                                  struct record_entry *ret_entry)
{
    reads++;
    return __real_journal_read_entry(from, position, ret_entry);
}

spn_err __real_journal_read_name_after(struct journal_reader *from, struct spn_bytes after,
                                       struct spn_bytes *ret_name, uint64_t *ret_epoch);
spn_err __wrap_journal_read_name_after(struct journal_reader *from, struct spn_bytes after,
                                       struct spn_bytes *ret_name, uint64_t *ret_epoch);

/* One changed byte makes a name of 20 bytes one of 276, with what lies after it. */
spn_err __wrap_journal_read_name_after(struct journal_reader *from, struct spn_bytes after,
                                       struct spn_bytes *ret_name, uint64_t *ret_epoch)
{
    static uint8_t longer[WIRE_SESSION_MAX + 21];
    spn_err err = __real_journal_read_name_after(from, after, ret_name, ret_epoch);
    if (err != SPN_OK || stretched.size == 0 || ret_name->size != stretched.size ||
        memcmp(ret_name->data, stretched.data, stretched.size) != 0)
        return err;
    memset(longer, 0, sizeof(longer));
    memcpy(longer, ret_name->data, ret_name->size);
    *ret_name = (struct spn_bytes){longer, sizeof(longer)};
    return SPN_E_CORRUPT;
}

static int setup(void **state)
{
    (void)state;
    rig_init(&rig, SESSIONS, WINDOW);
    listing_init(&listing, &fake_clock);
    stretched = (struct spn_bytes){NULL, 0};
    left_out = 0;
    return journal_reader_open(&reader, rig.journal) == SPN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    listing_release(&listing);
    journal_reader_close(reader);
    rig_release(&rig);
    return 0;
}

/* -- a page ------------------------------------------------------------------------------------ */

static uint32_t session_of(struct spn_bytes name)
{
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (rig_name(&rig, i).size == name.size &&
            memcmp(rig_name(&rig, i).data, name.data, name.size) == 0)
            return i;
    fail_msg("a name that is no session's");
    return 0;
}

static void fill_generations(struct generations_question *question)
{
    struct generation *const both[] = {rig.frozen, rig.active};
    for (size_t i = 0; i < COUNT(both); i++)
        if (both[i])
            question->view.parts[i] = (struct view_part){.generation = generation_keep(both[i]),
                                                         .session_count = both[i]->session_count};
}

static struct generations_question *ask_for(struct spn_bytes after, struct spn_bytes prefix,
                                            uint32_t count_max)
{
    uint8_t bytes[600];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct generations_question *question =
        generations_question_new(&(struct asker){.type = WIRE_SESSIONS});
    assert_non_null(question);
    wire_put_header(&out, WIRE_SESSIONS, 7);
    wire_put_sessions(
        &out, &(struct wire_sessions){.count_max = count_max, .after = after, .prefix = prefix});
    assert_false(out.bad);
    assert_int_equal(zmq_msg_init_size(&question->frame, wire_out_size(&out)), 0);
    memcpy(zmq_msg_data(&question->frame), bytes, wire_out_size(&out));
    return question;
}

/* The broker's two turns; takes the question over. */
static struct session_question *page_of(struct generations_question *question)
{
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        struct session_question *page;
        struct generations_question *again = NULL;
        size_t found = 0;
        fill_generations(question);
        assert_int_equal(journal_reader_begin(reader), SPN_OK);
        spn_err err = listing_page(&listing, reader, question, &page, &found);
        left_out += found;
        journal_reader_end(reader);
        if (err == SPN_E_END)
            err = listing_come_again(question, &again);
        generations_question_free(question);
        assert_int_equal(err, SPN_OK);
        if (!again)
            return page;
        question = again;
    }
    fail_msg("no end of turns");
    return NULL;
}

struct got {
    bool more;
    size_t count;
    char last[RIG_TEXT_MAX];
};

static struct got take_rows(const uint8_t *bytes, size_t size)
{
    struct wire_in in = wire_in(bytes, size);
    struct wire_header header;
    struct wire_sessions_are head;
    struct got got = {0};
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    wire_get_sessions_are(&in, &head);
    for (uint32_t i = 0; i < head.count; i++) {
        struct wire_session_row row;
        wire_get_session_row(&in, &row);
        assert_false(in.bad);
        uint32_t session = session_of(row.name);
        assert_false(listed[session]);
        listed[session] = true;
        assert_int_equal(row.epoch, rig.sessions[session].epoch);
        assert_true(opened_names_compare(row.name, rig_text(got.last)) > 0 || got.count == 0);
        memcpy(got.last, row.name.data, row.name.size);
        got.last[row.name.size] = '\0';
        got.count++;
    }
    assert_true(wire_in_done(&in));
    got.more = head.more;
    return got;
}

/* The rows of a page, or a question for what comes after it when they were all gone. */
static struct generations_question *take_page(struct session_question *page, struct got *ret_got)
{
    struct outgoing *outgoing;
    size_t size;
    size_t damaged;
    struct generations_question *further = NULL;
    for (size_t i = 0; i < page->count; i++)
        rig_view(&rig, session_of(page->sessions[i].name), &page->sessions[i].view);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    spn_err err = listing_rows(reader, page, &outgoing, &size, &damaged);
    assert_int_equal(damaged, 0);
    if (err == SPN_E_END) {
        assert_int_equal(listing_go_on(page, &further), SPN_OK);
    } else {
        assert_int_equal(err, SPN_OK);
        *ret_got = take_rows(outgoing->bytes, size);
        outgoing_free(outgoing);
    }
    session_question_free(page);
    journal_reader_end(reader);
    return further;
}

/* One page of rows, after those that are gone were passed. */
static struct got get_page(const char *after, const char *prefix, uint32_t count_max)
{
    struct got got = {0};
    struct generations_question *question = ask_for(rig_text(after), rig_text(prefix), count_max);
    for (int turn = 0; question && turn < TURNS_MAX; turn++)
        question = take_page(page_of(question), &got);
    assert_null(question);
    return got;
}

/* -- walks ------------------------------------------------------------------------------------- */

static uint32_t draw(uint32_t *random, uint32_t below)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random % below;
}

static void write_frozen(void)
{
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
}

/* What happens to a few sessions; those are marked. */
static void disturb(uint32_t *random, bool *touched)
{
    for (uint32_t i = draw(random, 20); i > 0; i--) {
        uint32_t session = draw(random, SESSIONS);
        touched[session] = true;
        if (rig.sessions[session].epoch != 0 && draw(random, 2) == 0)
            rig_end(&rig, session, RECORD_DELETE);
        else
            rig_event(&rig, session, NULL, NULL);
    }
    rig_commit(&rig);
    if (draw(random, 8) == 0 && !rig.frozen)
        rig_freeze(&rig);
    else if (draw(random, 8) == 0 && rig.frozen)
        write_frozen();
}

static void walks_list_each_session_once(void **state)
{
    (void)state;
    uint32_t random = 88172645u;
    for (uint32_t i = 0; i < SESSIONS / 2; i++)
        rig_event(&rig, draw(&random, SESSIONS), NULL, NULL);
    rig_commit(&rig);
    for (int walk = 0; walk < 12; walk++) {
        static bool touched[SESSIONS];
        static bool before[SESSIONS];
        memset(touched, 0, sizeof(touched));
        memset(listed, 0, sizeof(listed));
        for (uint32_t i = 0; i < SESSIONS; i++)
            before[i] = rig.sessions[i].epoch != 0;
        struct got got = {.more = true};
        size_t pages = 0;
        for (; got.more; pages++) {
            got = get_page(got.last, "", 1 + draw(&random, LISTING_PAGE_MAX + 20));
            disturb(&random, touched);
        }
        for (uint32_t i = 0; i < SESSIONS; i++)
            if (!touched[i] && listed[i] != before[i])
                fail_msg("walk %d, %zu pages: session %u is %slisted", walk, pages, i,
                         listed[i] ? "" : "not ");
        if (walk % 3 == 2)
            now_ns += UINT64_C(5000000000);
        (void)listing_tick(&listing);
    }
}

static void prefixes(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        rig_event(&rig, i, NULL, NULL);
        if (i == SESSIONS / 3)
            rig_freeze(&rig);
        if (i == SESSIONS / 2)
            write_frozen();
    }
    rig_commit(&rig);
    for (int round = 0; round < 50; round++) {
        struct spn_bytes name = rig_name(&rig, draw(&random, SESSIONS));
        char prefix[RIG_TEXT_MAX] = "";
        memcpy(prefix, name.data, 1 + draw(&random, (uint32_t)name.size));
        memset(listed, 0, sizeof(listed));
        for (struct got got = {.more = true}; got.more;)
            got = get_page(got.last, prefix, 100);
        for (uint32_t i = 0; i < SESSIONS; i++) {
            struct spn_bytes one = rig_name(&rig, i);
            bool has = one.size >= strlen(prefix) && memcmp(one.data, prefix, strlen(prefix)) == 0;
            assert_int_equal(listed[i], has);
        }
    }
}

/* Pages of a list cost what they list, not each what all sessions cost. */
static void pages_do_not_read_a_generation_again(void **state)
{
    (void)state;
    size_t pages = 0;
    size_t all = 0;
    for (uint32_t i = 0; i < SESSIONS; i++)
        rig_event(&rig, i, NULL, NULL);
    rig_commit(&rig);
    char after[RIG_TEXT_MAX] = "";
    for (bool more = true; more; pages++) {
        reads = 0;
        struct session_question *page = page_of(ask_for(rig_text(after), rig_text(""), 50));
        all += reads;
        more = page->more;
        struct spn_bytes last = page->sessions[page->count - 1].name;
        memcpy(after, last.data, last.size);
        after[last.size] = '\0';
        session_question_free(page);
    }
    print_message("%zu pages, %zu entries read\n", pages, all);
    assert_int_equal(pages, SESSIONS / 50);
    assert_int_equal(all, SESSIONS);
    assert_true(listing_tick(&listing) > 0);
    now_ns += UINT64_C(2000000000);
    assert_int_equal(listing_tick(&listing), -1);
    assert_null(listing.opened[0].generation);
    assert_null(listing.opened[1].generation);
}

/* Every other session is listed, and the damage is counted. */
static void a_name_that_is_too_long_is_left_out(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SESSIONS; i++)
        rig_event(&rig, i, NULL, NULL);
    rig_commit(&rig);
    rig_freeze(&rig);
    write_frozen();
    stretched = rig_name(&rig, 1234);
    memset(listed, 0, sizeof(listed));
    for (struct got got = {.more = true}; got.more;)
        got = get_page(got.last, "", 100);
    for (uint32_t i = 0; i < SESSIONS; i++)
        assert_int_equal(listed[i], i != 1234);
    assert_int_equal(left_out, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(walks_list_each_session_once, setup, teardown),
        cmocka_unit_test_setup_teardown(prefixes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_too_long_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_do_not_read_a_generation_again, setup, teardown),
    };
    return cmocka_run_group_tests_name("listing", tests, NULL, NULL);
}
