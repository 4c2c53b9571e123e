/* SPDX-License-Identifier: Apache-2.0 */
/* test_one_shots: what becomes of a PUBLISH, and when it is answered.
 *
 * The worker and the reader are played by the test: what is handed over is committed when a row
 * says so, and the reader finds what it is told to find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALLOCATIONS_CALLOC
#include "allocations.h"
#include "ingest/broker_base.h"
#include "mail/mail.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    FIRST_POSITION = 1001,
    DATA_MAX = 100,
    FOUND_SEQ = 41, /* what the reader finds */
    FOUND_POSITION = 4141,
    SOME_UID = 1000,
    COLD_EPOCH = 7,
    TRIES_MAX = 30,
};

static uint64_t fake_ns(void)
{
    return 1;
}

static spn_err fake_random(void *bytes, size_t size)
{
    static uint8_t drawn;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = drawn++; /* lives differ */
    return SPN_OK;
}

static const struct clock fake_clock = {
    .monotonic_ns = fake_ns, .boot_ns = fake_ns, .wall_ms = fake_ns};
static const uint8_t secret[RECORD_SECRET_SIZE] = "a secret of the test";
static const struct peer one_peer = {.size = 1, .bytes = {7}};
static struct commit_state commits;
static struct metrics metrics;
static struct mailbox reader, worker;
static struct broker_state state;
static struct broker broker;
static struct broker_options options = {.clock = &fake_clock,
                                        .metrics = &metrics,
                                        .random = fake_random,
                                        .commits = &commits,
                                        .reader = &reader,
                                        .secret = secret,
                                        .data_max = DATA_MAX,
                                        .queue_events_max = 1000000,
                                        .queue_bytes_max = 64 << 20,
                                        .generation_bytes_max = 1 << 30};

static struct {
    unsigned count;
    struct wire_header header;
    struct wire_error error;
    struct wire_published answer;
    char id[16];
} sent;

spn_err __wrap_router_send(struct router *router, const struct peer *peer, const void *bytes,
                           size_t size);

spn_err __wrap_router_send(struct router *router, const struct peer *peer, const void *bytes,
                           size_t size)
{
    struct wire_in in = wire_in(bytes, size);
    (void)router;
    assert_int_equal(peer->bytes[0], one_peer.bytes[0]);
    sent.count++;
    sent.error = (struct wire_error){0};
    assert_int_equal(wire_get_header(&in, &sent.header), SPN_OK);
    if (sent.header.type == WIRE_ERROR) {
        wire_get_error(&in, &sent.error);
    } else {
        assert_int_equal(sent.header.type, WIRE_PUBLISHED);
        wire_get_published(&in, &sent.answer);
        snprintf(sent.id, sizeof(sent.id), "%.*s", (int)sent.answer.id.size,
                 (const char *)sent.answer.id.data);
    }
    assert_true(wire_in_done(&in));
    return SPN_OK;
}

static int setup(void **unused)
{
    (void)unused;
    allocations_left = UINT32_MAX;
    memset(&sent, 0, sizeof(sent));
    memset(&metrics, 0, sizeof(metrics));
    state = (struct broker_state){.active = generation_new(1), .next_position = FIRST_POSITION};
    broker = (struct broker){.options = &options, .state = &state, .takes = TAKES_ALL};
    atomic_store(&commits.durable, FIRST_POSITION - 1);
    if (mailbox_init(&reader) != SPN_OK || mailbox_init(&worker) != SPN_OK ||
        sessions_init(&state.sessions, 3, 16) != SPN_OK ||
        intake_init(&broker.intake, &options, &state) != SPN_OK)
        return -1;
    parking_init(&broker.parking, &broker.share, options.queue_bytes_max);
    publishing_limit(&broker.publishing, options.queue_bytes_max);
    freezing_init(&broker.freezing, &options, &state, &broker.handed_over);
    answers_init(&broker.answers, &broker.router, &fake_clock);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    allocations_left = UINT32_MAX;
    mailbox_put_chain(&worker, &broker.handed_over);
    mail_drop(&worker);
    answers_release(&broker.answers);
    intake_release(&broker.intake);
    generation_drop(state.active);
    sessions_release(&state.sessions);
    mail_drop(&reader);
    return 0;
}

