/* SPDX-License-Identifier: Apache-2.0 */
/* test_subscription: what a client gets, whichever message finds no room.
 *
 * A script of what happens to sessions runs beside subscriptions, with the first, the second, …,
 * the last message finding no room, for a while or for long. Whatever that was, the client must
 * have got, in the end, what the plain lists of the lives say: all events of the life that its
 * verdict named, in order, and an end if that life is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "log_rig.h"
#include "net/outbox.h"
#include "read/subscription_base.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TICK_NS UINT64_C(20000000)

enum {
    MAIN = 0,
    OTHER = 1, /* what happens to it moves the log on */
    SESSIONS = 2,
    WINDOW = 16,
    LIVES_MAX = 4,
    EVENTS_MAX = 32,
    TRIES_MAX = 64,    /* more than any script makes */
    SETTLE_STEPS = 48, /* what found no room found some, and all that follows from it happened */
    CREDIT = 1 << 20,
    NUMBER = 3, /* of the subscription to MAIN */
};

/* A life of MAIN, as it was written. */
struct life {
    struct spn_life id;
    size_t count;
    bool closed;
    bool deleted;
    char ids[EVENTS_MAX][RIG_TEXT_MAX];
};

/* What the client knows. */
struct view_of_client {
    bool waits;
    bool located;
    bool ended;
    uint8_t verdict;
    uint8_t why;
    uint16_t code;
    uint64_t missing; /* of the verdict or the end */
    uint64_t gone;    /* of the gaps */
    uint64_t end_seq;
    uint64_t newest;
    struct spn_life standing; /* life of the newest standing */
    uint8_t state;
    char id[RIG_TEXT_MAX]; /* of the newest standing */
    uint64_t first;        /* seq of the verdict */
    struct spn_life life;
    uint64_t seq;
};

static struct rig rig;
static struct journal_reader *reader;
static struct metrics metrics;
static struct commit_state commits;
static struct mailbox to_broker;
static struct message *late_answers; /* NULL: there are none */
static struct slice scratch;
static struct outbox *outbox;
static struct outbox_peer *to;
static struct subscriptions *subscriptions;
static struct life lives[LIVES_MAX];
static size_t life_count;
static struct view_of_client client;
static char asked;               /* letter of the script that subscribed */
static uint64_t credit = CREDIT; /* of the next subscription */
static uint64_t now_ns;
static size_t tries;     /* of what is counted */
static size_t full_at;   /* this try, and all until full_for more have been made */
static size_t full_for;  /* find no room */
static bool full_outbox; /* deliveries are counted; else messages */
static size_t refused;

static bool is_full(void)
{
    tries++;
    bool full = tries >= full_at && tries < full_at + full_for;
    refused += full ? 1 : 0;
    return full;
}

spn_err __real_outbox_deliver(struct outbox *box, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes);
spn_err __wrap_outbox_deliver(struct outbox *box, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes);
bool __real_outbox_extend(struct outbox *box, struct outbox_peer *peer, uint64_t tag, size_t size,
                          uint8_t **ret_head, uint8_t **ret_bytes);
bool __wrap_outbox_extend(struct outbox *box, struct outbox_peer *peer, uint64_t tag, size_t size,
                          uint8_t **ret_head, uint8_t **ret_bytes);

spn_err __wrap_outbox_deliver(struct outbox *box, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes)
{
    if (full_outbox && is_full())
        return SPN_E_BACKPRESSURE;
    return __real_outbox_deliver(box, peer, tag, size, ret_bytes);
}

bool __wrap_outbox_extend(struct outbox *box, struct outbox_peer *peer, uint64_t tag, size_t size,
                          uint8_t **ret_head, uint8_t **ret_bytes)
{
    if (full_outbox && tries + 1 >= full_at && tries < full_at + full_for)
        return false;
    return __real_outbox_extend(box, peer, tag, size, ret_head, ret_bytes);
}

static uint64_t fake_monotonic_ns(void)
{
    return now_ns;
}

static const struct clock fake_clock = {.monotonic_ns = fake_monotonic_ns,
                                        .boot_ns = fake_monotonic_ns};
static const struct peer peer = {.size = 1, .bytes = {7}};

/* -- damage ------------------------------------------------------------------------------------ */

static uint64_t damaged_position; /* its entry does not read; 0: all do */

spn_err __real_journal_read_entry_from(struct journal_reader *from, uint64_t position,
                                       uint64_t *ret_position, struct record_entry *ret_entry);
spn_err __wrap_journal_read_entry_from(struct journal_reader *from, uint64_t position,
                                       uint64_t *ret_position, struct record_entry *ret_entry);

