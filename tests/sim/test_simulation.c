/* SPDX-License-Identifier: Apache-2.0 */
/* test_simulation: the whole daemon in one thread, by a seed.
 *
 * Broker, worker and reader are the daemon's own, with its database. Each is a fiber that runs
 * until it waits for something; the seed says which one goes on, when time does, when ZeroMQ is
 * full, when a connection is lost with what was on its way, and when the process dies: between any
 * two turns, before a commit, and after it. Producers and subscribers live through all of it. What
 * they know is the oracle:
 *
 *     acknowledged is on disk     a producer that opens again finds at least what was acknowledged
 *     once and in order           each number of each producer is in the log once, in order
 *     delivered stays             an event that was delivered as (session, seq) is that for ever
 *     nothing is left out         each subscriber gets every seq, one after the other; where a rule
 *                                 of retention holds, or is told how many are gone
 *     retained is there           the newest events of each session, as many as the rule keeps
 *     deleted stays deleted       once a deletion was acknowledged, or a reader was told of it,
 *                                 nobody is shown that life again
 *     one wins                    of the producers that want a session's next seq, or to close it
 * with its last event, exactly one is told that it did, and has every result is told        every
 * second number of one producer is a conflict or refused, and there are more of them than a broker
 * keeps; some of all producers are refused, each for a reason of its own
 *
 * A life is a process of its own, so that dying costs nothing; the clients are in memory that all
 * lives share. The same seed is the same run. Arguments: the first seed, how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "one_thread.h"
#include "store/journal.h"

#define MS ONE_THREAD_MS

enum {
    SEEDS = 1000,
    LIVES = 4,   /* the last one does not die */
    PLAIN = 3,   /* producers of the first sessions ... */
    DELETER = 3, /* ... one that deletes its own session again and again ... */
    FLOODER = 4, /* ... and one whose every second number is a conflict or refused */
    PRODUCERS = 5,
    SESSIONS = 4, /* of the plain producers, and one each of the other two */
    DELETED = 4,
    FLOODED = 5,
    RACED = 6,  /* each plain producer wants each of its seqs */
    EVERY = 13, /* numbers of a plain producer, of which these are special: */
    RACES_AT = 3,
    UNKNOWN_AT = 5,
    BAD_ID_AT = 8,
    NOT_NEW_AT = 11,
    DEPENDS_AT = 12,
    SUBSCRIBERS = 2 * (SESSIONS + 1), /* the second half begins anew with each life */
    SUBSCRIBER = 9,                   /* their peer's name; producers are 0, 1, ... */
    LIFE = 11,                        /* each such number of the deleter is a deletion */
    RETAINED = 20,                    /* events of a session, with every second seed */
    NUMBERS = 120,                    /* of each producer, in all lives */
    WINDOW = 32,
    BATCH_MAX = 5,
    FLOOD = 12000, /* of the flooder */
    FLOOD_WINDOW = 10000,
    FLOOD_BATCH = 100, /* to three times as many */
    SEQS_MAX = PLAIN * NUMBERS,
    TURNS_MIN = 200, /* of a life that dies */
    TURNS_SPAN = 1200,
    TURNS_TO_REST = 60000,
    PATIENCE_NS = 300 * 1000000,
    CREDIT_STEP = 400,
    DIED = 0,
    SETTLED = 3,
    WRONG = 2,
};

/* -- what the clients know --------------------------------------------------------------------- */

struct producer_client {
    uint64_t token;
    uint64_t sent;
    uint64_t reached; /* the highest number that was sent, in any life */
    uint64_t acked;
    uint32_t round;
    bool open; /* in this life */
    uint64_t heard_ns;
};

struct subscriber {
    uint32_t incarnation;
    bool subscribed; /* in this life */
    bool located;
    struct spn_life life; /* zeros: not known */
    uint64_t seq;
    uint64_t bytes;
    uint64_t credit;
    uint64_t heard_ns;
    uint64_t deleted; /* lives whose deletion was acknowledged when it subscribed */
};

struct hazards {
    uint64_t died, died_before_commit, died_after_commit, in_flight, full, no_room, lost,
        opened_again, resumed, delivered, trimmed, gaps, ended, refused, races, not_stored,
        most_not_stored;
};

struct shared {
    uint64_t random;
    uint64_t seed;
    struct producer_client producers[PRODUCERS];
    struct subscriber subscribers[SUBSCRIBERS];
    uint32_t got[SESSIONS][SEQS_MAX + 1]; /* by seq: producer and number; 0: not delivered yet */
    uint64_t drawn;                       /* of lives: none comes twice, after a restart either */
    struct spn_life lives[NUMBERS / LIFE + 1]; /* of the deleter's lives; 0: not delivered yet */
    uint8_t won[NUMBERS / EVERY + 1];          /* races: producer + 1; 0: nobody was told yet */
    bool ended[NUMBERS / LIFE + 1];            /* somebody was told that it is deleted */
    struct hazards hazards;
    char wrong[256];
};

static struct shared *shared;
static const char *data_dir;

/* -- this life --------------------------------------------------------------------------------- */