/* -- what happens ------------------------------------------------------------------------------ */

static struct spn_bytes text(const char *string)
{
    return (struct spn_bytes){string, strlen(string)};
}

static spn_err take_as(uint32_t uid, const struct wire_publish *publish, size_t cut)
{
    static uint64_t number;
    static uint8_t bytes[1024];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct wire_header header;
    zmq_msg_t frame;
    wire_put_header(&out, WIRE_PUBLISH, ++number);
    wire_put_publish(&out, publish);
    assert_false(out.bad);
    assert_int_equal(zmq_msg_init_size(&frame, wire_out_size(&out) - cut), 0);
    memcpy(zmq_msg_data(&frame), bytes, wire_out_size(&out) - cut);
    struct one_shot_request request = {.peer = &one_peer,
                                       .number = number,
                                       .uid = uid,
                                       .in = wire_in(zmq_msg_data(&frame), zmq_msg_size(&frame)),
                                       .frame = &frame};
    assert_int_equal(wire_get_header(&request.in, &header), SPN_OK);
    spn_err err = one_shots_take(&broker, &request);
    zmq_msg_close(&frame);
    return err;
}

static struct wire_publish event(const char *session, const char *id, const char *data)
{
    return (struct wire_publish){.level = WIRE_DURABLE,
                                 .entry = {.kind = WIRE_EVENT,
                                           .session = text(session),
                                           .id = text(id),
                                           .data = text(data),
                                           .retry_ms = WIRE_RETRY_NONE}};
}

static struct wire_publish an_end(enum wire_kind kind, const char *session)
{
    struct wire_publish publish = event(session, "", "");
    publish.entry.kind = (uint8_t)kind;
    publish.entry.flags = kind == WIRE_CLOSE ? WIRE_FLAG_CLOSES : 0;
    return publish;
}

static void commit(void)
{
    mailbox_put_chain(&worker, &broker.handed_over);
    struct message *message = mailbox_take(&worker);
    while (message) {
        struct message *next = message->next;
        struct batch *batch = (struct batch *)message;
        if (batch->entry_count > 0)
            atomic_store(&commits.durable, batch->first_position + batch->entry_count - 1);
        one_shots_durable(&broker, batch);
        batch_free(batch);
        message = next;
    }
}

/* How many one-shots it was asked about. */
static unsigned find_all(void)
{
    unsigned count = 0;
    struct message *message = mailbox_take(&reader);
    while (message) {
        struct message *next = message->next;
        struct one_shot *one = (struct one_shot *)message;
        assert_int_equal(message->kind, MESSAGE_ONE_SHOT);
        assert_true(one->view.epoch != 0);
        one->answer.seq = FOUND_SEQ;
        one->answer.position = FOUND_POSITION;
        one_shots_found(&broker, one);
        count++;
        message = next;
    }
    return count;
}

/* -- results ----------------------------------------------------------------------------------- */

enum when { AT_ONCE, COMMITTED, FOUND, COMMITTED_AND_FOUND };

/* Entries as `s1=a` (an event), `Ms1` (a marker), `Cs`, `Ds`; `!` behind one: at level accepted,
 * and not committed when the next one comes. */