spn_err __wrap_journal_read_entry_from(struct journal_reader *from, uint64_t position,
                                       uint64_t *ret_position, struct record_entry *ret_entry)
{
    spn_err err = __real_journal_read_entry_from(from, position, ret_position, ret_entry);
    return err == SPN_OK && *ret_position == damaged_position ? SPN_E_CORRUPT : err;
}

static spn_err begin_err; /* SPN_OK: snapshots begin */

spn_err __real_journal_reader_begin(struct journal_reader *begun);
spn_err __wrap_journal_reader_begin(struct journal_reader *begun);

spn_err __wrap_journal_reader_begin(struct journal_reader *begun)
{
    return begin_err != SPN_OK ? begin_err : __real_journal_reader_begin(begun);
}

/* -- the client -------------------------------------------------------------------------------- */

static const struct life *life_of(struct spn_life id)
{
    for (size_t i = 0; i < life_count; i++)
        if (wire_same_life(lives[i].id, id))
            return &lives[i];
    fail_msg("no such life: %02x%02x", id.bytes[0], id.bytes[1]);
    return NULL;
}

static void take_events(const struct wire_deliver *head, struct wire_in *items)
{
    const struct life *life = life_of(client.life);
    for (uint32_t i = 0; i < head->count; i++) {
        struct wire_item item;
        wire_get_item(items, &item);
        assert_false(items->bad);
        assert_int_equal(item.seq, client.seq + 1);
        assert_in_range(item.seq, 1, life->count);
        assert_int_equal(item.entry.id.size, strlen(life->ids[item.seq - 1]));
        assert_memory_equal(item.entry.id.data, life->ids[item.seq - 1], item.entry.id.size);
        client.seq++;
    }
}

static void assert_reason(const struct wire_standing *standing)
{
    const char *reason = standing->state == WIRE_SESSION_CLOSED ? RIG_REASON : "";
    assert_int_equal(standing->reason.size, strlen(reason));
    if (reason[0] != '\0')
        assert_memory_equal(standing->reason.data, reason, strlen(reason));
}

static void take_standing(struct wire_in *rest)
{
    struct wire_standing standing;
    wire_get_standing(rest, &standing);
    assert_false(rest->bad);
    client.standing = standing.life;
    client.newest = standing.newest;
    client.state = standing.state;
    assert_reason(&standing);
    assert_true(standing.id.size < RIG_TEXT_MAX);
    memset(client.id, 0, RIG_TEXT_MAX);
    if (standing.id.size > 0)
        memcpy(client.id, standing.id.data, standing.id.size);
}

/* Of the end of one that had begun: of the life that it read. */
static void take_end_standing(struct wire_in *rest)
{
    struct wire_standing standing;
    wire_get_standing(rest, &standing);
    assert_true(wire_same_life(standing.life, client.life));
    assert_reason(&standing);
    assert_int_equal(standing.id.size, 0);
    client.newest = standing.newest;
    client.state = standing.state;
}

static void take_delivery(const struct wire_deliver *head, struct wire_in *items)
{
    if (client.ended && head->kind == WIRE_END && head->verdict == WIRE_UNSUBSCRIBED)
        return; /* to a grant that came after the end */
    assert_false(client.ended);
    if (head->kind == WIRE_VERDICT || (head->kind == WIRE_END && !client.located)) {
        take_standing(items);
        client.missing = head->missing;
    } else if (head->kind == WIRE_END) {
        take_end_standing(items);
    }
    if (head->kind == WIRE_VERDICT && head->verdict == WIRE_UNKNOWN_SESSION) {
        client.waits = true;
    } else if (head->kind == WIRE_VERDICT) {
        assert_false(client.located);
        client.located = true;
        client.verdict = head->verdict;
        client.life = client.standing;
        client.first = client.seq = head->seq;
    } else if (head->kind == WIRE_END) {
        client.ended = true;
        client.why = head->verdict;
        client.code = head->code;
        client.end_seq = head->seq;
        if (!client.located) {
            assert_true(wire_in_done(items));
            return;
        }
    } else if (head->kind == WIRE_GAP) {
        client.gone += head->missing;
        client.seq += head->missing;
    } else {
        assert_int_equal(head->kind, WIRE_EVENTS);
        assert_true(client.located);
        take_events(head, items);
    }
    assert_true(wire_in_done(items));
    assert_int_equal(head->seq, client.seq);
}