static bool is_full[3];  /* by socket */
static bool has_no_room; /* the outbox, for any peer */
static bool is_last;
static bool harmless;         /* the last life comes to rest */
static unsigned commits_left; /* until it dies at one; 0: it does not */
static bool dies_before;

static void __attribute__((noreturn, format(printf, 1, 2))) wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(shared->wrong, sizeof(shared->wrong), format, arguments);
    va_end(arguments);
    _exit(WRONG);
}

static void expect(bool holds, const char *what)
{
    if (!holds)
        wrong("%s", what);
}

static uint64_t roll(uint64_t sides)
{
    shared->random ^= shared->random << 13;
    shared->random ^= shared->random >> 7;
    shared->random ^= shared->random << 17;
    return (shared->random >> 16) % sides;
}

static void die(void)
{
    shared->hazards.died++;
    for (size_t i = 0; i < PRODUCERS; i++)
        shared->hazards.in_flight += shared->producers[i].sent > shared->producers[i].acked;
    _exit(DIED);
}

static struct spn_bytes name_of(uint64_t session)
{
    static const char *const names[] = {"s0", "s1", "s2", "s3", "deleted", "flooded", "raced"};
    return (struct spn_bytes){names[session], strlen(names[session])};
}

static bool has_flood(void)
{
    return shared->seed % 16 == 5;
}

static uint64_t numbers_of(uint8_t producer)
{
    return producer != FLOODER ? NUMBERS : has_flood() ? FLOOD : 0;
}

static bool is_race(uint8_t producer, uint64_t number)
{
    return producer < PLAIN && number % EVERY == RACES_AT;
}

static bool is_last_race(uint64_t number)
{
    return number + EVERY > NUMBERS;
}

static uint64_t session_of(uint8_t producer, uint64_t number)
{
    return is_race(producer, number) ? RACED
           : producer == DELETER     ? DELETED
           : producer == FLOODER     ? FLOODED
                                     : (number * 7 + producer) % SESSIONS;
}

static uint64_t session_of_subscriber(uint64_t number)
{
    return number % (SUBSCRIBERS / 2);
}

/* SPN_OK: it is not refused. The reason of a deleter's is a state that its own numbers made. */
static spn_err refusal_of(uint8_t producer, uint64_t number)
{
    if (producer == FLOODER)
        return number % 4 == 0 ? SPN_E_BAD_ID : SPN_OK;
    if (producer == DELETER)
        return number % LIFE == LIFE - 1 ? SPN_E_OTHER_LIFE : SPN_OK;
    /* Four numbers before NOT_NEW_AT one was stored in the same session. */
    return number % EVERY == UNKNOWN_AT   ? SPN_E_UNKNOWN_SESSION
           : number % EVERY == BAD_ID_AT  ? SPN_E_BAD_ID
           : number % EVERY == NOT_NEW_AT ? SPN_E_CONDITION
           : number % EVERY == DEPENDS_AT ? SPN_E_DEPENDENT
                                          : SPN_OK;
}

static uint8_t result_of(uint8_t producer, uint64_t number)
{
    if (refusal_of(producer, number) != SPN_OK)
        return WIRE_REFUSED;
    return producer == FLOODER && number % 2 == 0 ? WIRE_CONFLICT : WIRE_STORED;
}

/* Of the plain producers. */
static uint64_t stored_in_all(void)
{
    uint64_t stored = 0;
    for (unsigned producer = 0; producer < PLAIN; producer++)
        for (uint64_t number = 1; number <= NUMBERS; number++)
            stored += !is_race((uint8_t)producer, number) &&
                      result_of((uint8_t)producer, number) == WIRE_STORED;
    return stored;
}

/* -- sending to the daemon --------------------------------------------------------------------- */

static void send_frame(enum one_thread_socket socket, uint8_t peer, const struct wire_out *out)
{
    expect(!out->bad, "a frame of the simulation has no room");
    (void)one_thread_send(socket, peer, out->start, wire_out_size(out));
}