static const struct row {
    const char *name;
    const char *before;
    const char *entry;
    enum when when;
    uint8_t result;
    spn_err code;
    uint64_t seq;
    uint8_t state;
    const char *id;
} rows[] = {
    {"a new event", "", "s1=a", COMMITTED, WIRE_STORED, 0, 1, WIRE_LIVE, "1"},
    {"the next one", "s1=a", "s2=a", COMMITTED, WIRE_STORED, 0, 2, WIRE_LIVE, "2"},
    {"at level accepted", "", "s1=a!", AT_ONCE, WIRE_STORED, 0, 1, WIRE_LIVE, "1"},
    {"a repeat", "s1=a s2=b", "s1=a", FOUND, WIRE_DUPLICATE, 0, FOUND_SEQ, WIRE_LIVE, "1"},
    {"a repeat at level accepted", "s1=a", "s1=a!", FOUND, WIRE_DUPLICATE, 0, FOUND_SEQ, WIRE_LIVE,
     "1"},
    {"a repeat of what is not on disk", "s1=a!", "s1=a", COMMITTED_AND_FOUND, WIRE_DUPLICATE, 0,
     FOUND_SEQ, WIRE_LIVE, "1"},
    {"such a one at level accepted", "s1=a!", "s1=a!", COMMITTED_AND_FOUND, WIRE_DUPLICATE, 0,
     FOUND_SEQ, WIRE_LIVE, "1"},
    {"other data", "s1=a", "s1=b", FOUND, WIRE_CONFLICT, 0, FOUND_SEQ, WIRE_LIVE, "1"},
    {"a marker", "s1=a", "Ms2", COMMITTED, WIRE_STORED, 0, 2, WIRE_LIVE, "2"},
    {"a marker again", "Ms2", "Ms2", FOUND, WIRE_DUPLICATE, 0, FOUND_SEQ, WIRE_LIVE, "2"},
    {"an event with a marker's id", "Ms2", "s2=a", COMMITTED, WIRE_STORED, 0, 2, WIRE_LIVE, "2"},
    {"a close", "s1=a", "Cs", COMMITTED, WIRE_STORED, 0, 1, WIRE_SESSION_CLOSED, ""},
    {"a close again", "s1=a Cs", "Cs", AT_ONCE, WIRE_DUPLICATE, 0, 1, WIRE_SESSION_CLOSED, ""},
    {"an event for a closed one", "s1=a Cs", "s2=a", AT_ONCE, WIRE_REFUSED, SPN_E_CLOSED, 1,
     WIRE_SESSION_CLOSED, "2"},
    {"the same, and the close is not on disk", "s1=a! Cs!", "s2=a", COMMITTED, WIRE_REFUSED,
     SPN_E_CLOSED, 1, WIRE_SESSION_CLOSED, "2"},
    {"a repeat for a closed one", "s1=a Cs", "s1=a", FOUND, WIRE_DUPLICATE, 0, FOUND_SEQ,
     WIRE_SESSION_CLOSED, "1"},
    {"a close of none", "", "Cs", AT_ONCE, WIRE_REFUSED, SPN_E_UNKNOWN_SESSION, 0, WIRE_LIVE, ""},
    {"a delete of none", "t1=a", "Ds", AT_ONCE, WIRE_REFUSED, SPN_E_UNKNOWN_SESSION, 0, WIRE_LIVE,
     ""},
    {"a delete", "s1=a s2=a", "Ds", COMMITTED, WIRE_STORED, 0, 2, WIRE_LIVE, ""},
    {"an event after a delete", "s1=a Ds", "s1=a", COMMITTED, WIRE_STORED, 0, 1, WIRE_LIVE, "1"},
    {"an event without an id", "s1=a", "s_=a", AT_ONCE, WIRE_REFUSED, SPN_E_BAD_ID, 1, WIRE_LIVE,
     ""},
    {"data with a carriage return", "", "s1=\r", AT_ONCE, WIRE_REFUSED, SPN_E_BAD_DATA, 0,
     WIRE_LIVE, "1"},
    {"a touch", "s1=a", "Ts", COMMITTED, WIRE_STORED, 0, 1, WIRE_LIVE, ""},
    {"a touch of none", "", "Ts", AT_ONCE, WIRE_REFUSED, SPN_E_UNKNOWN_SESSION, 0, WIRE_LIVE, ""},
    {"if new, and is", "", "Ns1=a", COMMITTED, WIRE_STORED, 0, 1, WIRE_LIVE, "1"},
    {"if new, at level accepted", "", "Ns1=a!", COMMITTED, WIRE_STORED, 0, 1, WIRE_LIVE, "1"},
    {"if new, and is not", "s1=a", "Ns2=a", AT_ONCE, WIRE_REFUSED, SPN_E_CONDITION, 1, WIRE_LIVE,
     "2"},
    {"if new, and what is there is not on disk", "s1=a!", "Ns2=a!", COMMITTED, WIRE_REFUSED,
     SPN_E_CONDITION, 1, WIRE_LIVE, "2"},
    {"if new, a repeat", "Ns1=a", "Ns1=a", FOUND, WIRE_DUPLICATE, 0, FOUND_SEQ, WIRE_LIVE, "1"},
    {"an event that closes", "s1=a", "Xs2=a", COMMITTED, WIRE_STORED, 0, 2, WIRE_SESSION_CLOSED,
     "2"},
    {"an event that closes, at level accepted", "s1=a", "Xs2=a!", COMMITTED, WIRE_STORED, 0, 2,
     WIRE_SESSION_CLOSED, "2"},
};

