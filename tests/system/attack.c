/* SPDX-License-Identifier: Apache-2.0 */
#include "attack.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "raw.h"
#include "robust.h"
#include "until.h"
#include "zmtp_peer.h"

enum {
    PEERS_MAX = 1024,
    PAUSE_US = 100,
    ANSWER_MAX = 65536,
    ANSWER_MS = 1000,
    PIECE = 16384, /* of a message without an end, at a time */
    MORE_SIZE = 3,
    MORE_FRAMES_MAX = 24 << 20, /* 72 MB of them, and no more */
    LARGE = 10 << 20,           /* beyond what either socket takes */
    RUNS = 4096,
    HEADER_SIZE = 16,
    SUBSCRIPTIONS = 300,
    WINDOW = 256 << 10,
    RENEW_MS = 5000,
    GRANTS = 4096,
    BASES = 4, /* where the daemon's numbers for peers may have begun */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char ingest[] = "ingest.sock";
static const char reading[] = "read.sock";

/* What a peer that reads has had of the frame that is coming. */
struct inbox {
    uint8_t head[ZMTP_HEAD_MAX];
    size_t head_size;
    uint64_t left;
    size_t due; /* answers that are under way */
};

struct attacker {
    struct attack_page *page;
    const char *sockets[2]; /* by turns */
    size_t peers;
    size_t asked;       /* of harmless ones: questions of each that are under way at a time */
    int fds[PEERS_MAX]; /* -1: none */
    size_t at;          /* the peer whose turn it is */
    uint64_t number;
    uint64_t tokens[PEERS_MAX];
    uint64_t numbers[PEERS_MAX]; /* next */
    uint64_t renew_ns;
    struct raw_out out; /* what all of them send */
    struct inbox inboxes[PEERS_MAX];
};

struct attack {
    const char *name;
    const char *sockets[2];
    size_t peers;
    size_t asked;
    void (*prepare)(struct attacker *attacker); /* may be NULL */
    void (*turn)(struct attacker *attacker);
};

/* -- peers ------------------------------------------------------------------------------------- */

static void drop(struct attacker *attacker, size_t peer)
{
    if (attacker->fds[peer] >= 0)
        close(attacker->fds[peer]);
    attacker->fds[peer] = -1;
}

static void note_cut(struct attacker *attacker, size_t peer)
{
    drop(attacker, peer);
    atomic_fetch_add(&attacker->page->cut, 1);
}

static void note_done(struct attacker *attacker)
{
    atomic_fetch_add(&attacker->page->done, 1);
}

/* True: it is connected, and new. */
static bool connect_new(struct attacker *attacker, size_t peer)
{
    if (attacker->fds[peer] >= 0)
        return false;
    attacker->fds[peer] = zmtp_connect(attacker->sockets[peer % COUNT(attacker->sockets)]);
    if (attacker->fds[peer] >= 0)
        return true;
    atomic_fetch_add(&attacker->page->refused, 1);
    until_passed_us(PAUSE_US);
    return false;
}

/* True: it is connected, and has shaken hands, before or now. */
static bool connect_greeted(struct attacker *attacker, size_t peer)
{
    if (connect_new(attacker, peer) && !zmtp_shake_hands(attacker->fds[peer]))
        note_cut(attacker, peer);
    return attacker->fds[peer] >= 0;
}

static size_t next_peer(struct attacker *attacker)
{
    attacker->at = (attacker->at + 1) % attacker->peers;
    return attacker->at;
}

static void take_answers(struct attacker *attacker, size_t peer)
{
    ssize_t got = 0;
    while (attacker->fds[peer] >= 0 && (got = zmtp_drain(attacker->fds[peer], ANSWER_MAX)) > 0)
        ;
    if (got < 0)
        note_cut(attacker, peer);
}

/* False: it has no room now, or was cut. */
static bool send_frame(struct attacker *attacker, size_t peer)
{
    const struct raw_out *out = &attacker->out;
    if (!connect_greeted(attacker, peer))
        return false;
    if (!zmtp_has_room(attacker->fds[peer])) {
        until_passed_us(PAUSE_US);
        return false;
    }
    if (!zmtp_send_frame(attacker->fds[peer], 0, out->bytes, out->size)) {
        note_cut(attacker, peer);
        return false;
    }
    note_done(attacker);
    return true;
}

static void send_unread(struct attacker *attacker)
{
    (void)send_frame(attacker, next_peer(attacker));
}

static void put_question(struct attacker *attacker, enum raw_type type)
{
    raw_clear(&attacker->out);
    raw_put_header(&attacker->out, (uint8_t)type, 1);
}

static void prepare_health(struct attacker *attacker)
{
    put_question(attacker, RAW_HEALTH);
}

/* -- harmless ---------------------------------------------------------------------------------- */

/* The frames that end in these bytes. */
static size_t count_frames(struct inbox *inbox, const uint8_t *bytes, size_t size)
{
    size_t count = 0;
    for (size_t at = 0; at < size;) {
        size_t head_max = inbox->head_size > 0 && inbox->head[0] & ZMTP_LONG ? ZMTP_HEAD_MAX : 2;
        if (inbox->left == 0 && inbox->head_size < head_max) {
            inbox->head[inbox->head_size++] = bytes[at++];
            continue; /* the first byte says how many there are */
        }
        if (inbox->left == 0)
            for (size_t i = 1; i < head_max; i++)
                inbox->left = inbox->left << 8 | inbox->head[i];
        uint64_t step = inbox->left < size - at ? inbox->left : size - at;
        inbox->left -= step;
        at += step;
        if (inbox->left == 0) {
            inbox->head_size = 0;
            count++;
        }
    }
    return count;
}

/* All answers that are due. What does not come was dropped, and is not waited for for ever. */
static void take_due(struct attacker *attacker, size_t peer)
{
    static uint8_t bytes[ANSWER_MAX];
    struct inbox *inbox = &attacker->inboxes[peer];
    struct pollfd item = {.fd = attacker->fds[peer], .events = POLLIN};
    while (inbox->due > 0 && poll(&item, 1, ANSWER_MS) == 1) {
        ssize_t got = recv(item.fd, bytes, sizeof(bytes), 0);
        if (got <= 0)
            break;
        size_t count = count_frames(inbox, bytes, (size_t)got);
        inbox->due -= count < inbox->due ? count : inbox->due;
    }
    if (inbox->due > 0)
        note_cut(attacker, peer);
}

/* Asks some questions, and takes all answers before it asks on; the others ask meanwhile. */
static void ask_and_take(struct attacker *attacker)
{
    size_t peer = next_peer(attacker);
    if (attacker->fds[peer] >= 0)
        take_due(attacker, peer);
    if (attacker->fds[peer] < 0)
        attacker->inboxes[peer] = (struct inbox){.left = 0};
    for (size_t i = 0; i < attacker->asked; i++)
        (void)send_frame(attacker, peer);
    if (attacker->fds[peer] >= 0)
        attacker->inboxes[peer].due = attacker->asked;
}

/* A connection for one question. */
static void visit(struct attacker *attacker)
{
    drop(attacker, 0);
    ask_and_take(attacker);
    if (attacker->fds[0] >= 0)
        take_due(attacker, 0);
}

static void send_and_take(struct attacker *attacker)
{
    size_t peer = next_peer(attacker);
    (void)send_frame(attacker, peer);
    take_answers(attacker, peer);
}

/* -- the handshake ----------------------------------------------------------------------------- */

/* What libzmq's generator gives while it is not seeded, as its random.cpp makes numbers of it. */
static uint32_t number_of_base(uint64_t base)
{
    uint32_t number = 0;
    srand(1); /* NOLINT: libzmq's */
    for (uint64_t i = 0; i <= base; i++) {
        uint32_t low = (uint32_t)rand();       /* NOLINT: libzmq's */
        number = (uint32_t)rand() << 31 | low; /* NOLINT */
    }
    return number;
}

/* Each takes, and keeps, a name that the daemon may give to somebody soon: 00 and a number. */
static void plant_id(struct attacker *attacker)
{
    size_t peer = next_peer(attacker);
    size_t guess = peer / COUNT(attacker->sockets);
    uint32_t number = number_of_base(guess % BASES) + (uint32_t)(guess / BASES);
    uint8_t id[5] = {0, (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                     (uint8_t)number};
    if (attacker->fds[peer] >= 0) {
        take_answers(attacker, peer);
        until_passed_us(PAUSE_US / 10);
    } else if (connect_new(attacker, peer)) {
        if (zmtp_greet(attacker->fds[peer], (struct spn_bytes){id, sizeof(id)}))
            note_done(attacker);
        else
            note_cut(attacker, peer);
    }
}

static void greet_by_half(struct attacker *attacker)
{
    size_t peer = next_peer(attacker);
    drop(attacker, peer);
    if (connect_new(attacker, peer) && zmtp_send(attacker->fds[peer], zmtp_greeting, 10))
        note_done(attacker);
}

static void say_anything(struct attacker *attacker)
{
    static const char http[] = "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
    uint8_t garbage[256];
    size_t peer = next_peer(attacker);
    for (size_t i = 0; i < sizeof(garbage); i++) {
        attacker->number = attacker->number * 6364136223846793005u + 1442695040888963407u;
        garbage[i] = (uint8_t)(attacker->number >> 56);
    }
    garbage[0] = peer % 4 < 2 ? 0xff : garbage[0]; /* half of them begin as they should */
    drop(attacker, peer);
    if (!connect_new(attacker, peer))
        return;
    if (peer % 3 == 0 ? zmtp_send(attacker->fds[peer], http, sizeof(http) - 1)
                      : zmtp_send(attacker->fds[peer], garbage, sizeof(garbage)))
        note_done(attacker);
}

static void hang_up(struct attacker *attacker)
{
    size_t peer = next_peer(attacker);
    drop(attacker, peer);
    (void)send_frame(attacker, peer);
}

/* As many as it may, and all of them stay. */
static void connect_and_stay(struct attacker *attacker)
{
    size_t peer = next_peer(attacker);
    if (attacker->fds[peer] >= 0) {
        take_answers(attacker, peer);
        until_passed_us(PAUSE_US / 10);
    } else if (connect_greeted(attacker, peer)) {
        note_done(attacker);
    }
}

/* -- frames that lie --------------------------------------------------------------------------- */

static void prepare_more(struct attacker *attacker)
{
    raw_clear(&attacker->out);
    for (size_t i = 0; i < PIECE / MORE_SIZE; i++)
        raw_put(&attacker->out, "\1\1x", MORE_SIZE); /* MORE, one byte */
}

static void send_without_end(struct attacker *attacker)
{
    size_t peer = next_peer(attacker);
    const struct raw_out *out = &attacker->out;
    if (atomic_load(&attacker->page->done) >= MORE_FRAMES_MAX) {
        until_passed_us(PAUSE_US);
        return;
    }
    if (!connect_greeted(attacker, peer))
        return;
    if (zmtp_send(attacker->fds[peer], out->bytes, out->size))
        atomic_fetch_add(&attacker->page->done, out->size / MORE_SIZE);
    else
        note_cut(attacker, peer);
}

/* A frame of 4 EiB, as a message and as a command, before the handshake and after it. */
static void announce_too_much(struct attacker *attacker)
{
    uint8_t head[ZMTP_HEAD_MAX];
    size_t peer = next_peer(attacker);
    size_t size = zmtp_put_head(head, peer % 2 ? ZMTP_COMMAND : 0, UINT64_C(1) << 62);
    drop(attacker, peer);
    if (!connect_new(attacker, peer))
        return;
    int fd = attacker->fds[peer];
    bool greeted =
        peer % 4 < 2 ? zmtp_send(fd, zmtp_greeting, ZMTP_GREETING_SIZE) : zmtp_shake_hands(fd);
    if (greeted && zmtp_send(fd, head, size) && zmtp_send(fd, attacker->out.bytes, PIECE))
        note_done(attacker);
}

static void prepare_large(struct attacker *attacker)
{
    raw_clear(&attacker->out);
    raw_put_header(&attacker->out, RAW_BATCH, 0);
    while (attacker->out.size < LARGE)
        raw_put(&attacker->out, zmtp_greeting, ZMTP_GREETING_SIZE);
}

static void send_too_much(struct attacker *attacker)
{
    size_t peer = next_peer(attacker);
    if (!connect_greeted(attacker, peer))
        return;
    if (!zmtp_send_frame(attacker->fds[peer], 0, attacker->out.bytes, attacker->out.size))
        note_cut(attacker, peer);
    note_done(attacker);
}

/* PING, with far more context than the 16 bytes that it may have; its echo is not read. */
static void prepare_ping(struct attacker *attacker)
{
    raw_clear(&attacker->out);
    raw_put(&attacker->out, "\4PING\0\0", 7);
    while (attacker->out.size < ANSWER_MAX)
        raw_put(&attacker->out, "context", 7);
}

static void send_command(struct attacker *attacker)
{
    static const char unknown[] = "\6STRANGE";
    size_t peer = next_peer(attacker);
    const struct raw_out *out = &attacker->out;
    if (!connect_greeted(attacker, peer))
        return;
    bool sent = peer % 4 < 2
                    ? zmtp_send_frame(attacker->fds[peer], ZMTP_COMMAND, out->bytes, out->size)
                    : zmtp_send_frame(attacker->fds[peer], ZMTP_COMMAND, out->bytes, 7 + 16) &&
                          zmtp_send_frame(attacker->fds[peer], ZMTP_COMMAND, unknown, 7);
    if (sent)
        note_done(attacker);
    else
        note_cut(attacker, peer);
}

/* -- messages ---------------------------------------------------------------------------------- */

static void prepare_empty(struct attacker *attacker)
{
    raw_clear(&attacker->out);
}

static void prepare_lists(struct attacker *attacker)
{
    put_question(attacker, RAW_SESSIONS);
    raw_put_number(&attacker->out, UINT32_MAX, 4);
    raw_put_short(&attacker->out, "");
    raw_put_short(&attacker->out, "");
}

static void prepare_counters(struct attacker *attacker)
{
    put_question(attacker, RAW_STATS);
}

static void prepare_replays(struct attacker *attacker)
{
    put_question(attacker, RAW_FETCH);
    raw_put_fetch(&attacker->out, 0, UINT32_MAX, NULL, 0);
    raw_put_short(&attacker->out, ATTACK_BOOK);
    raw_put_number(&attacker->out, 0, 2);
}

/* Every other event is a conflict with the one before it: nothing has more results to tell. */
static uint64_t make_results(void)
{
    struct raw raw;
    raw_open(&raw);
    char id[17];
    snprintf(id, sizeof(id), "%016llx", (unsigned long long)until_now_ns());
    uint64_t token = raw_take_producer(&raw, id).token;
    for (uint64_t first = 1; first <= 2 * RUNS; first += RUNS) {
        struct raw_out out = {NULL, 0, 0};
        struct raw_batch head = {token, first, 1, 0, RUNS, RAW_DURABLE};
        raw_put_batch(&out, &head);
        for (uint64_t number = first; number < first + RUNS; number++) {
            snprintf(id, sizeof(id), "%llu", (unsigned long long)number / 2);
            raw_put_entry(&out, &(struct raw_entry){.session = "results",
                                                    .id = id,
                                                    .data = number % 2 ? "b" : "a"});
        }
        raw_send_out(raw.ingest, &out);
        raw_release(&out);
    }
    until_passed_us(300000); /* acknowledged or not: the results are there */
    raw_close(&raw);
    return token;
}

static void prepare_states(struct attacker *attacker)
{
    uint64_t token = make_results();
    put_question(attacker, RAW_STATE);
    raw_put_number(&attacker->out, token, 8);
    raw_put_number(&attacker->out, 1, 8);
}

/* Duplicates and refused events by turns: no acknowledgement has more to tell, and nothing is
 * written. */
static void prepare_acks(struct attacker *attacker)
{
    struct raw raw;
    raw_open(&raw);
    for (size_t peer = 0; peer < attacker->peers; peer++) {
        uint64_t id[2] = {(uint64_t)getpid(), peer};
        attacker->tokens[peer] = raw_take_producer(&raw, (const char *)id).token;
        attacker->numbers[peer] = 1;
    }
    raw_close(&raw);
    raw_clear(&attacker->out);
    raw_put_batch(&attacker->out, &(struct raw_batch){1, 1, 1, 0, RUNS, RAW_DURABLE});
    for (int i = 0; i < RUNS; i += 2) {
        raw_put_entry(&attacker->out,
                      &(struct raw_entry){.session = "acks", .id = "1", .data = "x"});
        raw_put_refused(&attacker->out);
    }
}

static void send_batch(struct attacker *attacker)
{
    size_t peer = next_peer(attacker);
    uint64_t number = attacker->numbers[peer];
    const uint64_t head[] = {attacker->tokens[peer], number, number}; /* first and base */
    memcpy(attacker->out.bytes + HEADER_SIZE, head, sizeof(head));    /* little-endian */
    if (send_frame(attacker, peer))
        attacker->numbers[peer] += RUNS;
}

static void send_batch_and_take(struct attacker *attacker)
{
    send_batch(attacker);
    take_answers(attacker, attacker->at);
}

static void prepare_batches(struct attacker *attacker)
{
    static char data[WINDOW];
    memset(data, 'd', sizeof(data));
    raw_clear(&attacker->out);
    raw_put_batch(&attacker->out, &(struct raw_batch){77, 1, 1, 0, 1, RAW_DURABLE});
    raw_put_entry(
        &attacker->out,
        &(struct raw_entry){.session = "s", .id = "1", .data = data, .data_size = sizeof(data)});
}

/* Of subscriptions that are not there: each grant is answered. */
static void prepare_grants(struct attacker *attacker)
{
    put_question(attacker, RAW_CREDIT);
    raw_put_number(&attacker->out, GRANTS, 4);
    for (uint64_t i = 0; i < GRANTS; i++) {
        raw_put_number(&attacker->out, 1 + i, 8);
        raw_put_number(&attacker->out, 1, 4);
        raw_put_zeros(&attacker->out, 4);
        raw_put_number(&attacker->out, WINDOW, 8);
    }
}

static void put_subscribe(struct attacker *attacker, uint64_t number, const char *session)
{
    put_question(attacker, RAW_SUBSCRIBE);
    raw_put_number(&attacker->out, number, 8);
    raw_put_number(&attacker->out, 1, 4);
    raw_put_number(&attacker->out, 0, 1);
    raw_put_number(&attacker->out, 2, 1);      /* wait for it */
    raw_put_zeros(&attacker->out, 2 + 16 + 8); /* zero, life, seq */
    raw_put_number(&attacker->out, WINDOW, 8);
    raw_put_zeros(&attacker->out, 8); /* features */
    raw_put_short(&attacker->out, session);
    raw_put_number(&attacker->out, 0, 2);
}

/* Everybody has as much credit as the library gives, and stops reading. */
static void stall(struct attacker *attacker)
{
    bool renew = until_over(attacker->renew_ns);
    for (size_t peer = 0; peer < attacker->peers; peer++) {
        bool is_new = attacker->fds[peer] < 0;
        for (uint64_t i = 0; is_new && i < SUBSCRIPTIONS; i++) {
            put_subscribe(attacker, i, ATTACK_BOOK);
            (void)send_frame(attacker, peer);
        }
        put_question(attacker, RAW_CREDIT);
        raw_put_number(&attacker->out, 0, 4);
        if (renew && !is_new)
            (void)send_frame(attacker, peer);
    }
    if (renew)
        attacker->renew_ns = until_in(RENEW_MS);
    until_passed_us(PAUSE_US * 10);
}

static void subscribe_on_and_on(struct attacker *attacker)
{
    size_t peer = next_peer(attacker);
    put_subscribe(attacker, ++attacker->number, "not there");
    (void)send_frame(attacker, peer);
    take_answers(attacker, peer);
}

/* ... and ends each before the next: a harmless one. */
static void subscribe_and_leave(struct attacker *attacker)
{
    subscribe_on_and_on(attacker);
    put_question(attacker, RAW_UNSUBSCRIBE);
    raw_put_number(&attacker->out, attacker->number, 8);
    raw_put_number(&attacker->out, 1, 4);
    raw_put_zeros(&attacker->out, 12);
    (void)send_frame(attacker, attacker->at);
    take_answers(attacker, attacker->at);
}

static void open_one(struct attacker *attacker, uint64_t number)
{
    uint64_t id[2] = {(uint64_t)getpid(), number};
    raw_clear(&attacker->out);
    robust_put_open(&attacker->out, 1, (const char *)id);
    send_and_take(attacker);
}

static void open_on_and_on(struct attacker *attacker)
{
    open_one(attacker, ++attacker->number);
}

/* Always the same few: a harmless one. */
static void open_again(struct attacker *attacker)
{
    open_one(attacker, attacker->at);
}

/* -- all of them ------------------------------------------------------------------------------- */

static const struct attack attacks[] = {
    {"harmless_questions", {reading, reading}, 4, 16, prepare_health, ask_and_take},
    {"harmless_visits", {reading, reading}, 1, 1, prepare_health, visit},
    {"harmless_lists", {reading, reading}, 40, 2, prepare_lists, ask_and_take},
    {"harmless_states", {ingest, reading}, 60, 2, prepare_states, ask_and_take},
    {"harmless_counters", {reading, reading}, 200, 2, prepare_counters, ask_and_take},
    {"harmless_replays", {reading, reading}, 2, 16, prepare_replays, ask_and_take},
    {"harmless_grants", {reading, reading}, 40, 0, prepare_grants, send_and_take},
    {"harmless_subscriptions", {reading, reading}, 4, 0, NULL, subscribe_and_leave},
    {"harmless_producers", {ingest, ingest}, 4, 0, NULL, open_again},
    {"harmless_acks", {ingest, ingest}, 40, 0, prepare_acks, send_batch_and_take},
    {"planted_ids", {ingest, reading}, 1000, 0, NULL, plant_id},
    {"half_greetings", {ingest, reading}, 200, 0, NULL, greet_by_half},
    {"no_greetings", {ingest, reading}, 24, 0, NULL, say_anything},
    {"hang_ups", {reading, ingest}, 8, 0, prepare_health, hang_up},
    {"connections", {ingest, reading}, 1000, 0, NULL, connect_and_stay},
    {"endless_messages", {ingest, reading}, 2, 0, prepare_more, send_without_end},
    {"lengths_that_lie", {ingest, reading}, 32, 0, prepare_more, announce_too_much},
    {"large_frames", {ingest, reading}, 8, 0, prepare_large, send_too_much},
    {"commands", {ingest, reading}, 8, 0, prepare_ping, send_command},
    {"empty_messages", {ingest, reading}, 16, 0, prepare_empty, send_unread},
    {"stale_batches", {ingest, ingest}, 4, 0, prepare_batches, send_unread},
    {"unread_acks", {ingest, ingest}, 40, 0, prepare_acks, send_batch},
    {"unread_lists", {reading, reading}, 40, 0, prepare_lists, send_unread},
    {"unread_states", {ingest, reading}, 60, 0, prepare_states, send_unread},
    {"unread_counters", {reading, reading}, 200, 0, prepare_counters, send_unread},
    {"unread_replays", {reading, reading}, 2, 0, prepare_replays, send_unread},
    {"unread_grants", {reading, reading}, 40, 0, prepare_grants, send_unread},
    {"stalled_subscribers", {reading, reading}, 3, 0, NULL, stall},
    {"subscriptions", {reading, reading}, 4, 0, NULL, subscribe_on_and_on},
    {"producers", {ingest, ingest}, 4, 0, NULL, open_on_and_on},
};

static struct attack_page *map_page(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *page =
        fd < 0 ? MAP_FAILED
               : mmap(NULL, sizeof(struct attack_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    return page == MAP_FAILED ? NULL : page;
}

static void run(struct attacker *attacker, const struct attack *attack)
{
    memcpy(attacker->sockets, attack->sockets, sizeof(attacker->sockets));
    attacker->peers = attack->peers;
    attacker->asked = attack->asked;
    for (size_t i = 0; i < PEERS_MAX; i++)
        attacker->fds[i] = -1;
    if (attack->prepare)
        attack->prepare(attacker);
    for (;;)
        attack->turn(attacker);
}

static const struct attack *find(const char *name)
{
    for (size_t i = 0; i < COUNT(attacks); i++)
        if (strcmp(attacks[i].name, name) == 0)
            return &attacks[i];
    return NULL;
}

size_t attack_peers(const char *name)
{
    const struct attack *attack = find(name);
    return attack ? attack->peers : 0;
}

int attack_run(const char *name, const char *page_path)
{
    static struct attacker attacker;
    const struct attack *attack = find(name);
    attacker.page = map_page(page_path);
    if (attacker.page && attack)
        run(&attacker, attack);
    return 2;
}