static void send_open(uint8_t producer)
{
    uint8_t bytes[ONE_THREAD_FRAME_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct producer_client *client = &shared->producers[producer];
    struct wire_open open = {.token = client->token, .base = client->acked + 1, .kept = true};
    memset(open.producer, 'a' + producer, sizeof(open.producer));
    wire_put_header(&out, WIRE_OPEN, 1);
    wire_put_open(&out, &open);
    send_frame(ONE_THREAD_INGEST, producer, &out);
}

static void put_refused(struct wire_out *out, uint8_t producer, uint64_t number)
{
    struct wire_entry entry = {.kind = WIRE_EVENT,
                               .session = name_of(session_of(producer, number)),
                               .id = {"\n", 1},
                               .retry_ms = WIRE_RETRY_NONE};
    if (refusal_of(producer, number) == SPN_E_UNKNOWN_SESSION)
        entry = (struct wire_entry){.kind = WIRE_CLOSE,
                                    .flags = WIRE_FLAG_CLOSES,
                                    .session = {"nobody", 6},
                                    .retry_ms = WIRE_RETRY_NONE};
    if (refusal_of(producer, number) == SPN_E_OTHER_LIFE)
        entry = (struct wire_entry){.kind = WIRE_DELETE,
                                    .session = entry.session,
                                    .flags = WIRE_FLAG_LIFE,
                                    .life = {{0xff}},
                                    .retry_ms = WIRE_RETRY_NONE};
    if (refusal_of(producer, number) == SPN_E_CONDITION) {
        entry.id = (struct spn_bytes){"new", 3};
        entry.flags = WIRE_FLAG_NEW;
    }
    if (refusal_of(producer, number) == SPN_E_DEPENDENT) {
        entry.id = (struct spn_bytes){"depends", 7};
        entry.flags = WIRE_FLAG_DEPENDS;
        entry.depends = number - 1;
    }
    wire_put_entry(out, &entry);
}

static void put_number(struct wire_out *out, uint8_t producer, uint64_t number)
{
    if (refusal_of(producer, number) != SPN_OK) {
        put_refused(out, producer, number);
        return;
    }
    char id[24];
    struct wire_entry entry = {.kind = WIRE_EVENT,
                               .session = name_of(session_of(producer, number)),
                               .retry_ms = WIRE_RETRY_NONE};
    bool conflict = result_of(producer, number) == WIRE_CONFLICT;
    int size = snprintf(id, sizeof(id), "%u %u", (unsigned)producer, (unsigned)(number - conflict));
    entry.id = (struct spn_bytes){id, (size_t)size};
    entry.data = (struct spn_bytes){id, (size_t)(size - conflict)};
    if (is_race(producer, number)) {
        entry.flags = WIRE_FLAG_SEQ | (is_last_race(number) ? WIRE_FLAG_CLOSES : 0);
        entry.seq = number / EVERY;
        entry.reason = (struct spn_bytes){"won", 3};
    }
    if (producer == DELETER && number % LIFE == 0)
        entry = (struct wire_entry){
            .kind = WIRE_DELETE, .session = entry.session, .retry_ms = WIRE_RETRY_NONE};
    wire_put_entry(out, &entry);
}

static void send_batch(uint8_t producer)
{
    uint8_t bytes[ONE_THREAD_FRAME_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct producer_client *client = &shared->producers[producer];
    uint64_t most = numbers_of(producer);
    uint64_t window = producer == FLOODER ? FLOOD_WINDOW : WINDOW;
    uint64_t count =
        producer == FLOODER ? FLOOD_BATCH + roll(2 * FLOOD_BATCH) : 1 + roll(BATCH_MAX);
    if (client->sent + count > most)
        count = most - client->sent;
    if (count == 0 || client->sent + count > client->acked + window)
        return;
    wire_put_header(&out, WIRE_BATCH, 0);
    wire_put_batch(&out, &(struct wire_batch){.token = client->token,
                                              .first = client->sent + 1,
                                              .base = client->acked + 1,
                                              .round = client->round,
                                              .count = (uint32_t)count,
                                              .level = WIRE_DURABLE});
    for (uint64_t i = 0; i < count; i++)
        put_number(&out, producer, client->sent + 1 + i);
    send_frame(ONE_THREAD_INGEST, producer, &out);
    client->sent += count;
    if (client->reached < client->sent)
        client->reached = client->sent;
}

static void send_subscribe(uint64_t number)
{
    uint8_t bytes[ONE_THREAD_FRAME_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct subscriber *subscriber = &shared->subscribers[number];
    subscriber->incarnation++;
    subscriber->subscribed = true;
    subscriber->located = false;
    subscriber->bytes = 0;
    subscriber->credit = CREDIT_STEP;
    subscriber->deleted = shared->producers[DELETER].acked / LIFE;
    shared->hazards.resumed += wire_has_life(subscriber->life);
    wire_put_header(&out, WIRE_SUBSCRIBE, 1);
    wire_put_subscribe(
        &out, &(struct wire_subscribe){.subscription = number,
                                       .incarnation = subscriber->incarnation,
                                       .start = wire_has_life(subscriber->life) ? WIRE_AFTER_SEQ
                                                                                : WIRE_EARLIEST,
                                       .otherwise = WIRE_WAIT,
                                       .life = subscriber->life,
                                       .seq = wire_has_life(subscriber->life) ? subscriber->seq : 0,
                                       .credit = subscriber->credit,
                                       .session = name_of(session_of_subscriber(number))});
    send_frame(ONE_THREAD_READ, SUBSCRIBER, &out);
}

/* The lease, and room for more. */
static void send_credit(uint64_t number)
{
    uint8_t bytes[ONE_THREAD_FRAME_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct subscriber *subscriber = &shared->subscribers[number];
    subscriber->credit = subscriber->bytes + CREDIT_STEP;
    wire_put_header(&out, WIRE_CREDIT, 0);
    wire_put_grants(&out, 1);
    wire_put_grant(&out, &(struct wire_grant){.subscription = number,
                                              .incarnation = subscriber->incarnation,
                                              .credit = subscriber->credit});
    send_frame(ONE_THREAD_READ, SUBSCRIBER, &out);
}

/* -- what comes back --------------------------------------------------------------------------- */

/* A loser finds another seq there. Nobody else was told that he has won. */
static void note_race(uint8_t producer, uint64_t number, uint8_t result, uint16_t code)
{
    uint8_t *won = &shared->won[number / EVERY];
    shared->hazards.races += result == WIRE_STORED;
    if (result == WIRE_STORED)
        expect(*won == 0, "two have won");
    else
        expect(result == WIRE_REFUSED && code == SPN_E_CONDITION, "a loser is told something else");
    if (result == WIRE_STORED)
        *won = (uint8_t)(producer + 1);
}

/* The numbers up to this one that were not acknowledged before ended as they should: as a run says,
 * or stored. Of others there need not be runs any more. */
static void take_results(uint8_t producer, uint64_t up_to, uint32_t run_count, struct wire_in *in)
{
    uint64_t next = shared->producers[producer].acked + 1;
    uint64_t not_stored = 0;
    for (uint32_t i = 0; i <= run_count; i++) {
        struct wire_run run = {.first = up_to + 1};
        if (i < run_count)
            wire_get_run(in, &run);
        expect(!in->bad && run.first + run.count <= up_to + 1, "runs that are none");
        for (; next < run.first + run.count; next++) {
            uint8_t result = next < run.first ? WIRE_STORED : run.result;
            uint16_t code = next < run.first ? 0 : run.code;
            if (is_race(producer, next)) {
                note_race(producer, next, result, code);
                continue;
            }
            if (result != result_of(producer, next) || code != refusal_of(producer, next))
                wrong("%u:%u ended with result %u, code %u", producer, (unsigned)next, result,
                      code);
            not_stored += result != WIRE_STORED;
            shared->hazards.refused += result == WIRE_REFUSED;
        }
    }
    shared->hazards.not_stored += not_stored;
    if (shared->hazards.most_not_stored < not_stored)
        shared->hazards.most_not_stored = not_stored;
}

static void take_opened(uint8_t producer, struct wire_in *in)
{
    struct wire_state state;
    struct producer_client *client = &shared->producers[producer];
    wire_get_state(in, &state);
    if (client->open)
        return; /* the answer to an OPEN that was sent again, and has waited since */
    expect(state.durable >= client->acked, "what was acknowledged is not on disk");
    take_results(producer, state.durable, state.run_count, in);
    expect(state.token == client->token, "another token than it came with");
    shared->hazards.opened_again += client->acked > 0;
    client->open = true;
    client->acked = client->sent = state.durable;
    client->round++;
}

static void take_ack(uint8_t producer, struct wire_in *in)
{
    struct wire_ack ack;
    struct producer_client *client = &shared->producers[producer];
    wire_get_ack(in, &ack);
    expect(ack.token != client->token || ack.up_to <= client->reached,
           "more is acknowledged than was sent");
    if (ack.token != client->token || ack.up_to <= client->acked)
        return;
    expect(ack.from <= client->acked, "an acknowledgement leaves numbers out");
    take_results(producer, ack.up_to, ack.run_count, in);
    client->acked = ack.up_to;
    if (client->sent < client->acked)
        client->sent = client->acked;
}

static void take_expect(struct producer_client *client, struct wire_in *in)
{
    struct wire_expect hole;
    wire_get_expect(in, &hole);
    if (hole.token != client->token || hole.round != client->round || hole.number > client->sent)
        return;
    client->sent = hole.number - 1;
    client->round++;
}

/* An id is the producer and the number, with a space between. */
static uint32_t what_is(struct spn_bytes id)
{
    char text[24] = {0};
    char *end;
    if (id.size >= sizeof(text))
        wrong("an id that nobody sent");
    memcpy(text, id.data, id.size);
    unsigned long producer = strtoul(text, &end, 10);
    unsigned long number = strtoul(end, &end, 10);
    if (*end != '\0' || producer >= PRODUCERS || number == 0 ||
        number > numbers_of((uint8_t)producer))
        wrong("an id that nobody sent: %s", text);
    return (uint32_t)(producer << 16 | number);
}

static void note_delivered(uint64_t session, uint64_t seq, struct spn_bytes id)
{
    uint32_t what = what_is(id);
    expect(seq <= SEQS_MAX, "a seq that cannot be");
    uint32_t *got = &shared->got[session][seq];
    if (*got != 0 && *got != what)
        wrong("s%u: seq %u is %u:%u, and was %u:%u", (unsigned)session, (unsigned)seq, what >> 16,
              what & 0xffff, *got >> 16, *got & 0xffff);
    *got = what;
    shared->hazards.delivered++;
}

/* Each life has the numbers between two deletions. */
static void note_delivered_of_life(struct spn_life life, uint64_t seq, struct spn_bytes id)
{
    uint32_t what = what_is(id);
    uint32_t number = what & 0xffff;
    expect(what >> 16 == DELETER && number % LIFE == seq, "an event of another life");
    struct spn_life *known = &shared->lives[number / LIFE];
    expect(!wire_has_life(*known) || wire_same_life(*known, life), "a life with two ids");
    *known = life;
    shared->hazards.delivered++;
}

static void take_events(uint64_t number, const struct wire_deliver *head, struct wire_in *items)
{
    uint64_t session = session_of_subscriber(number);
    struct subscriber *subscriber = &shared->subscribers[number];
    expect(subscriber->located, "events before the verdict");
    for (uint32_t i = 0; i < head->count; i++) {
        struct wire_item item;
        wire_get_item(items, &item);
        expect(!items->bad, "an item does not read");
        if (item.seq != subscriber->seq + 1)
            wrong("s%u: seq %u comes after %u", (unsigned)session, (unsigned)item.seq,
                  (unsigned)subscriber->seq);
        subscriber->seq = item.seq;
        if (session == DELETED)
            note_delivered_of_life(subscriber->life, item.seq, item.entry.id);
        else
            note_delivered(session, item.seq, item.entry.id);
    }
    subscriber->bytes = head->bytes;
}

static bool has_rule(void)
{
    return shared->seed % 2 == 0;
}

static void begin_anew(struct subscriber *subscriber)
{
    subscriber->located = false;
    subscriber->life = (struct spn_life){{0}};
    subscriber->seq = 0;
}

/* What a subscriber of the session that is deleted may be told beside what the others are. True: it
 * was that. */
static bool take_verdict_of_life(struct subscriber *subscriber, const struct wire_deliver *head,
                                 struct spn_life named)
{
    if (head->verdict == WIRE_UNKNOWN_SESSION) {
        begin_anew(subscriber);
        return true;
    }
    if (head->verdict == WIRE_OTHER_LIFE || head->verdict == WIRE_DELETED) {
        for (size_t life = 0; life <= NUMBERS / LIFE; life++)
            if (wire_has_life(subscriber->life) &&
                wire_same_life(shared->lives[life], subscriber->life))
                shared->ended[life] = true;
        begin_anew(subscriber);
        subscriber->subscribed = false;
        shared->hazards.ended++;
        return true;
    }
    for (uint64_t life = 0; life <= NUMBERS / LIFE; life++)
        expect(!wire_same_life(shared->lives[life], named) ||
                   (life >= subscriber->deleted && !shared->ended[life]),
               "a life that was deleted is there again");
    return false;
}

static void take_verdict(uint64_t number, const struct wire_deliver *head,
                         const struct wire_standing *standing)
{
    struct subscriber *subscriber = &shared->subscribers[number];
    if (session_of_subscriber(number) == DELETED &&
        take_verdict_of_life(subscriber, head, standing->life))
        return;
    if (head->verdict == WIRE_UNKNOWN_SESSION) {
        expect(!wire_has_life(subscriber->life), "a session that was there is not known");
        return;
    }
    bool trimmed = head->verdict == WIRE_TRIMMED && has_rule();
    if (head->verdict != WIRE_RESUMED && !trimmed)
        wrong("a subscription begins with verdict %u", head->verdict);
    uint64_t from = wire_has_life(subscriber->life) ? subscriber->seq : 0;
    expect(!wire_has_life(subscriber->life) || wire_same_life(standing->life, subscriber->life),
           "another life");
    expect(standing->newest >= head->seq, "it begins after the newest");
    expect(head->seq == from + (trimmed ? head->missing : 0), "it does not begin where it should");
    shared->hazards.trimmed += trimmed;
    subscriber->located = true;
    subscriber->life = standing->life;
    subscriber->seq = head->seq;
}

static void take_gap(struct subscriber *subscriber, const struct wire_deliver *head)
{
    expect(subscriber->located && has_rule(), "a gap that cannot be");
    expect(head->seq == subscriber->seq + head->missing, "a gap of another size");
    subscriber->seq = head->seq;
    shared->hazards.gaps++;
}

static void take_delivery(const struct wire_deliver *head, struct wire_in *items)
{
    uint64_t number = head->subscription;
    expect(number < SUBSCRIBERS, "a subscription that nobody has");
    struct subscriber *subscriber = &shared->subscribers[number];
    if (head->incarnation != subscriber->incarnation || !subscriber->subscribed)
        return;
    struct wire_standing standing = {.newest = 0};
    subscriber->heard_ns = one_thread_now_ns;
    if (head->kind == WIRE_VERDICT || head->kind == WIRE_END) {
        wire_get_standing(items, &standing);
        expect(wire_in_done(items), "a standing does not read");
    }
    if (head->kind == WIRE_VERDICT)
        take_verdict(number, head, &standing);
    else if (head->kind == WIRE_EVENTS)
        take_events(number, head, items);
    else if (head->kind == WIRE_GAP)
        take_gap(subscriber, head);
    else if (head->kind == WIRE_END && head->verdict == WIRE_UNSUBSCRIBED)
        subscriber->subscribed = false;
    else if (head->kind == WIRE_END && session_of_subscriber(number) == DELETED &&
             take_verdict_of_life(subscriber, head, standing.life))
        return;
    else
        wrong("subscription %u: delivery of kind %u, verdict %u", (unsigned)number, head->kind,
              head->verdict);
}

static void take_deliveries(struct wire_in *in)
{
    uint32_t count;
    wire_get_deliveries(in, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct wire_deliver head;
        struct wire_in items;
        wire_get_deliver(in, &head, &items);
        expect(!in->bad, "a delivery does not read");
        take_delivery(&head, &items);
    }
}

static void take_alive(struct wire_in *in)
{
    struct wire_alive alive;
    wire_get_alive(in, &alive);
    expect(wire_in_done(in), "an ALIVE does not read");
    expect(alive.subscriptions <= SUBSCRIBERS, "more subscriptions than there are");
}

static void take_message(enum one_thread_socket socket, uint8_t peer, const void *bytes,
                         size_t size)
{
    (void)socket;
    struct wire_in in = wire_in(bytes, size);
    struct wire_header header;
    expect(wire_get_header(&in, &header) == SPN_OK, "a header does not read");
    if (header.type == WIRE_DELIVER) {
        take_deliveries(&in);
        return;
    }
    if (header.type == WIRE_ALIVE) {
        take_alive(&in);
        return;
    }
    expect(peer < PRODUCERS, "an answer to nobody");
    struct producer_client *client = &shared->producers[peer];
    client->heard_ns = one_thread_now_ns;
    if (header.type == WIRE_OPENED)
        take_opened(peer, &in);
    else if (header.type == WIRE_ACK)
        take_ack(peer, &in);
    else if (header.type == WIRE_EXPECT)
        take_expect(client, &in);
    else
        wrong("producer %u got a message of type %u", peer, header.type);
}

/* -- clients go on ----------------------------------------------------------------------------- */

/* The flooder reads nothing before it has sent all that it may: what it is not told has to be kept.
 */
static bool reads_nothing(uint8_t peer)
{
    const struct producer_client *client = &shared->producers[FLOODER];
    uint64_t may = client->acked + FLOOD_WINDOW;
    uint64_t most = may < FLOOD ? may : FLOOD;
    return peer == FLOODER && client->open && client->sent + 3 * FLOOD_BATCH <= most;
}

static void producer_turn(uint8_t producer)
{
    struct producer_client *client = &shared->producers[producer];
    bool impatient = one_thread_now_ns - client->heard_ns > PATIENCE_NS && !reads_nothing(producer);
    if (numbers_of(producer) == 0)
        return;
    if (!client->open) {
        if (client->heard_ns == 0 || impatient) {
            send_open(producer);
            client->heard_ns = one_thread_now_ns;
        }
        return;
    }
    if (impatient && client->acked < client->sent) {
        client->sent = client->acked;
        client->round++;
        client->heard_ns = one_thread_now_ns;
    }
    send_batch(producer);
}

static void subscriber_turn(uint64_t number)
{
    struct subscriber *subscriber = &shared->subscribers[number];
    bool impatient = one_thread_now_ns - subscriber->heard_ns > PATIENCE_NS;
    if (!subscriber->subscribed) {
        send_subscribe(number);
        subscriber->heard_ns = one_thread_now_ns;
    } else if (impatient || subscriber->credit - subscriber->bytes < CREDIT_STEP / 2) {
        send_credit(number);
        if (impatient)
            subscriber->heard_ns = one_thread_now_ns;
    }
}

static void lose_connection(enum one_thread_socket socket)
{
    shared->hazards.lost += one_thread_waiting(socket) > 0;
    if (one_thread_waiting(socket) > 0)
        one_thread_drop(socket, roll(one_thread_waiting(socket)));
}

/* -- around the daemon ------------------------------------------------------------------------- */

static bool is_full_for(enum one_thread_socket socket, uint8_t peer)
{
    bool full = is_full[socket] || reads_nothing(peer);
    shared->hazards.full += full;
    return full;
}

static bool has_no_room_now(void)
{
    shared->hazards.no_room += has_no_room;
    return has_no_room;
}

/* Before and after: both must be survived. */
static void die_at_commit(bool done)
{
    static bool dies;
    if (!done)
        dies = commits_left > 0 && --commits_left == 0;
    if (!dies || dies_before == done)
        return;
    if (done)
        shared->hazards.died_after_commit++;
    else
        shared->hazards.died_before_commit++;
    die();
}

static void ended(enum broker_end end)
{
    wrong("the broker ended with %d", (int)end);
}

static void wrong_there(const char *what)
{
    wrong("%s", what);
}

/* -- a life ------------------------------------------------------------------------------------ */

/* Not from `roll`: what is drawn decides nothing. */
static spn_err random_of_seed(void *bytes, size_t size)
{
    uint8_t *at = bytes;
    memset(at, 0, size);
    for (size_t i = 0; i + 16 <= size; i += 16) {
        shared->drawn++;
        memcpy(at + i, &shared->drawn, sizeof(shared->drawn));
        memcpy(at + i + 8, &shared->seed, sizeof(shared->seed));
    }
    return SPN_OK;
}

static const struct one_thread_world world = {.roll = roll,
                                              .take = take_message,
                                              .is_full = is_full_for,
                                              .has_no_room = has_no_room_now,
                                              .commits = die_at_commit,
                                              .random = random_of_seed,
                                              .ended = ended,
                                              .wrong = wrong_there};

static void start_daemon(void)
{
    struct recovered found;
    const struct one_thread_options options = {.world = &world,
                                               .dir = data_dir,
                                               .seed = shared->seed,
                                               .instance = roll(UINT32_MAX) + 1,
                                               .rule = {.events_max = has_rule() ? RETAINED : 0}};
    one_thread_start(&options, &found);
}

static void begin_clients(void)
{
    for (size_t i = 0; i < PRODUCERS; i++) {
        shared->producers[i].open = false;
        shared->producers[i].heard_ns = 0;
    }
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        struct subscriber *subscriber = &shared->subscribers[i];
        subscriber->subscribed = false;
        subscriber->heard_ns = one_thread_now_ns;
        if (i >= SUBSCRIBERS / 2) {
            subscriber->life = (struct spn_life){{0}};
            subscriber->seq = 0;
        }
    }
}

static void harm(void)
{
    is_full[ONE_THREAD_INGEST] = roll(3) == 0;
    is_full[ONE_THREAD_READ] = roll(3) == 0;
    has_no_room = roll(3) == 0;
    if (roll(20) == 0)
        lose_connection(roll(2) == 0 ? ONE_THREAD_INGEST : ONE_THREAD_READ);
}

/* One thing happens. */
static void turn(void)
{
    uint64_t what = roll(10);
    if (what < 5 && one_thread_turn())
        return;
    if (what < 7)
        producer_turn((uint8_t)roll(PRODUCERS));
    else if (what < 8)
        subscriber_turn(roll(SUBSCRIBERS));
    else
        one_thread_now_ns += roll(20) * MS;
    if (harmless)
        is_full[ONE_THREAD_INGEST] = is_full[ONE_THREAD_READ] = has_no_room = false;
    else if (roll(8) == 0)
        harm();
}

/* Of the first numbers of a life: the last one before the deletion is refused. */
static uint64_t stored_of_life(uint64_t numbers)
{
    return numbers < LIFE - 1 ? numbers : LIFE - 2;
}

static bool is_settled(void)
{
    static uint64_t stored;
    uint64_t seqs[2] = {0, 0};
    stored = stored > 0 ? stored : stored_in_all();
    for (unsigned i = 0; i < PRODUCERS; i++)
        if (shared->producers[i].acked < numbers_of((uint8_t)i))
            return false;
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        const struct subscriber *subscriber = &shared->subscribers[i];
        if (session_of_subscriber(i) != DELETED)
            seqs[i / (SUBSCRIBERS / 2)] += subscriber->seq;
        else if (subscriber->seq != stored_of_life(NUMBERS % LIFE) ||
                 !wire_has_life(subscriber->life) ||
                 !wire_same_life(subscriber->life, shared->lives[NUMBERS / LIFE]))
            return false;
    }
    return seqs[0] == stored && seqs[1] == stored;
}

/* -- what is on disk --------------------------------------------------------------------------- */

struct found {
    uint64_t numbers[PRODUCERS];
    bool seqs[SESSIONS][SEQS_MAX + 1];
    uint64_t raced; /* seqs, in order */
};

static void look_at_race(struct found *found, const struct record_entry *entry, uint32_t producer,
                         uint32_t number)
{
    expect(entry->seq == number / EVERY + 1 && entry->seq == found->raced + 1,
           "the log has a race that was decided before");
    expect(shared->won[number / EVERY] == producer + 1, "the log has another winner");
    expect(entry->closes == is_last_race(number), "the last race did not close, or another did");
    expect(!entry->closes || (entry->reason.size == 3 && memcmp(entry->reason.data, "won", 3) == 0),
           "it closed for another reason");
    found->raced = entry->seq;
}

static void look_at_event(struct found *found, const struct record_entry *entry)
{
    uint32_t what = what_is(entry->id);
    uint32_t producer = what >> 16;
    uint32_t number = what & 0xffff;
    if (number <= found->numbers[producer])
        wrong("the log has %u:%u after %u", producer, number, (unsigned)found->numbers[producer]);
    found->numbers[producer] = number;
    uint64_t session = session_of((uint8_t)producer, number);
    if (session == DELETED)
        expect(entry->seq == number % LIFE, "the log has an event of another life");
    if (session == RACED)
        look_at_race(found, entry, producer, number);
    if (session == FLOODED)
        expect(entry->seq == (number + 1) / 2, "the log has an event that was not stored");
    if (session >= SESSIONS)
        return;
    uint32_t got = shared->got[session][entry->seq];
    expect(got == 0 || got == what, "the log has another event than was delivered");
    found->seqs[session][entry->seq] = true;
}

static void look_at_log(void)
{
    static struct found found;
    struct journal_reader *reader;
    struct record_entry entry;
    uint64_t position = 0;
    expect(journal_reader_open(&reader, one_thread_journal()) == SPN_OK &&
               journal_reader_begin(reader) == SPN_OK,
           "the log does not read");
    while (journal_read_entry_from(reader, position + 1, &position, &entry) == SPN_OK)
        if (record_is_stored(entry.kind))
            look_at_event(&found, &entry);
    expect(found.raced == NUMBERS / EVERY + 1, "a race without a winner");
    for (size_t i = 0; i < SESSIONS; i++) {
        uint64_t last = shared->subscribers[i].seq;
        uint64_t first = has_rule() && last > RETAINED ? last - RETAINED + 1 : 1;
        for (uint64_t seq = first; seq <= last; seq++)
            if (!found.seqs[i][seq])
                wrong("s%u: seq %u of %u is not in the log", (unsigned)i, (unsigned)seq,
                      (unsigned)last);
    }
}

static void live(unsigned life)
{
    uint64_t turns = TURNS_MIN + roll(TURNS_SPAN);
    is_last = life + 1 == LIVES;
    commits_left = is_last ? 0 : (unsigned)roll(40);
    dies_before = roll(2) == 0;
    one_thread_now_ns = (1000 + life * 100000) * MS;
    start_daemon();
    begin_clients();
    for (uint64_t i = 0; i < (is_last ? TURNS_TO_REST : turns); i++) {
        harmless = is_last && i > turns;
        turn();
        if (harmless && is_settled()) {
            look_at_log();
            _exit(SETTLED);
        }
    }
    if (is_last)
        wrong("it does not come to rest: %u %u %u %u %u acknowledged, seqs %u %u %u %u %u",
              (unsigned)shared->producers[0].acked, (unsigned)shared->producers[1].acked,
              (unsigned)shared->producers[2].acked, (unsigned)shared->producers[3].acked,
              (unsigned)shared->producers[4].acked, (unsigned)shared->subscribers[0].seq,
              (unsigned)shared->subscribers[1].seq, (unsigned)shared->subscribers[2].seq,
              (unsigned)shared->subscribers[3].seq, (unsigned)shared->subscribers[4].seq);
    die();
}

/* -- seeds ------------------------------------------------------------------------------------- */

static uint64_t first_seed = 1;
static uint64_t seed_count = SEEDS;

static void clear_dir(void)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", data_dir, files[i]);
        unlink(path);
    }
}

