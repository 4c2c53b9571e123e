/* SPDX-License-Identifier: Apache-2.0 */
/* test_follow: what subscriptions of the log get, beside a plain list of what was written.
 *
 * Sessions are opened, written to, closed, deleted and expire, the log is indexed and trimmed, and
 * the sidecar is restarted, all at random. Beside it three clients follow the log: one all of it,
 * one with touches, one a prefix. Their credit, the room in their outbox and the time are random,
 * too. Each position is delivered once, or was hidden, deleted or not for this client when it was
 * passed, and each client is told which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "any.h"
#include "log_rig.h"
#include "net/outbox.h"
#include "read/subscription_base.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    SESSIONS = 24,
    WINDOW = 16,
    ROUNDS = 4000,
    POSITIONS_MAX = 200000,
    CLIENTS = 3,
    CREDIT = 1 << 20,
    SETTLE_STEPS = 400,
};

#define SURVEY_NS UINT64_C(1000000000)
#define SLACK_NS UINT64_C(200000000)

/* What is at a position. */
struct written {
    uint8_t kind; /* enum record_kind; 0: nothing yet */
    bool deleted; /* from the log */
    uint32_t session;
    uint64_t epoch;
    uint64_t seq;
    uint64_t bytes;
    uint64_t hidden_ns; /* since when it is hidden; 0: it is not */
    uint8_t got[CLIENTS];
};

struct client {
    const char *prefix;
    bool touches;
    uint32_t incarnation;
    bool located;
    bool ended;
    uint8_t why;
    uint16_t code;
    uint64_t missing; /* of the end */
    uint64_t cursor;
    uint64_t newest;
    uint64_t bytes;
    uint64_t credit;
    uint64_t passed_hidden; /* since its newest delivery of events */
};

static struct rig rig;
static struct journal_reader *reader;
static struct metrics metrics;
static struct commit_state commits;
static struct mailbox to_broker;
static struct slice scratch;
static struct outbox *outbox;
static struct outbox_peer *to;
static struct subscriptions *subscriptions;
static struct written log_of[POSITIONS_MAX];
static bool dead[POSITIONS_MAX]; /* by epoch */
static struct retention rule;
static struct client clients[CLIENTS];
static uint64_t now_ns;
static unsigned full; /* every how manieth delivery finds no room; 0: none */

static struct {
    size_t items, hidden, gaps, progress, restarts, full, ends;
} seen;

static uint64_t newest(void)
{
    return rig.next_position - 1;
}

spn_err __real_outbox_deliver(struct outbox *box, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes);
spn_err __wrap_outbox_deliver(struct outbox *box, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes);
bool __real_outbox_extend(struct outbox *box, struct outbox_peer *peer, uint64_t tag, size_t size,
                          uint8_t **ret_head, uint8_t **ret_bytes);
bool __wrap_outbox_extend(struct outbox *box, struct outbox_peer *peer, uint64_t tag, size_t size,
                          uint8_t **ret_head, uint8_t **ret_bytes);

static bool is_full(void)
{
    bool is = full > 0 && any(full) == 0;
    seen.full += is;
    return is;
}

spn_err __wrap_outbox_deliver(struct outbox *box, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes)
{
    return is_full() ? SPN_E_BACKPRESSURE : __real_outbox_deliver(box, peer, tag, size, ret_bytes);
}

bool __wrap_outbox_extend(struct outbox *box, struct outbox_peer *peer, uint64_t tag, size_t size,
                          uint8_t **ret_head, uint8_t **ret_bytes)
{
    return !is_full() && __real_outbox_extend(box, peer, tag, size, ret_head, ret_bytes);
}

static uint64_t damaged_from; /* entries from here on do not read; 0: all do */
static uint64_t damaged_to;

spn_err __real_journal_read_entry_from(struct journal_reader *from, uint64_t position,
                                       uint64_t *ret_position, struct record_entry *ret_entry);
spn_err __wrap_journal_read_entry_from(struct journal_reader *from, uint64_t position,
                                       uint64_t *ret_position, struct record_entry *ret_entry);

spn_err __wrap_journal_read_entry_from(struct journal_reader *from, uint64_t position,
                                       uint64_t *ret_position, struct record_entry *ret_entry)
{
    spn_err err = __real_journal_read_entry_from(from, position, ret_position, ret_entry);
    if (err != SPN_OK || damaged_from == 0 || *ret_position < damaged_from ||
        *ret_position > damaged_to)
        return err;
    *ret_position = damaged_to;
    return SPN_E_CORRUPT;
}

static uint64_t tick_ns; /* that each look at the clock takes */

static uint64_t fake_monotonic_ns(void)
{
    now_ns += tick_ns;
    return now_ns;
}

static uint64_t fake_boot_ns(void)
{
    return now_ns;
}

static const struct clock fake_clock = {.monotonic_ns = fake_monotonic_ns, .boot_ns = fake_boot_ns};
static const struct peer peer = {.size = 1, .bytes = {7}};