/* Returns whether it is followed by others that do not wait for its commit. */
static bool publish_text(const char *from, const char **ret_next)
{
    char session[2] = {0}, id[2] = {0}, data[2] = {0};
    struct wire_publish publish;
    char kind = strchr("MCDTNX", *from) ? *from++ : 'E';
    bool is_event = kind == 'E' || kind == 'N' || kind == 'X';
    session[0] = *from++;
    if (is_event || kind == 'M')
        id[0] = *from++;
    if (*from == '=')
        data[0] = from[1], from += 2;
    if (id[0] == '_')
        id[0] = '\0';
    publish = event(session, id, data);
    if (!is_event)
        publish.entry.kind = kind == 'M'   ? WIRE_MARKER
                             : kind == 'C' ? WIRE_CLOSE
                             : kind == 'D' ? WIRE_DELETE
                                           : WIRE_TOUCH;
    publish.entry.flags = kind == 'C' || kind == 'X' ? WIRE_FLAG_CLOSES
                          : kind == 'N'              ? WIRE_FLAG_NEW
                                                     : 0;
    bool early = *from == '!';
    if (early)
        publish.level = WIRE_ACCEPTED;
    from += early;
    *ret_next = *from == ' ' ? from + 1 : from;
    assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_OK);
    return early;
}

static void run_row(void **argument)
{
    const struct row *row = *argument;
    const char *rest = row->before;
    while (*rest != '\0') {
        if (!publish_text(rest, &rest))
            commit();
        (void)find_all();
    }
    unsigned before = sent.count;
    (void)publish_text(row->entry, &rest);
    if (row->when == COMMITTED || row->when == COMMITTED_AND_FOUND) {
        assert_int_equal(sent.count, before);
        commit();
    }
    if (row->when == FOUND || row->when == COMMITTED_AND_FOUND) {
        assert_int_equal(sent.header.type, sent.count > 0 ? WIRE_PUBLISHED : 0);
        assert_int_equal(find_all(), 1);
    }
    assert_int_equal(sent.header.type, WIRE_PUBLISHED);
    assert_int_equal(sent.answer.result, row->result);
    assert_int_equal(sent.answer.code, row->code);
    assert_int_equal(sent.answer.seq, row->seq);
    assert_int_equal(sent.answer.state, row->state);
    assert_string_equal(sent.id, row->id);
    if (row->result == WIRE_STORED && row->entry[0] != 'T') /* that one is only remembered */
        assert_int_equal(sent.answer.position, state.next_position - 1);
    assert_int_equal(wire_has_life(sent.answer.life), row->seq > 0);
    unsigned count = sent.count;
    commit();
    assert_int_equal(find_all(), 0);
    assert_int_equal(sent.count, count); /* one answer */
    assert_int_equal(broker.publishing.all.count, 0);
    assert_int_equal(broker.publishing.all.bytes, 0);
}