static spn_err fake_send(void *socket, const struct peer *whom, zmq_msg_t *message)
{
    struct wire_header header;
    struct wire_deliver head;
    struct wire_in items;
    uint32_t count;
    (void)socket;
    assert_int_equal(whom->size, peer.size);
    if (!full_outbox && is_full())
        return SPN_E_BACKPRESSURE;
    struct wire_in in = wire_in(zmq_msg_data(message), zmq_msg_size(message));
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    assert_int_equal(header.type, WIRE_DELIVER);
    wire_get_deliveries(&in, &count);
    for (uint32_t i = 0; i < count; i++) {
        wire_get_deliver(&in, &head, &items);
        if (head.subscription == NUMBER)
            take_delivery(&head, &items);
    }
    assert_true(wire_in_done(&in));
    zmq_msg_close(message);
    return SPN_OK;
}

/* -- the sidecar ------------------------------------------------------------------------------- */

static void start(void)
{
    rig_init(&rig, SESSIONS, WINDOW);
    client = (struct view_of_client){.located = false};
    memset(&metrics, 0, sizeof(metrics));
    life_count = tries = refused = 0;
    atomic_store(&commits.durable, 0);
    assert_int_equal(mailbox_init(&to_broker), SPN_OK);
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(outbox_new(&outbox, &(struct outbox_options){.send = fake_send,
                                                                  .clock = &fake_clock,
                                                                  .metrics = &metrics}),
                     SPN_OK);
    to = outbox_meet(outbox, &peer, NULL);
    assert_non_null(to);
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

static void drop_questions(void)
{
    struct message *next;
    for (struct message *node = mailbox_take(&to_broker); node; node = next) {
        next = node->next;
        session_question_free((struct session_question *)node);
    }
}

static int release(void **state)
{
    (void)state;
    if (!subscriptions)
        return 0;
    subscriptions_free(subscriptions);
    outbox_free(outbox);
    subscriptions = NULL;
    drop_questions();
    mailbox_release(&to_broker);
    journal_reader_close(reader);
    rig_release(&rig);
    assert_int_equal(metrics_get(&metrics.unsent), 0);
    return 0;
}

static uint32_t session_of(const struct session_question *question)
{
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (question->sessions[0].name.size == rig_name(&rig, i).size &&
            memcmp(question->sessions[0].name.data, rig_name(&rig, i).data,
                   question->sessions[0].name.size) == 0)
            return i;
    fail_msg("a question about a session that is not there");
    return 0;
}

/* What the broker knows now, for each question that is there. */
static struct message *take_answers(void)
{
    struct message *answers = mailbox_take(&to_broker);
    for (struct message *node = answers; node; node = node->next) {
        struct session_question *question = (struct session_question *)node;
        rig_view(&rig, session_of(question), &question->sessions[0].view);
        question->horizon = rig.next_position - 1;
    }
    return answers;
}

static void give_answers(struct message *answers)
{
    struct message *next;
    for (struct message *node = answers; node; node = next) {
        struct session_question *question = (struct session_question *)node;
        next = node->next;
        subscriptions_answer(subscriptions, question, journal_reader_begin(reader));
        journal_reader_end(reader);
        session_question_free(question);
    }
}

static void tick(void)
{
    now_ns += TICK_NS;
    (void)subscriptions_tick(subscriptions);
    outbox_flush(outbox);
    (void)outbox_tick(outbox);
}

static void step(void)
{
    struct message *held = late_answers;
    late_answers = NULL;
    give_answers(take_answers());
    (void)subscriptions_scan(subscriptions);
    give_answers(held);
    tick();
}

/* -- scripts ----------------------------------------------------------------------------------- */

static void subscribe_to(uint32_t session, uint64_t number, const struct wire_subscribe *request)
{
    uint8_t bytes[512];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct wire_subscribe whole = *request;
    whole.subscription = number;
    whole.incarnation = 1;
    whole.session = rig_name(&rig, session);
    whole.credit = credit;
    wire_put_subscribe(&out, &whole);
    assert_false(out.bad);
    assert_int_equal(
        subscriptions_subscribe(subscriptions, to, wire_in(bytes, wire_out_size(&out))), SPN_OK);
}

/* So much in all, for the subscription to MAIN. */
static void grant(uint64_t bytes)
{
    uint8_t frame[64];
    struct wire_out out = wire_out(frame, sizeof(frame));
    wire_put_grants(&out, 1);
    wire_put_grant(&out,
                   &(struct wire_grant){.subscription = NUMBER, .incarnation = 1, .credit = bytes});
    assert_int_equal(subscriptions_credit(subscriptions, to, wire_in(frame, wire_out_size(&out))),
                     SPN_OK);
}

static void subscribe(const struct wire_subscribe *request)
{
    subscribe_to(MAIN, NUMBER, request);
}

static void note_event(void)
{
    const struct rig_session *of = &rig.sessions[MAIN];
    if (life_count == 0 || !wire_same_life(lives[life_count - 1].id, of->life))
        lives[life_count++] = (struct life){.id = of->life};
    struct life *life = &lives[life_count - 1];
    assert_true(life->count < EVENTS_MAX);
    memcpy(life->ids[life->count++], of->events[of->count - 1].id, RIG_TEXT_MAX);
}

/* e: an event; o: one of the other session; c, d: close, delete; E: an event that closes; s, w:
 * subscribe from the earliest, or wait; a: after the second event of the first life; n: what comes
 * next; S, N: as s and n, without credit; g: a grant that adds nothing; G: one that does; t: only
 * the newest event is retained from now on; x: subscribe to the other session as well; F, W: the
 * generation is frozen, and written; h: the broker's answers come now, and the reader has them
 * after the scan of its next turn; .: the reader's turn. What a letter wrote is durable with the
 * next turn. */
static void run_letter(char letter)
{
    if (strchr("swanSN", letter))
        asked = letter;
    switch (letter) {
    case 'e':
        rig_event(&rig, MAIN, NULL, NULL);
        note_event();
        break;
    case 'o':
        rig_event(&rig, OTHER, NULL, NULL);
        break;
    case 'c':
        rig_end(&rig, MAIN, RECORD_CLOSE);
        lives[life_count - 1].closed = true;
        break;
    case 'E':
        rig_closing_event(&rig, MAIN);
        note_event();
        lives[life_count - 1].closed = true;
        break;
    case 'd':
        rig_end(&rig, MAIN, RECORD_DELETE);
        lives[life_count - 1].deleted = true;
        break;
    case 's':
        subscribe(&(struct wire_subscribe){.start = WIRE_EARLIEST});
        break;
    case 'w':
        subscribe(&(struct wire_subscribe){.start = WIRE_EARLIEST, .otherwise = WIRE_WAIT});
        break;
    case 'a':
        subscribe(&(struct wire_subscribe){
            .start = WIRE_AFTER_SEQ, .life = lives[0].id, .seq = 2, .otherwise = WIRE_RESTART});
        break;
    case 'n':
        subscribe(&(struct wire_subscribe){.start = WIRE_NOW});
        break;
    case 'S':
    case 'N':
        credit = 0;
        subscribe(&(struct wire_subscribe){.start = letter == 'S' ? WIRE_EARLIEST : WIRE_NOW});
        credit = CREDIT;
        break;
    case 'g':
        grant(0);
        break;
    case 'G':
        grant(CREDIT);
        break;
    case 't':
        rig_retain(&rig, (struct retention){.events_max = 1});
        break;
    case 'x':
        subscribe_to(OTHER, NUMBER + 1, &(struct wire_subscribe){.start = WIRE_EARLIEST});
        break;
    case 'h':
        late_answers = take_answers();
        break;
    case 'F':
        rig_freeze(&rig);
        break;
    case 'W':
        rig_write_frozen(&rig);
        rig_drop_frozen(&rig);
        break;
    default:
        assert_int_equal(letter, '.');
        rig_commit(&rig);
        atomic_store(&commits.durable, rig.next_position - 1);
        step();
    }
}

static void run(const char *script)
{
    for (; *script != '\0'; script++)
        run_letter(*script);
    run_letter('.');
    for (int i = 0; i < SETTLE_STEPS; i++)
        step();
}

/* All of the life that the verdict named, and its end; or one of the next life was told of. */
static void check_outcome(void)
{
    if (!client.located) {
        assert_true(client.ended || (client.waits && lives[life_count - 1].deleted));
        return;
    }
    const struct life *life = life_of(client.life);
    if (asked != 'n' &&
        asked != 'N') /* the start as it was asked for, in the life that it begins in */
        assert_int_equal(client.first, asked == 'a' && life == &lives[0] ? 2 : 0);
    if (life->deleted) {
        assert_true(client.ended);
        assert_in_set(client.why, ((const uintmax_t[]){WIRE_DELETED, WIRE_CLOSED}), 2);
        return;
    }
    assert_ptr_equal(life, &lives[life_count - 1]);
    assert_int_equal(client.seq, life->count);
    assert_int_equal(client.ended, life->closed);
    if (life->closed)
        assert_int_equal(client.why, WIRE_CLOSED);
}

static const struct script_row {
    const char *name;
    const char *script;
} script_rows[] = {
    {"another life's events under the wrong life", "eees.deee.e.e."},
    {"another life while the verdict waits, on disk", "eees.FWdeee.e.e."},
    {"after a seq of another life, and restart", "eeea.deeeee.e.e."},
    {"after a seq that is there", "eeea.e.e.ee."},
    {"waiting for the session", "ow.o.e.e.ee."},
    {"waiting, and deleted at once", "w.ed.eee.e."},
    {"caught up, and more", "ees.e.e.eee.e."},
    {"caught up, and closed", "ees.e.c."},
    {"caught up, and closed with the last event", "ees.e.ec."},
    {"behind, and closed", "ees.eeec."},
    {"caught up, and closed by an event", "ees.e.E."},
    {"behind, and closed by an event", "ees.eeeE."},
    {"closed by its only event", "w.E."},
    {"what comes next, closed by an event", "een.e.eE."},
    {"closed by an event, on disk", "eeEFWs."},
    {"caught up, and deleted", "ees.e.d."},
    {"deleted with its last events, and another life", "ees.e.eed.ee."},
    {"deleted and written again at once", "ees.e.edee.ee."},
    {"what comes next", "een.e.ee.e."},
    {"what comes next, closed", "een.e.ec."},
    {"no session", "os.o."},
    {"stalled, and more credit", "eeS.e.G.e."},
    {"stalled, and deleted", "eeS.o.d.o."},
    {"stalled by an event, and deleted", "eeN.e.o.d."},
    {"stalled, deleted, and another life", "eeS.de.e.G."},
    {"stalled, closed, and more credit", "eeS.c.G."},
    {"no credit and no event, closed", "eeN.c."},
    {"no credit and no event, deleted", "eeN.d."},
    {"the scan has passed what the answer does not know", "oox..ees.he."},
    {"the scan has passed the opening that is waited for", "oox..w.hee."},
};

/* Every message finds no room once, for a few tries, for many. */
static void for_every_try(const char *script)
{
    static const size_t spans[] = {1, 2, 3, 5, 8};
    size_t seen = 0;
    for (size_t i = 0; i < COUNT(spans); i++)
        for (size_t at = 1; at <= TRIES_MAX; at++) {
            full_at = at;
            full_for = spans[i];
            start();
            run(script);
            check_outcome();
            seen += refused;
            bool over = tries < at;
            release(NULL);
            if (over)
                break;
        }
    assert_true(seen > 0);
}

static void no_room_in_the_outbox(void **state)
{
    full_outbox = true;
    for_every_try(((const struct script_row *)*state)->script);
}

static void no_room_in_zeromq(void **state)
{
    full_outbox = false;
    for_every_try(((const struct script_row *)*state)->script);
}

/* A user has no more of them than are left to the others; ends make room again. */
static void a_user_leaves_subscriptions_to_the_others(void **state)
{
    (void)state;
    uint8_t bytes[512];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct wire_subscribe request = {.subscription = NUMBER, .incarnation = 1};
    full_at = SIZE_MAX;
    start();
    request.session = rig_name(&rig, MAIN);
    wire_put_subscribe(&out, &request);
    struct wire_in in = wire_in(bytes, wire_out_size(&out));
    to->user->subscriptions = SUBSCRIPTIONS_MAX;
    assert_int_equal(subscriptions_subscribe(subscriptions, to, in), SPN_OK);
    step();
    assert_true(client.ended);
    assert_int_equal(client.why, WIRE_REFUSED_VERDICT);
    assert_int_equal(client.code, SPN_E_LIMIT);
    assert_null(to->subscriber);
    client.ended = false;
    to->user->subscriptions = SUBSCRIPTIONS_MAX - 1;
    assert_int_equal(subscriptions_subscribe(subscriptions, to, in), SPN_OK);
    assert_int_equal(to->user->subscriptions, SUBSCRIPTIONS_MAX);
    step(); /* it asks */
    step();
    assert_true(client.ended); /* there is no such session */
    assert_int_equal(to->user->subscriptions, SUBSCRIPTIONS_MAX - 1);
}

static const struct lag_row {
    const char *name;
    const char *scripts[4]; /* one after the other */
    uint64_t lags[4];       /* after each */
} lag_rows[] = {
    {"it came, and stalls at the next", {"eeN.", "e.", "ee.", "G."}, {0, 1, 3, 0}},
    {"from the earliest, without credit", {"eeS.", "o.", "e.", "G."}, {2, 2, 3, 0}},
    {"it has all, and more", {"ees.", "e.", "eee.", "o."}, {0, 0, 0, 0}},
    {"it stalls, and its session ends", {"eeN.", "e.", "d.", ""}, {0, 1, 0, 0}},
};

/* A peer without subscriptions, for whom nothing waits, is forgotten. */
static bool is_met(const struct outbox_peer *met)
{
    struct outbox_peer *next = NULL;
    do
        next = outbox_next(outbox, next);
    while (next != NULL && next != met);
    return next != NULL;
}

/* Also while it takes nothing. */
static void a_lag_is_known(void **state)
{
    const struct lag_row *row = *state;
    full_at = full_for = 0;
    start();
    for (size_t i = 0; i < COUNT(row->scripts); i++) {
        run(row->scripts[i]);
        if (!is_met(to)) {
            assert_int_equal(row->lags[i], 0);
            continue;
        }
        size_t looks = 2;
        struct subscriptions_lag lag = subscriptions_lag_of(subscriptions, to, &looks);
        assert_int_equal(lag.most, row->lags[i]);
        assert_int_equal(lag.behind, row->lags[i] > 0);
        assert_int_equal(looks, 2 - subscriptions_of_peer(to));
        looks = 0;
        lag = subscriptions_lag_of(subscriptions, to, &looks);
        assert_int_equal(lag.most + lag.behind + looks, 0);
    }
}

/* Nobody has to grant anything for it: what is gone is reported when the sidecar looks. */
static void a_gap_needs_no_credit(void **state)
{
    (void)state;
    full_at = full_for = 0;
    start();
    run("eeeS.");
    assert_int_equal(client.seq, 0);
    run("t.");
    assert_int_equal(client.gone, 0);
    run("g.");
    assert_int_equal(client.gone, 2);
    run("g.g.");
    assert_int_equal(client.gone, 2);
    run("ee.g.");
    assert_int_equal(client.gone, 4);
    assert_int_equal(client.seq, 4);
    run("G.");
    assert_int_equal(client.seq, 5);
    run("c.");
    assert_true(client.ended);
    assert_int_equal(client.end_seq, 5);
    assert_int_equal(client.newest, 5);
    assert_int_equal(client.state, WIRE_SESSION_CLOSED);
}

/* -- where it begins --------------------------------------------------------------------------- */

/* What is there when somebody subscribes: the lives of MAIN, as a script. */
static const struct ground {
    const char *name;
    const char *script;
    uint64_t count; /* events of the present life; 0: there is none */
    uint64_t gone;  /* of these not retained */
    bool closed;
    bool second; /* it is the second life */
} grounds[] = {
    {"nothing", "o.", 0, 0, false, false},
    {"live", "eee.", 3, 0, false, false},
    {"live, on disk", "eee.FW", 3, 0, false, false},
    {"trimmed", "eee.t", 3, 2, false, false},
    {"closed", "eeec.", 3, 0, true, false},
    {"closed and trimmed", "eeec.t", 3, 2, true, false},
    {"deleted", "eeed.", 0, 0, false, false},
    {"another life", "eeed.ee.", 2, 0, false, true},
    {"another life, trimmed", "eeed.ee.t", 2, 1, false, true},
};

enum begins {
    FROM_EARLIEST,
    AFTER_FIRST,
    AFTER_NONE,
    AFTER_SEQ_1,
    AFTER_OTHER_LIFE,
    FROM_NOW,
    BEGINS
};

/* What must come of it. */
struct beginning {
    bool ends;
    uint8_t verdict;
    uint64_t seq;
    uint64_t missing;
};

/* Begins after this seq: `seq` events were read, the next `missing` are gone. */
static struct beginning begin_after(const struct ground *ground, uint64_t seq, uint8_t again)
{
    uint64_t at = seq > ground->gone ? seq : ground->gone;
    struct beginning begins = {.seq = at, .missing = at - seq};
    begins.verdict = again != WIRE_RESUMED ? again : at > seq ? WIRE_TRIMMED : WIRE_RESUMED;
    return begins;
}

static struct beginning begin_again(const struct ground *ground, uint8_t otherwise, uint8_t why,
                                    uint64_t asked_seq)
{
    if ((otherwise & WIRE_RESTART) != 0)
        return begin_after(ground, 0, why);
    return (struct beginning){
        .ends = true, .verdict = why, .seq = asked_seq, .missing = ground->gone};
}

static struct beginning expected_of(const struct ground *ground, enum begins begins,
                                    uint8_t otherwise)
{
    uint64_t asked_seq = begins == AFTER_SEQ_1 || begins == AFTER_OTHER_LIFE ? 1 : 0;
    if (ground->count == 0)
        return (struct beginning){.ends = (otherwise & WIRE_WAIT) == 0,
                                  .verdict = WIRE_UNKNOWN_SESSION,
                                  .seq = asked_seq};
    switch (begins) {
    case FROM_EARLIEST:
        return begin_after(ground, 0, WIRE_RESUMED);
    case AFTER_FIRST: /* of the first life */
        if (ground->second || ground->gone > 0)
            return begin_again(ground, otherwise, WIRE_UNKNOWN_ID, 0);
        return begin_after(ground, 1, WIRE_RESUMED);
    case AFTER_NONE:
        return begin_again(ground, otherwise, WIRE_UNKNOWN_ID, 0);
    case AFTER_SEQ_1: /* of the first life */
        if (ground->second)
            return begin_again(ground, otherwise, WIRE_OTHER_LIFE, 1);
        return begin_after(ground, 1, WIRE_RESUMED);
    case AFTER_OTHER_LIFE:
        return begin_again(ground, otherwise, WIRE_OTHER_LIFE, 1);
    default:
        return begin_after(ground, ground->count, WIRE_RESUMED);
    }
}

static void subscribe_at(enum begins begins, uint8_t otherwise)
{
    static const uint8_t starts[BEGINS] = {WIRE_EARLIEST,  WIRE_AFTER_ID,  WIRE_AFTER_ID,
                                           WIRE_AFTER_SEQ, WIRE_AFTER_SEQ, WIRE_NOW};
    struct wire_subscribe request = {.start = starts[begins], .otherwise = otherwise, .seq = 1};
    request.life = life_count > 0 && begins == AFTER_SEQ_1 ? lives[0].id : (struct spn_life){{99}};
    request.id =
        begins == AFTER_FIRST && life_count > 0 ? rig_text(lives[0].ids[0]) : rig_text("nobody's");
    subscribe(&request);
}

static void check_standing(const struct ground *ground, const struct beginning *expected)
{
    bool stands = ground->count > 0;
    assert_int_equal(client.newest, ground->count);
    assert_true(wire_same_life(client.standing,
                               stands ? lives[life_count - 1].id : (struct spn_life){{0}}));
    assert_int_equal(client.state, ground->closed ? WIRE_SESSION_CLOSED : WIRE_LIVE);
    assert_int_equal(client.missing, expected->missing);
    bool retained = expected->seq > ground->gone || expected->seq == ground->count;
    const char *id = stands && !expected->ends && expected->seq > 0 && retained
                         ? lives[life_count - 1].ids[expected->seq - 1]
                         : "";
    assert_string_equal(client.id, id);
}

static void begin_on(const struct ground *ground, enum begins begins, uint8_t otherwise)
{
    struct beginning expected = expected_of(ground, begins, otherwise);
    full_at = full_for = 0;
    credit = 0;
    start();
    run(ground->script);
    subscribe_at(begins, otherwise);
    run(".");
    credit = CREDIT;
    bool is_end = client.ended && (!client.located || client.why != WIRE_CLOSED);
    assert_int_equal(is_end, expected.ends);
    check_standing(ground, &expected);
    if (expected.ends) {
        assert_int_equal(client.why, expected.verdict);
        assert_int_equal(client.end_seq, expected.seq);
    } else if (ground->count == 0) {
        assert_true(client.waits);
        run("G.e.");
        assert_int_equal(client.verdict, WIRE_RESUMED);
        assert_int_equal(client.first, 0);
        assert_int_equal(client.seq, 1);
    } else {
        assert_int_equal(client.verdict, expected.verdict);
        assert_int_equal(client.first, expected.seq);
        run(client.ended ? "." : "G.");
        assert_int_equal(client.seq, ground->count);
        assert_int_equal(client.ended, ground->closed);
    }
    release(NULL);
}

static void begins_as_it_should(void **state)
{
    const struct ground *ground = *state;
    for (int begins = 0; begins < BEGINS; begins++)
        for (int otherwise = 0; otherwise <= (WIRE_RESTART | WIRE_WAIT); otherwise++) {
            print_message("begin %d, otherwise %d\n", begins, otherwise);
            begin_on(ground, (enum begins)begins, (uint8_t)otherwise);
        }
}

/* -- what ALIVE says --------------------------------------------------------------------------- */

static void counts_those_of_a_connection(void **state)
{
    (void)state;
    full_at = full_for = 0;
    start();
    assert_int_equal(subscriptions_of_peer(to), 0);
    run("eeosx.");
    assert_int_equal(subscriptions_of_peer(to), 2);
    run("c.");
    assert_int_equal(subscriptions_of_peer(to), 1);
    now_ns += UINT64_C(1000000) * (LEASE_MS + 2000);
    (void)subscriptions_tick(subscriptions);        /* the outbox's tick would forget the peer */
    assert_int_equal(subscriptions_of_peer(to), 0); /* the lease ran out */
}

/* The scan cannot give it, the index can. Nothing comes after it. */
static void a_damaged_entry_of_its_own_is_read_from_the_index(void **state)
{
    (void)state;
    full_at = full_for = 0;
    start();
    run("ees.");
    damaged_position = rig.next_position;
    run("e.");
    damaged_position = 0;
    check_outcome();
    assert_int_equal(metrics_get(&metrics.damaged_reads), 1);
}

/* The scan goes on after it, and somebody is told. */
static void one_damaged_entry_does_not_stop_live_delivery(void **state)
{
    (void)state;
    full_at = full_for = 0;
    start();
    run("oees.");
    damaged_position = rig.next_position;
    run("o.");
    run("e.e.ee.");
    damaged_position = 0;
    check_outcome();
    assert_int_equal(metrics_get(&metrics.damaged_reads), 1);
}

static const struct no_snapshot_row {
    const char *name;
    const char *script;
    spn_err err;
    uint8_t why;
} no_snapshot_rows[] = {
    {"live: without a snapshot nothing was heard", "ees.", SPN_E_CORRUPT, WIRE_DAMAGED},
    {"waiting: without a snapshot nothing was heard", "ow.", SPN_E_CORRUPT, WIRE_DAMAGED},
    {"live: a disk that does not answer", "ees.", SPN_E_IO, WIRE_FAILED},
    {"waiting: a disk that does not answer", "ow.", SPN_E_IO, WIRE_FAILED},
};

/* A subscription that is live, or waits for its session, gets its verdict. */
static void without_a_snapshot(void **state)
{
    const struct no_snapshot_row *row = *state;
    full_at = full_for = 0;
    start();
    run(row->script);
    assert_false(client.ended);
    begin_err = row->err;
    run("o");
    begin_err = SPN_OK;
    assert_true(client.ended);
    assert_int_equal(client.why, row->why);
    assert_int_equal(metrics_get(&metrics.damaged_reads) > 0, row->err == SPN_E_CORRUPT);
}

/* Memory that runs out is tried again. */
static void without_memory_for_a_snapshot(void **state)
{
    (void)state;
    full_at = full_for = 0;
    start();
    run("ees.");
    begin_err = SPN_E_NOMEM;
    run("o");
    begin_err = SPN_OK;
    run("e.");
    check_outcome();
    assert_false(client.ended);
}

static const struct CMUnitTest plain[] = {
    cmocka_unit_test_teardown(a_user_leaves_subscriptions_to_the_others, release),
    cmocka_unit_test_teardown(a_gap_needs_no_credit, release),
    cmocka_unit_test_teardown(counts_those_of_a_connection, release),
    cmocka_unit_test_teardown(one_damaged_entry_does_not_stop_live_delivery, release),
    cmocka_unit_test_teardown(a_damaged_entry_of_its_own_is_read_from_the_index, release),
    cmocka_unit_test_teardown(without_memory_for_a_snapshot, release),
};

static struct CMUnitTest tests[2 * COUNT(script_rows) + COUNT(no_snapshot_rows) + COUNT(grounds) +
                               COUNT(lag_rows) + COUNT(plain)];

int main(void)
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT(script_rows); i++) {
        void *row = (void *)(uintptr_t)&script_rows[i];
        tests[count++] =
            (struct CMUnitTest){script_rows[i].name, no_room_in_the_outbox, NULL, release, row};
        tests[count++] =
            (struct CMUnitTest){script_rows[i].name, no_room_in_zeromq, NULL, release, row};
    }
    for (size_t i = 0; i < COUNT(no_snapshot_rows); i++)
        tests[count++] = (struct CMUnitTest){no_snapshot_rows[i].name, without_a_snapshot, NULL,
                                             release, (void *)(uintptr_t)&no_snapshot_rows[i]};
    for (size_t i = 0; i < COUNT(grounds); i++)
        tests[count++] = (struct CMUnitTest){grounds[i].name, begins_as_it_should, NULL, release,
                                             (void *)(uintptr_t)&grounds[i]};
    for (size_t i = 0; i < COUNT(lag_rows); i++)
        tests[count++] = (struct CMUnitTest){lag_rows[i].name, a_lag_is_known, NULL, release,
                                             (void *)(uintptr_t)&lag_rows[i]};
    memcpy(&tests[count], plain, sizeof(plain));
    return _cmocka_run_group_tests("subscription", tests, COUNT(tests), NULL, NULL);
}