/* -- what is written --------------------------------------------------------------------------- */

static void note(uint32_t session, enum record_kind kind, uint64_t epoch)
{
    const struct rig_session *of = &rig.sessions[session];
    assert_in_range(newest(), 1, POSITIONS_MAX - 1);
    log_of[newest()] = (struct written){.kind = (uint8_t)kind,
                                        .session = session,
                                        .epoch = epoch,
                                        .seq = of->count,
                                        .bytes = of->bytes};
}

/* Everything that was not hidden before and is now. */
static void hide(void)
{
    for (uint64_t at = 1; at <= newest(); at++) {
        struct written *entry = &log_of[at];
        const struct rig_session *of = &rig.sessions[entry->session];
        if (entry->hidden_ns > 0 || entry->kind == RECORD_DELETE || entry->kind == RECORD_EXPIRE)
            continue;
        bool hides = dead[entry->epoch];
        if (!hides && entry->kind == RECORD_EVENT)
            hides = (rule.events_max > 0 && of->count - entry->seq >= rule.events_max) ||
                    (rule.bytes_max > 0 && of->bytes - entry->bytes >= rule.bytes_max);
        entry->hidden_ns = hides ? now_ns : 0;
    }
}

static void open_one(uint32_t session)
{
    if (rig.sessions[session].epoch > 0)
        return;
    rig_open_session(&rig, session);
    note(session, RECORD_OPEN, rig.sessions[session].epoch);
}

static void write_events(void)
{
    uint32_t session = (uint32_t)any(SESSIONS);
    if (rig.sessions[session].closed_position > 0)
        return;
    open_one(session);
    for (uint64_t left = 1 + any(8); left > 0; left--) {
        rig_event(&rig, session, NULL, NULL);
        note(session, RECORD_EVENT, rig.sessions[session].epoch);
    }
}

static void end_one(void)
{
    static const enum record_kind kinds[] = {RECORD_CLOSE, RECORD_DELETE, RECORD_EXPIRE};
    uint32_t session = (uint32_t)any(SESSIONS);
    struct rig_session *of = &rig.sessions[session];
    uint64_t epoch = of->epoch;
    enum record_kind kind = kinds[any(3)];
    if (epoch == 0 || of->dead_count == RIG_LIVES_MAX ||
        (kind == RECORD_CLOSE && of->closed_position > 0))
        return;
    struct rig_session before = *of;
    rig_end(&rig, session, kind);
    note(session, kind, epoch);
    log_of[newest()].seq = before.count;
    dead[epoch] = kind != RECORD_CLOSE;
}