/* The life that had the id is gone when the answer is due. The next one has the id too, and is not
 * looked at. */
static void a_repeat_is_of_its_own_life(void **unused)
{
    (void)unused;
    struct wire_publish publish = event("s", "1", "a");
    struct wire_publish gone = an_end(WIRE_DELETE, "s");
    publish.level = gone.level = WIRE_ACCEPTED;
    assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_OK);
    struct spn_life life = sent.answer.life;
    assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_OK); /* waits for the commit */
    assert_int_equal(take_as(SOME_UID, &gone, 0), SPN_OK);
    assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_OK);
    assert_int_equal(sent.count, 3);
    assert_false(wire_same_life(sent.answer.life, life));
    commit();
    assert_int_equal(find_all(), 0);
    assert_int_equal(sent.count, 4);
    assert_int_equal(sent.answer.result, WIRE_DUPLICATE);
    assert_true(wire_same_life(sent.answer.life, life));
    assert_int_equal(sent.answer.seq, 0); /* it is not retained */
}

/* -- what is not taken ------------------------------------------------------------------------- */

static void expect_error(spn_err code)
{
    assert_int_equal(sent.header.type, WIRE_ERROR);
    assert_int_equal(sent.error.code, code);
}

static void what_cannot_be_asked_is_not_answered(void **unused)
{
    (void)unused;
    struct wire_publish publish = event("s", "1", "a");
    for (size_t cut = 1; cut < 30; cut++)
        assert_int_equal(take_as(SOME_UID, &publish, cut), SPN_E_PROTOCOL);
    publish.level = WIRE_NONE;
    assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_E_INVALID);
    publish.level = WIRE_REPLICATED;
    assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_E_UNSUPPORTED);
    publish.level = WIRE_DURABLE;
    publish.entry.flags = WIRE_FLAG_DEPENDS;
    publish.entry.depends = 1;
    assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_E_INVALID);
    assert_int_equal(sent.count, 0);
    assert_int_equal(state.next_position, FIRST_POSITION);
}

static void a_stopping_broker_says_so(void **unused)
{
    (void)unused;
    const struct wire_publish publish = event("s", "1", "a");
    broker.stopping = true;
    assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_OK);
    expect_error(SPN_E_STOPPING);
    assert_int_equal(state.next_position, FIRST_POSITION);
}

/* Without room in the database only what may make some is taken, and not without end. */
static void ends_are_taken_without_room(void **unused)
{
    (void)unused;
    char name[16];
    unsigned taken = 0;
    for (int i = 0; i < 4000; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        const struct wire_publish publish = event(name, "1", "a");
        assert_int_equal(take_as(SOME_UID + (uint32_t)i % 8, &publish, 0), SPN_OK);
        if (i % 1000 == 999)
            commit();
    }
    broker.takes = TAKES_REQUESTS;
    const struct wire_publish late = event("s1", "2", "a");
    assert_int_equal(take_as(SOME_UID, &late, 0), SPN_OK);
    expect_error(SPN_E_BACKPRESSURE);
    for (int i = 0; i < 4000; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        const struct wire_publish end = an_end(i % 2 ? WIRE_CLOSE : WIRE_DELETE, name);
        unsigned before = sent.count;
        assert_int_equal(take_as(SOME_UID + (uint32_t)i % 8, &end, 0), SPN_OK);
        taken += sent.count == before;
    }
    expect_error(SPN_E_BACKPRESSURE);
    assert_true(taken > 1000);
    assert_true(broker.publishing.all.bytes <= PUBLISHING_ENDS_BYTES_MAX);
    commit();
    assert_int_equal(sent.header.type, WIRE_PUBLISHED);
    assert_int_equal(broker.publishing.all.count, 0);
}