static void run_life(unsigned life)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        int quiet = open("/dev/null", O_WRONLY);
        dup2(quiet, STDERR_FILENO);
        live(life);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    int wanted = life + 1 == LIVES ? SETTLED : DIED;
    if (!WIFEXITED(status))
        fail_msg("seed %llu, life %u: signal %d", (unsigned long long)shared->seed, life,
                 WTERMSIG(status));
    if (WEXITSTATUS(status) != wanted)
        fail_msg("seed %llu, life %u: %s", (unsigned long long)shared->seed, life, shared->wrong);
}

static void run_seed(uint64_t seed)
{
    struct hazards hazards = shared->hazards;
    memset(shared, 0, sizeof(*shared));
    shared->hazards = hazards;
    shared->seed = seed;
    shared->random = seed * 0x9E3779B97F4A7C15u + 1;
    for (size_t i = 0; i < PRODUCERS; i++)
        shared->producers[i].token = roll(UINT32_MAX) + 1; /* so that an OPEN may be sent again */
    clear_dir();
    for (unsigned life = 0; life < LIVES; life++)
        run_life(life);
}

static void all_seeds(void **state)
{
    static char dir[] = "/dev/shm/spn-sim-XXXXXX";
    static char other[] = "/tmp/spn-sim-XXXXXX";
    (void)state;
    data_dir = mkdtemp(dir) ? dir : mkdtemp(other);
    assert_non_null(data_dir);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    for (uint64_t i = 0; i < seed_count; i++)
        run_seed(first_seed + i);
    clear_dir();
    rmdir(data_dir);
    const struct hazards *hazards = &shared->hazards;
    print_message(
        "seeds %llu to %llu: died %llu times, %llu before a commit and %llu after one, "
        "%llu producers with events in flight; %llu full pipes, %llu times no room, %llu "
        "connections lost, "
        "%llu opened again, %llu subscribed again, %llu delivered, %llu trimmed starts, %llu "
        "gaps, %llu ends of deleted sessions, %llu refused, %llu races won, %llu not stored, %llu "
        "of them in one "
        "answer at most\n",
        (unsigned long long)first_seed, (unsigned long long)(first_seed + seed_count - 1),
        (unsigned long long)hazards->died, (unsigned long long)hazards->died_before_commit,
        (unsigned long long)hazards->died_after_commit, (unsigned long long)hazards->in_flight,
        (unsigned long long)hazards->full, (unsigned long long)hazards->no_room,
        (unsigned long long)hazards->lost, (unsigned long long)hazards->opened_again,
        (unsigned long long)hazards->resumed, (unsigned long long)hazards->delivered,
        (unsigned long long)hazards->trimmed, (unsigned long long)hazards->gaps,
        (unsigned long long)hazards->ended, (unsigned long long)hazards->refused,
        (unsigned long long)hazards->races, (unsigned long long)hazards->not_stored,
        (unsigned long long)hazards->most_not_stored);
    assert_true(hazards->died >= seed_count && hazards->in_flight >= seed_count);
    assert_true(hazards->died_before_commit > 0 && hazards->died_after_commit > 0);
    assert_true(hazards->full > 0 && hazards->no_room > 0 && hazards->lost > 0);
    assert_true(hazards->opened_again > 0 && hazards->resumed > 0);
    assert_true(hazards->trimmed > 0 && hazards->gaps > 0 && hazards->ended > 0);
    assert_true(hazards->refused > 0 && hazards->races > 0);
    assert_true(hazards->most_not_stored == WIRE_RUNS_MAX); /* what a broker keeps was full */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_seeds)};
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seed_count = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests_name("simulation", tests, NULL, NULL);
}