static void note_something(void)
{
    static const uint8_t attributes[] = {9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                         0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    uint32_t session = (uint32_t)any(SESSIONS);
    bool touch = any(2) == 0;
    open_one(session);
    if (touch)
        rig_touch(&rig, session);
    else
        rig_note(&rig, session, RECORD_ATTRIBUTES,
                 (struct spn_bytes){attributes, sizeof(attributes)});
    note(session, touch ? RECORD_TOUCH : RECORD_ATTRIBUTES, rig.sessions[session].epoch);
}

static void index_some(void)
{
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
}

static bool stays(const void *owner, uint64_t position)
{
    (void)owner;
    return log_of[position].hidden_ns == 0 &&
           (log_of[position].kind == RECORD_EVENT || any(2) == 0);
}

static bool takes(const void *owner, uint64_t position)
{
    (void)owner;
    return position == 0;
}

/* As trimming does: what is hidden, and what is no event; or the oldest of all. */
static void trim(void)
{
    struct journal_deletion deletion = {.count_max = POSITIONS_MAX, .bytes_max = UINT64_MAX};
    struct record_entry entry;
    uint64_t next, checkpoint = journal_meta(rig.journal)->checkpoint;
    bool front = any(6) == 0;
    if (checkpoint == 0)
        return;
    uint64_t to_position = front ? 1 + any(checkpoint) / 4 : checkpoint;
    uint64_t from = front ? 1 : 1 + any(checkpoint);
    rig_commit(&rig);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_delete_entries(rig.journal, from, to_position, front ? takes : stays,
                                            NULL, &deletion, &next),
                     SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (uint64_t at = from; at <= to_position; at++)
        log_of[at].deleted = journal_read_entry(reader, at, &entry) == SPN_E_END;
    journal_reader_end(reader);
}

static void change_something(void)
{
    switch (any(60)) {
    case 0:
        end_one();
        break;
    case 1:
        index_some();
        break;
    case 2:
        trim();
        break;
    case 3:
        note_something();
        break;
    default:
        write_events();
    }
    rig_commit(&rig);
    hide();
    atomic_store(&commits.durable, newest());
}

/* -- the clients ------------------------------------------------------------------------------- */

static bool is_for(const struct client *client, const struct written *entry)
{
    size_t size = strlen(client->prefix);
    return (entry->kind != RECORD_TOUCH || client->touches) &&
           strncmp(rig.sessions[entry->session].name, client->prefix, size) == 0;
}

/* Passed these positions without getting them. */
static void pass(struct client *client, uint64_t up_to)
{
    for (uint64_t at = client->cursor + 1; at <= up_to; at++) {
        const struct written *entry = &log_of[at];
        assert_int_not_equal(entry->kind, 0);
        assert_true(entry->hidden_ns > 0 || !is_for(client, entry));
        client->passed_hidden += entry->hidden_ns > 0 && is_for(client, entry);
    }
    client->cursor = up_to;
}

/* Whose names were unknown by then are not counted for a prefix. */
static void count_hidden(struct client *client, uint64_t missing)
{
    if (client->prefix[0] == '\0')
        assert_int_equal(missing, client->passed_hidden);
    else
        assert_in_range(missing, 0, client->passed_hidden);
    seen.hidden += missing;
    client->passed_hidden = 0;
}

static const uint8_t wire_kinds[] = {
    [RECORD_OPEN] = WIRE_ITEM_OPEN,        [RECORD_EVENT] = WIRE_EVENT,
    [RECORD_CLOSE] = WIRE_CLOSE,           [RECORD_DELETE] = WIRE_DELETE,
    [RECORD_EXPIRE] = WIRE_ITEM_EXPIRE,    [RECORD_TOUCH] = WIRE_TOUCH,
    [RECORD_ATTRIBUTES] = WIRE_ATTRIBUTES,
};

/* Whatever it is that counts so many bytes, there was credit for it. */
static void count_bytes(struct client *client, size_t size)
{
    assert_true(client->bytes < client->credit);
    client->bytes += size;
}

static void take_item(struct client *client, struct wire_in *items)
{
    struct wire_item item;
    const uint8_t *start = items->at;
    wire_get_item(items, &item);
    assert_false(items->bad);
    count_bytes(client, (size_t)(items->at - start));
    assert_in_range(item.position, client->cursor + 1, newest());
    pass(client, item.position - 1);
    struct written *entry = &log_of[item.position];
    assert_true(is_for(client, entry));
    assert_false(entry->deleted);
    assert_true(entry->hidden_ns == 0 || now_ns - entry->hidden_ns < SURVEY_NS + SLACK_NS);
    assert_int_equal(item.entry.kind, wire_kinds[entry->kind]);
    assert_int_equal(item.seq, entry->seq);
    assert_int_equal(item.time_ms, rig_wall_ms(item.position));
    struct spn_bytes name = rig_name(&rig, entry->session);
    assert_int_equal(item.entry.session.size, name.size);
    assert_memory_equal(item.entry.session.data, name.data, name.size);
    assert_true(wire_same_life(item.entry.life, rig_life(entry->epoch)));
    if (entry->kind == RECORD_CLOSE)
        assert_memory_equal(item.entry.reason.data, RIG_REASON, strlen(RIG_REASON));
    assert_int_equal(entry->got[client - clients]++, 0);
    client->cursor = item.position;
    seen.items++;
}

static void take_gap(struct client *client, struct wire_in *rest)
{
    struct wire_log_gap gap;
    wire_get_log_gap(rest, &gap);
    assert_false(rest->bad);
    count_bytes(client, WIRE_LOG_GAP_CREDIT);
    assert_true(gap.first > client->cursor);
    pass(client, gap.first - 1);
    for (uint64_t at = gap.first; at <= gap.last; at++)
        assert_true(log_of[at].deleted);
    client->cursor = gap.last;
    seen.gaps++;
}

static void take_standing(struct client *client, const struct wire_deliver *head,
                          struct wire_in *rest)
{
    struct wire_standing standing;
    wire_get_standing(rest, &standing);
    if (head->kind == WIRE_END) {
        client->ended = true;
        client->why = head->verdict;
        client->code = head->code;
        client->missing = head->missing;
        if (standing.newest == 0)
            return; /* it was refused before anything was looked at */
    }
    assert_memory_equal(standing.life.bytes, journal_meta(rig.journal)->database,
                        sizeof(standing.life.bytes));
    client->newest = standing.newest;
    if (head->kind == WIRE_END)
        return;
    assert_false(client->located);
    assert_int_equal(head->verdict, WIRE_RESUMED);
    assert_int_equal(standing.newest, newest());
    client->located = true;
    client->cursor = head->seq;
}

static void take_delivery(const struct wire_deliver *head, struct wire_in *rest)
{
    struct client *client = &clients[head->subscription];
    assert_in_range(head->subscription, 0, CLIENTS - 1);
    if (head->incarnation != client->incarnation)
        return;
    assert_false(client->ended);
    if (head->kind == WIRE_VERDICT || head->kind == WIRE_END) {
        take_standing(client, head, rest);
    } else if (head->kind == WIRE_GAP) {
        take_gap(client, rest);
        assert_int_equal(head->missing, 0);
    } else {
        assert_int_equal(head->kind, WIRE_EVENTS);
        uint64_t missing = head->missing;
        for (uint32_t i = 0; i < head->count; i++) {
            take_item(client, rest);
            count_hidden(client, missing);
            missing = 0;
        }
        if (head->count == 0) {
            pass(client, head->seq);
            count_hidden(client, missing);
            seen.progress++;
        }
    }
    assert_true(wire_in_done(rest));
    assert_int_equal(head->bytes, client->bytes);
    if (head->kind != WIRE_END)
        assert_int_equal(head->seq, client->cursor);
}

static spn_err fake_send(void *socket, const struct peer *whom, zmq_msg_t *message)
{
    struct wire_header header;
    struct wire_deliver head;
    struct wire_in rest;
    uint32_t count;
    (void)socket;
    (void)whom;
    struct wire_in in = wire_in(zmq_msg_data(message), zmq_msg_size(message));
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    assert_int_equal(header.type, WIRE_DELIVER);
    wire_get_deliveries(&in, &count);
    for (uint32_t i = 0; i < count; i++) {
        wire_get_deliver(&in, &head, &rest);
        assert_false(in.bad);
        take_delivery(&head, &rest);
    }
    assert_true(wire_in_done(&in));
    zmq_msg_close(message);
    return SPN_OK;
}

/* -- the sidecar ------------------------------------------------------------------------------- */

static void start_sidecar(void)
{
    assert_int_equal(mailbox_init(&to_broker), SPN_OK);
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(outbox_new(&outbox, &(struct outbox_options){.send = fake_send,
                                                                  .clock = &fake_clock,
                                                                  .metrics = &metrics}),
                     SPN_OK);
    to = outbox_meet(outbox, &peer, NULL);
    assert_int_equal(subscriptions_new(&subscriptions,
                                       &(struct subscriptions_options){
                                           .outbox = outbox,
                                           .source = {.journal = reader,
                                                      .clock = &fake_clock,
                                                      .secret = journal_meta(rig.journal)->secret,
                                                      .slice = &scratch},
                                           .commits = &commits,
                                           .broker = &to_broker,
                                           .metrics = &metrics}),
                     SPN_OK);
}

static void stop_sidecar(void)
{
    subscriptions_free(subscriptions);
    outbox_free(outbox);
    subscriptions = NULL;
    mailbox_release(&to_broker);
    journal_reader_close(reader);
}

static void send_follow(size_t of, const struct wire_follow *follow)
{
    uint8_t bytes[512];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_follow(&out, follow);
    assert_false(out.bad);
    clients[of].bytes = clients[of].passed_hidden = 0;
    clients[of].located = clients[of].ended = false;
    clients[of].incarnation = follow->incarnation;
    clients[of].credit = follow->credit;
    assert_int_equal(subscriptions_follow(subscriptions, to, wire_in(bytes, wire_out_size(&out))),
                     SPN_OK);
}

static struct wire_follow follow_of(size_t of)
{
    const struct client *client = &clients[of];
    struct wire_follow follow = {.subscription = of,
                                 .incarnation = client->incarnation + 1,
                                 .flags = client->touches ? WIRE_FOLLOW_TOUCHES : 0,
                                 .credit = any(2000),
                                 .prefix = rig_text(client->prefix)};
    return follow;
}

/* As a client does: after the last position that it has. */
static void follow_on(size_t of)
{
    struct wire_follow follow = follow_of(of);
    follow.start = WIRE_LOG_AFTER;
    follow.position = clients[of].cursor;
    memcpy(follow.database.bytes, journal_meta(rig.journal)->database,
           sizeof(follow.database.bytes));
    send_follow(of, &follow);
}

static void send_credit(size_t of, uint64_t credit)
{
    uint8_t bytes[64];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_grants(&out, 1);
    wire_put_grant(&out, &(struct wire_grant){.subscription = of,
                                              .incarnation = clients[of].incarnation,
                                              .credit = credit});
    if (clients[of].credit < credit)
        clients[of].credit = credit;
    assert_int_equal(subscriptions_credit(subscriptions, to, wire_in(bytes, wire_out_size(&out))),
                     SPN_OK);
}

static void drop_questions(void)
{
    struct message *node = mailbox_take(&to_broker);
    assert_null(node); /* the broker is not needed */
}

static void step(void)
{
    bool scans_first = any(2) == 0;
    if (scans_first)
        (void)subscriptions_scan(subscriptions);
    for (uint64_t turns = any(4); turns > 0; turns--)
        (void)subscriptions_read_log(subscriptions);
    if (!scans_first)
        (void)subscriptions_scan(subscriptions);
    (void)subscriptions_tick(subscriptions);
    outbox_flush(outbox);
    (void)outbox_tick(outbox);
    drop_questions();
    now_ns += 1000000 + (any(40) == 0 ? 1500000000 : any(20000000));
}

static void restart(void)
{
    stop_sidecar();
    rig_close(&rig);
    rig_open(&rig);
    start_sidecar();
    for (size_t of = 0; of < CLIENTS; of++)
        follow_on(of);
    seen.restarts++;
}

static void settle(void)
{
    full = 0;
    for (size_t of = 0; of < CLIENTS; of++)
        send_credit(of, clients[of].bytes + 64 * CREDIT);
    for (int i = 0; i < SETTLE_STEPS; i++)
        step();
    for (size_t of = 0; of < CLIENTS; of++)
        assert_int_equal(clients[of].cursor, newest());
}

/* -- the model --------------------------------------------------------------------------------- */

static const struct setting {
    const char *name;
    struct retention rule;
    unsigned full;
    uint64_t seed;
} settings[] = {
    {"nothing is hidden", {0}, 0, 1},
    {"nothing is hidden, and room is short", {0}, 3, 2},
    {"the newest 20 of each", {.events_max = 20}, 0, 3},
    {"the newest 20 of each, and room is short", {.events_max = 20}, 5, 4},
    {"the newest 150 bytes of each", {.bytes_max = 150}, 20, 5},
};

static void begin(const struct retention *keeps)
{
    memset(log_of, 0, sizeof(log_of));
    memset(dead, 0, sizeof(dead));
    memset(&seen, 0, sizeof(seen));
    memset(&metrics, 0, sizeof(metrics));
    memset(clients, 0, sizeof(clients));
    rule = *keeps;
    full = 0;
    now_ns = 1000000000;
    atomic_store(&commits.durable, 0);
    clients[0].prefix = "";
    clients[1].prefix = "";
    clients[1].touches = true;
    clients[2].prefix = "w3"; /* of two names */
    rig_init(&rig, SESSIONS, WINDOW);
    rig.now_ns = fake_boot_ns;
    rig_retain(&rig, rule);
    start_sidecar();
}

static int release(void **state)
{
    (void)state;
    damaged_from = 0;
    tick_ns = 0;
    if (!subscriptions)
        return 0;
    stop_sidecar();
    rig_release(&rig);
    return 0;
}

static void follow_all_from_the_beginning(void)
{
    for (size_t of = 0; of < CLIENTS; of++) {
        struct wire_follow follow = follow_of(of);
        send_follow(of, &follow);
    }
}

static void give_some_credit(void)
{
    size_t of = any(CLIENTS);
    if (any(3) == 0)
        send_credit(of, clients[of].bytes + any(any(2) == 0 ? 2000 : 60000));
    else /* it keeps the lease */
        send_credit(of, clients[of].credit);
}

static void expect_everything(void)
{
    for (uint64_t at = 1; at <= newest(); at++)
        for (size_t of = 0; of < CLIENTS; of++) {
            const struct written *entry = &log_of[at];
            if (!entry->deleted && entry->hidden_ns == 0)
                assert_int_equal(entry->got[of], is_for(&clients[of], entry));
        }
}

static void beside_a_plain_list(void **state)
{
    const struct setting *setting = *state;
    begin(&setting->rule);
    any_state = setting->seed;
    follow_all_from_the_beginning();
    full = setting->full;
    for (int round = 0; round < ROUNDS; round++) {
        change_something();
        if (any(2) == 0)
            step();
        if (any(2) == 0)
            give_some_credit();
        if (any(500) == 0)
            restart();
    }
    settle();
    expect_everything();
    for (size_t of = 0; of < CLIENTS; of++)
        assert_false(clients[of].ended);
    assert_true(seen.items > 1000 && seen.restarts > 2);
    bool hides = setting->rule.events_max + setting->rule.bytes_max > 0;
    assert_true(!hides || (seen.hidden > 0 && seen.gaps > 0 && seen.progress > 0));
    assert_int_equal(setting->full > 0, seen.full > 0);
}

/* -- what is refused, and what ends ------------------------------------------------------------ */

static void follow_and_step(size_t of, const struct wire_follow *follow)
{
    send_follow(of, follow);
    for (int i = 0; i < 10; i++)
        step();
}

static const struct refusal {
    const char *name;
    const char *prefix;
    uint8_t start;
    bool other_database;
    bool beyond;
    spn_err code; /* SPN_OK: it begins */
} refusals[] = {
    {"from the newest position on", "", WIRE_LOG_AFTER, false, false, SPN_OK},
    {"a position beyond the log", "", WIRE_LOG_AFTER, false, true, SPN_E_BAD_POSITION},
    {"another database", "", WIRE_LOG_AFTER, true, false, SPN_E_BAD_POSITION},
    {"from now on", "", WIRE_LOG_NOW, false, false, SPN_OK},
    {"a position that is not used", "", WIRE_LOG_EARLIEST, true, true, SPN_OK},
    {"a prefix that ends within a character", "a\xC3", WIRE_LOG_NOW, false, false,
     SPN_E_BAD_PREFIX},
    {"a prefix that is a whole character", "a\xC3\xA4", WIRE_LOG_NOW, false, false, SPN_OK},
};

static void is_refused(void **state)
{
    const struct refusal *row = *state;
    begin(&(struct retention){0});
    any_state = 1;
    for (int i = 0; i < 50; i++)
        write_events();
    rig_commit(&rig);
    struct wire_follow follow = follow_of(0);
    follow.start = row->start;
    follow.prefix = rig_text(row->prefix);
    follow.position = newest() + (row->beyond ? 1 : 0);
    memcpy(follow.database.bytes, journal_meta(rig.journal)->database,
           sizeof(follow.database.bytes));
    follow.database.bytes[0] ^= row->other_database;
    clients[0].prefix = row->prefix;
    follow_and_step(0, &follow);
    assert_int_equal(clients[0].ended, row->code != SPN_OK);
    assert_int_equal(clients[0].located, row->code == SPN_OK);
    if (row->start == WIRE_LOG_EARLIEST)
        assert_true(seen.items > 0);
    else
        assert_int_equal(seen.items, 0);
    if (row->code == SPN_OK)
        assert_true(clients[0].cursor == newest() || row->start == WIRE_LOG_EARLIEST);
    if (row->code == SPN_OK)
        return;
    assert_int_equal(clients[0].why, WIRE_REFUSED_VERDICT);
    assert_int_equal(clients[0].code, row->code);
    if (row->code == SPN_E_BAD_POSITION)
        assert_int_equal(clients[0].newest, newest());
}

static void a_number_in_use(void **state)
{
    (void)state;
    begin(&(struct retention){0});
    any_state = 1;
    struct wire_follow follow = follow_of(0);
    follow_and_step(0, &follow);
    assert_true(clients[0].located);
    follow_and_step(0, &follow); /* the same incarnation once more */
    assert_int_equal(clients[0].why, WIRE_REFUSED_VERDICT);
    assert_int_equal(clients[0].code, SPN_E_INVALID);
}

static void damage_ends_it(void **state)
{
    (void)state;
    begin(&(struct retention){0});
    any_state = 1;
    for (int i = 0; i < 50; i++)
        write_events();
    rig_commit(&rig);
    damaged_from = newest() / 2;
    damaged_to = damaged_from + 4;
    struct wire_follow follow = follow_of(0);
    follow.credit = CREDIT;
    follow_and_step(0, &follow);
    assert_true(clients[0].ended);
    assert_int_equal(clients[0].why, WIRE_DAMAGED);
    assert_int_equal(clients[0].cursor, damaged_from - 1);
    assert_int_equal(clients[0].missing, 5);
    clients[0].cursor += clients[0].missing; /* the app decides to go on after it */
    follow_on(0);
    send_credit(0, CREDIT);
    for (int i = 0; i < 10; i++)
        step();
    assert_false(clients[0].ended);
    assert_int_equal(clients[0].cursor, newest());
}

/* Whatever is added while it is live comes from the scan. */
static void damage_while_it_is_live(void **state)
{
    (void)state;
    begin(&(struct retention){0});
    any_state = 1;
    struct wire_follow follow = follow_of(0);
    follow.credit = CREDIT;
    follow_and_step(0, &follow);
    for (int i = 0; i < 20; i++)
        write_events();
    rig_commit(&rig);
    atomic_store(&commits.durable, newest());
    damaged_from = damaged_to = 7;
    for (int i = 0; i < 10; i++)
        step();
    assert_true(clients[0].ended);
    assert_int_equal(clients[0].why, WIRE_DAMAGED);
    assert_int_equal(clients[0].cursor, 6);
    assert_int_equal(clients[0].missing, 1);
}

/* A client that nothing is for learns at once that it has caught up. */
static void progress_at_once(void **state)
{
    (void)state;
    begin(&(struct retention){0});
    any_state = 1;
    for (int i = 0; i < 50; i++)
        write_events();
    rig_commit(&rig);
    clients[0].prefix = "nobody";
    struct wire_follow follow = follow_of(0);
    follow.credit = 0;
    send_follow(0, &follow);
    (void)subscriptions_tick(subscriptions);
    while (subscriptions_read_log(subscriptions))
        continue;
    assert_int_equal(clients[0].cursor, newest());
    write_events();
    rig_commit(&rig);
    atomic_store(&commits.durable, newest());
    (void)subscriptions_scan(subscriptions);
    assert_true(clients[0].cursor < newest());
    now_ns += LEASE_LOOK_MS * MS; /* later ones once a second */
    (void)subscriptions_tick(subscriptions);
    outbox_flush(outbox);
    assert_int_equal(clients[0].cursor, newest());
}

/* Nor does one that is far behind read everything again after a restart. */
static void progress_on_the_way(void **state)
{
    (void)state;
    begin(&(struct retention){0});
    any_state = 1;
    while (newest() < 100000)
        write_events();
    rig_commit(&rig);
    clients[0].prefix = "nobody";
    struct wire_follow follow = follow_of(0);
    send_follow(0, &follow);
    (void)subscriptions_tick(subscriptions);
    while (subscriptions_read_log(subscriptions))
        continue;
    assert_int_equal(seen.progress, 2); /* once on the way, and at the end */
    assert_int_equal(clients[0].cursor, newest());
}

static void write_to(uint32_t session, int events)
{
    open_one(session);
    for (; events > 0; events--) {
        rig_event(&rig, session, NULL, NULL);
        note(session, RECORD_EVENT, rig.sessions[session].epoch);
    }
}

static void delete_one(uint32_t session)
{
    uint64_t epoch = rig.sessions[session].epoch;
    uint64_t seq = rig.sessions[session].count;
    rig_end(&rig, session, RECORD_DELETE);
    note(session, RECORD_DELETE, epoch);
    log_of[newest()].seq = seq;
    dead[epoch] = true;
}

/* Another one begins beyond what the survey has read, which then begins there. What it knew before
 * is not relied on. */
static void a_survey_that_began_again(void **state)
{
    (void)state;
    begin(&(struct retention){0});
    any_state = 1;
    write_to(0, 1);
    write_to(1, 5);
    uint64_t epoch = rig.sessions[1].epoch;
    delete_one(1);
    rig_commit(&rig);
    hide();
    now_ns += 2 * SURVEY_NS;
    struct wire_follow follow = follow_of(0);
    follow.credit = 1;
    send_follow(0, &follow);
    (void)subscriptions_tick(subscriptions);
    while (subscriptions_read_log(subscriptions))
        continue;
    assert_int_equal(seen.items, 1);
    write_to(0, 20);
    rig_commit(&rig);
    clients[1].cursor = newest() - 3;
    follow_on(1);
    (void)subscriptions_tick(subscriptions);
    while (subscriptions_read_log(subscriptions))
        continue;
    send_credit(0, CREDIT);
    (void)subscriptions_tick(subscriptions);
    while (subscriptions_read_log(subscriptions))
        continue;
    assert_int_equal(clients[0].cursor, newest());
    for (uint64_t at = epoch; at < epoch + 6; at++)
        assert_int_equal(log_of[at].got[0], 0);
}

/* What is there, in no time. */
static void read_at_once(void)
{
    (void)subscriptions_tick(subscriptions);
    (void)outbox_tick(outbox);
    while (subscriptions_read_log(subscriptions))
        continue;
    outbox_flush(outbox);
}

/* Nobody has been behind for long. */
static void forget_survey(void)
{
    now_ns += 10 * SURVEY_NS;
    send_credit(0, clients[0].credit); /* it keeps the lease */
    (void)subscriptions_tick(subscriptions);
}

/* The reader had no turn for long, and then the live follower has no room or no credit. What was
 * hidden meanwhile stays hidden. take_item looks at how late an item is. */
static void falls_behind_a_scan_that_is_late(void **state)
{
    (void)state;
    for (int by_credit = 0; by_credit < 2; by_credit++) {
        begin(&(struct retention){0});
        any_state = 1;
        write_to(0, 1);
        rig_commit(&rig);
        atomic_store(&commits.durable, newest());
        struct wire_follow follow = follow_of(0);
        follow.credit = by_credit ? 100 : CREDIT;
        follow_and_step(0, &follow);
        assert_int_equal(clients[0].cursor, newest());
        forget_survey();
        write_to(1, 5);
        uint64_t epoch = rig.sessions[1].epoch;
        delete_one(1);
        rig_commit(&rig);
        hide();
        now_ns += SURVEY_NS + SURVEY_NS / 2;
        atomic_store(&commits.durable, newest());
        full = by_credit ? 0 : 1;
        (void)subscriptions_scan(subscriptions);
        full = 0;
        uint64_t before = clients[0].cursor;
        assert_true(before < newest());
        send_credit(0, 2 * CREDIT);
        read_at_once();
        assert_int_equal(clients[0].cursor, newest());
        for (uint64_t at = before + 1; at < epoch + 6; at++)
            assert_int_equal(log_of[at].got[0], 0);
        (void)release(NULL);
    }
}

/* One that falls behind for a moment needs no survey. */
static void falls_behind_for_a_moment(void **state)
{
    (void)state;
    begin(&(struct retention){0});
    any_state = 1;
    struct wire_follow follow = follow_of(0);
    follow.credit = CREDIT;
    follow_and_step(0, &follow);
    forget_survey();
    write_to(0, 5);
    rig_commit(&rig);
    atomic_store(&commits.durable, newest());
    now_ns += SURVEY_NS / 2;
    full = 1;
    (void)subscriptions_scan(subscriptions);
    full = 0;
    uint64_t reads = journal_reader_reads(reader);
    read_at_once();
    assert_int_equal(clients[0].cursor, newest());
    assert_int_equal(journal_reader_reads(reader) - reads, 6); /* each, and the end; once */
}

/* Two that are behind, at different places, and more log after either than one turn surveys. */
static void two_that_are_far_behind(void **state)
{
    (void)state;
    begin(&(struct retention){0});
    any_state = 1;
    while (newest() < 60000)
        write_events();
    rig_commit(&rig);
    tick_ns = 20000;
    struct wire_follow follow = follow_of(0);
    follow.credit = 64 * CREDIT;
    send_follow(0, &follow);
    clients[1].cursor = newest() / 2;
    follow_on(1);
    send_credit(1, 64 * CREDIT);
    for (int turns = 0; turns < 4000; turns++) {
        (void)subscriptions_tick(subscriptions);
        (void)subscriptions_read_log(subscriptions);
        outbox_flush(outbox);
        (void)outbox_tick(outbox);
    }
    assert_int_equal(clients[0].cursor, newest());
    assert_int_equal(clients[1].cursor, newest());
}

static void a_frame_that_lies(void **state)
{
    (void)state;
    static const uint8_t bytes[80];
    begin(&(struct retention){0});
    for (size_t size = 0; size < 73; size++)
        assert_int_equal(subscriptions_follow(subscriptions, to, wire_in(bytes, size)),
                         size == 57 ? SPN_OK : SPN_E_PROTOCOL);
}

/* A follower that is behind misses nothing, whether it wants touches or not. */
static void touches_are_no_gaps(void **state)
{
    (void)state;
    begin(&(struct retention){0});
    any_state = 1;
    for (int i = 0; i < 500; i++) {
        write_to(0, 1);
        rig_touch(&rig, 0);
        note(0, RECORD_TOUCH, rig.sessions[0].epoch);
    }
    rig_commit(&rig);
    index_some();
    for (size_t of = 0; of < CLIENTS; of++) {
        clients[of].touches = of == 0;
        clients[of].prefix = of == 2 ? "nobody" : "";
        struct wire_follow follow = follow_of(of);
        follow.credit = of == 2 ? 0 : CREDIT;
        seen.gaps = 0;
        send_follow(of, &follow);
        for (int i = 0; i < 200; i++)
            step();
        assert_int_equal(seen.gaps, 0);
        assert_int_equal(clients[of].cursor, newest());
    }
}

static bool is_even(const void *owner, uint64_t position)
{
    (void)owner;
    return position % 2 == 0;
}

/* A log with a hole at every second position, and a client that nothing else is for. */
static void a_gap_needs_credit(void **state)
{
    (void)state;
    enum { EVENTS = 100, GAPS = EVENTS / 2 };
    struct journal_deletion deletion = {.count_max = POSITIONS_MAX, .bytes_max = UINT64_MAX};
    uint64_t next;
    begin(&(struct retention){0});
    any_state = 1;
    write_to(0, EVENTS);
    rig_commit(&rig);
    index_some();
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(
        journal_delete_entries(rig.journal, 2, newest(), is_even, NULL, &deletion, &next), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    for (uint64_t at = 3; at <= newest(); at += 2)
        log_of[at].deleted = true;
    clients[0].prefix = "nobody";
    struct wire_follow follow = follow_of(0);
    follow.credit = 0;
    for (size_t gaps = 0; gaps < GAPS; gaps++) {
        if (gaps == 0)
            follow_and_step(0, &follow);
        else /* the last one may exceed it */
            send_credit(0, (gaps - 1) * WIRE_LOG_GAP_CREDIT + 1);
        for (int i = 0; i < 10; i++)
            step();
        assert_int_equal(seen.gaps, gaps);
        assert_int_equal(clients[0].bytes, gaps * WIRE_LOG_GAP_CREDIT);
    }
    send_credit(0, CREDIT);
    for (int i = 0; i < 10; i++)
        step();
    assert_int_equal(seen.gaps, GAPS);
    assert_int_equal(clients[0].cursor, newest());
}

int main(void)
{
    enum { SETTINGS = COUNT(settings), REFUSALS = COUNT(refusals), OTHERS = 12 };
    struct CMUnitTest tests[SETTINGS + REFUSALS + OTHERS] = {
        {"a number in use", a_number_in_use, NULL, release, NULL},
        {"damage ends it", damage_ends_it, NULL, release, NULL},
        {"damage while it is live", damage_while_it_is_live, NULL, release, NULL},
        {"a survey that began again", a_survey_that_began_again, NULL, release, NULL},
        {"two that are far behind", two_that_are_far_behind, NULL, release, NULL},
        {"falls behind a scan that is late", falls_behind_a_scan_that_is_late, NULL, release, NULL},
        {"falls behind for a moment", falls_behind_for_a_moment, NULL, release, NULL},
        {"progress on the way", progress_on_the_way, NULL, release, NULL},
        {"progress at once", progress_at_once, NULL, release, NULL},
        {"a frame that lies", a_frame_that_lies, NULL, release, NULL},
        {"touches are no gaps", touches_are_no_gaps, NULL, release, NULL},
        {"a gap needs credit", a_gap_needs_credit, NULL, release, NULL},
    };
    for (size_t i = 0; i < SETTINGS; i++)
        tests[OTHERS + i] = (struct CMUnitTest){settings[i].name, beside_a_plain_list, NULL,
                                                release, (void *)&settings[i]};
    for (size_t i = 0; i < REFUSALS; i++)
        tests[OTHERS + SETTINGS + i] =
            (struct CMUnitTest){refusals[i].name, is_refused, NULL, release, (void *)&refusals[i]};
    return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