/* One user has half of the places, all others together the other half. */
static void what_waits_is_bounded(void **unused)
{
    (void)unused;
    char id[16];
    unsigned taken = 0;
    for (int i = 0; i < PUBLISHING_COUNT_MAX; i++) {
        snprintf(id, sizeof(id), "%d", i);
        const struct wire_publish publish = event("s", id, "a");
        unsigned before = sent.count;
        assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_OK);
        taken += sent.count == before;
    }
    expect_error(SPN_E_LIMIT);
    assert_int_equal(taken, PUBLISHING_COUNT_MAX / 2);
    for (int i = 0; i < PUBLISHING_COUNT_MAX; i++) {
        snprintf(id, sizeof(id), "x%d", i);
        const struct wire_publish publish = event("s", id, "a");
        unsigned before = sent.count;
        assert_int_equal(take_as(SOME_UID + 1 + (uint32_t)i % 60, &publish, 0), SPN_OK);
        taken += sent.count == before;
    }
    expect_error(SPN_E_BACKPRESSURE);
    assert_int_equal(taken, PUBLISHING_COUNT_MAX);
    commit();
    assert_int_equal(broker.publishing.all.count, 0);
    const struct wire_publish publish = event("s", "another", "a");
    assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_OK);
    commit();
    assert_int_equal(sent.header.type, WIRE_PUBLISHED);
}

/* -- sessions from disk ------------------------------------------------------------------------ */

static struct load *begin_cold(void)
{
    const struct wire_publish publish = event("s", "1", "a");
    uint32_t slot;
    assert_int_equal(sessions_know(&state.sessions, sessions_hash(&state.sessions, text("s")),
                                   COLD_EPOCH, &slot),
                     SPN_OK);
    assert_int_equal(take_as(SOME_UID, &publish, 0), SPN_OK);
    struct load *load = (struct load *)mailbox_take(&reader);
    assert_non_null(load);
    assert_int_equal(load->message.kind, MESSAGE_LOAD);
    assert_null(broker.handed_over.oldest);
    assert_int_equal(sent.count, 0);
    return load;
}

static void end_load(struct load *load)
{
    struct one_shot *one;
    spn_err err = loading_end(&broker, load, &one);
    assert_int_equal(err, SPN_OK);
    if (one)
        one_shots_loaded(&broker, one);
}

static void fill_load(struct load *load, bool closed)
{
    load->epoch = load->view.epoch;
    load->tracker = tracker_new(load->name, 16);
    assert_non_null(load->tracker);
    load->tracker->epoch = load->view.epoch;
    load->tracker->seq = 5;
    load->tracker->life.bytes[0] = 9;
    load->tracker->closed = closed;
}

static void a_cold_session_is_loaded_first(void **unused)
{
    (void)unused;
    struct load *load = begin_cold();
    fill_load(load, false);
    end_load(load);
    commit();
    assert_int_equal(sent.answer.result, WIRE_STORED);
    assert_int_equal(sent.answer.seq, 6);
    assert_int_equal(sent.answer.life.bytes[0], 9);
    assert_int_equal(broker.publishing.all.count, 0);
}

static void a_cold_session_may_be_closed(void **unused)
{
    (void)unused;
    struct load *load = begin_cold();
    fill_load(load, true);
    end_load(load);
    assert_int_equal(sent.answer.result, WIRE_REFUSED);
    assert_int_equal(sent.answer.code, SPN_E_CLOSED);
    assert_int_equal(sent.answer.seq, 5);
}

/* Two cold sessions share the name's hash, and the disk says which of them has the name. */
static void a_cold_session_may_be_another(void **unused)
{
    (void)unused;
    struct load *load = begin_cold();
    uint32_t slot;
    assert_int_equal(sessions_know(&state.sessions, load->hash, COLD_EPOCH + 1, &slot), SPN_OK);
    load->epoch = COLD_EPOCH + 1;
    end_load(load);
    load = (struct load *)mailbox_take(&reader);
    assert_non_null(load);
    assert_int_equal(load->view.epoch, COLD_EPOCH + 1);
    fill_load(load, false);
    end_load(load);
    commit();
    assert_int_equal(sent.answer.result, WIRE_STORED);
    assert_int_equal(sent.answer.seq, 6);
}

/* The name belongs to no session any more: the event opens one. */
static void a_cold_session_may_be_gone(void **unused)
{
    (void)unused;
    end_load(begin_cold());
    commit();
    assert_int_equal(sent.answer.result, WIRE_STORED);
    assert_int_equal(sent.answer.seq, 1);
}

static void a_cold_session_may_be_damaged(void **unused)
{
    (void)unused;
    struct load *load = begin_cold();
    load->err = SPN_E_CORRUPT;
    load->epoch = load->view.epoch;
    load->life.bytes[0] = 9;
    end_load(load);
    assert_int_equal(sent.answer.code, SPN_E_CORRUPT);
    assert_int_equal(sent.answer.state, WIRE_SESSION_DAMAGED);
    assert_int_equal(sent.answer.life.bytes[0], 9);
}

static void a_load_without_memory_is_an_error(void **unused)
{
    (void)unused;
    struct load *load = begin_cold();
    load->err = SPN_E_NOMEM;
    end_load(load);
    expect_error(SPN_E_NOMEM);
    assert_int_equal(broker.publishing.all.count, 0);
}

static void a_stop_meets_a_load(void **unused)
{
    (void)unused;
    struct load *load = begin_cold();
    fill_load(load, false);
    broker.stopping = true;
    end_load(load);
    expect_error(SPN_E_STOPPING);
    assert_null(broker.handed_over.oldest); /* nothing may come after the order to stop */
}

/* -- memory ------------------------------------------------------------------------------------ */

static void without_memory_nothing_happens(void **unused)
{
    (void)unused;
    const struct wire_publish publish = event("s", "1", "a");
    for (unsigned granted = 0;; granted++) {
        unsigned before = sent.count;
        allocations_left = granted;
        spn_err err = take_as(SOME_UID, &publish, 0);
        allocations_left = UINT32_MAX;
        if (err == SPN_OK && sent.count == before)
            break;
        if (err == SPN_OK)
            expect_error(SPN_E_NOMEM);
        else
            assert_int_equal(err, SPN_E_NOMEM);
        assert_int_equal(state.next_position, FIRST_POSITION);
        assert_null(broker.handed_over.oldest);
        assert_int_equal(broker.publishing.all.count, 0);
        assert_true(granted < TRIES_MAX);
    }
    commit();
    assert_int_equal(sent.answer.result, WIRE_STORED);
    assert_int_equal(sent.answer.seq, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest plain[] = {
        TEST(a_repeat_is_of_its_own_life),
        TEST(a_stopping_broker_says_so),
        TEST(what_cannot_be_asked_is_not_answered),
        TEST(ends_are_taken_without_room),
        TEST(what_waits_is_bounded),
        TEST(a_cold_session_is_loaded_first),
        TEST(a_cold_session_may_be_closed),
        TEST(a_cold_session_may_be_another),
        TEST(a_cold_session_may_be_gone),
        TEST(a_cold_session_may_be_damaged),
        TEST(a_load_without_memory_is_an_error),
        TEST(a_stop_meets_a_load),
        TEST(without_memory_nothing_happens),
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(rows)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[COUNT(plain) + i] = (struct CMUnitTest){rows[i].name, run_row, setup, teardown,
                                                      (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("one_shots", tests, NULL, NULL);
}
