/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_sidecar: does anything that a client may send harm the daemon?
 *
 * Broker, worker and reader are the daemon's own, with a database, in one thread (see
 * sim/one_thread.h). The input says which messages come from four clients, on which socket, what is
 * wrong with them, when time passes, when ZeroMQ is full, when the daemon stops or is killed and
 * starts again from what is on disk then; the schedule is drawn from its first bytes. Checked are:
 *   - the sanitizers find nothing, and what stopped leaves nothing in memory;
 *   - every message of the daemon decodes to its end, and is written again as the same bytes;
 *   - it stops when it is requested to, and within so many turns;
 *   - nothing that it wrote is damaged for its next start.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "one_thread.h"
#include "program.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define MS ONE_THREAD_MS
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    PEERS = 4,
    SUBSCRIPTIONS = 4,
    MESSAGES_MAX = 200, /* of an input */
    ENTRIES_MAX = 6,
    TURNS_MAX = 20000, /* until it has stopped */
};

/* What a client has learned. */
struct client {
    uint64_t token;
    uint64_t next; /* number */
    uint32_t round;
    uint32_t incarnation;
    uint64_t request;
};

static struct program program;
static struct client clients[PEERS];
static uint64_t random_state;
static uint64_t drawn;
static uint64_t instance;
static uint64_t position; /* of what was answered last */
static bool is_full[3];   /* by socket */
static bool has_no_room;
static bool is_ghost; /* it was killed: what it does now is not seen */
static bool has_ended;
static char dirs[2][64];
static unsigned dir; /* that is in use */

/* -- the world --------------------------------------------------------------------------------- */

/* The daemon logs; nobody reads it here, but what it formats is looked at. */
#define LOG(level)                                                                                 \
    void __wrap_log_##level(const char *event, const char *format, ...);                           \
    void __wrap_log_##level(const char *event, const char *format, ...)                            \
    {                                                                                              \
        char line[1024];                                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        vsnprintf(line, sizeof(line), format, arguments);                                          \
        va_end(arguments);                                                                         \
        CHECK(event != NULL);                                                                      \
    }
LOG(info)
LOG(warning)
LOG(error)

static uint64_t roll(uint64_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 16) % sides;
}

static spn_err random_of_run(void *bytes, size_t size)
{
    uint8_t *at = bytes;
    memset(at, 0, size);
    for (size_t i = 0; i + sizeof(drawn) <= size; i += sizeof(drawn)) {
        drawn++;
        memcpy(at + i, &drawn, sizeof(drawn));
    }
    return SPN_OK;
}

static bool is_full_for(enum one_thread_socket socket, uint8_t peer)
{
    (void)peer;
    return is_full[socket];
}

static bool has_no_room_now(void)
{
    return has_no_room;
}

static void ended(enum broker_end end)
{
    CHECK(end == BROKER_DRAINED);
    has_ended = true;
}

static void wrong(const char *what)
{
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

static void take_state(struct client *client, struct wire_in *in)
{
    struct wire_state state;
    wire_get_state(in, &state);
    client->token = state.token;
    client->next = state.accepted + 1;
    position = state.mark.position;
}

static void take_delivery(struct wire_in *in)
{
    struct wire_deliver head;
    struct wire_in rest;
    struct wire_standing standing;
    wire_get_deliver(in, &head, &rest);
    if (head.kind != WIRE_VERDICT)
        return;
    wire_get_standing(&rest, &standing);
    program_note_life(&program, standing.life);
}

static void take(enum one_thread_socket socket, uint8_t peer, const void *bytes, size_t size)
{
    struct wire_in in = wire_in(bytes, size);
    struct wire_header header;
    struct wire_published published;
    (void)socket;
    program_check_frame(bytes, size);
    CHECK(wire_get_header(&in, &header) == SPN_OK);
    if (is_ghost)
        return;
    switch (header.type) {
    case WIRE_OPENED:
    case WIRE_STATE_IS:
        take_state(&clients[peer], &in);
        break;
    case WIRE_PUBLISHED:
        wire_get_published(&in, &published);
        program_note_life(&program, published.life);
        break;
    case WIRE_DELIVER:
        in.at += 4 + 4;
        take_delivery(&in);
        break;
    default:
        break;
    }
}

static const struct one_thread_world world = {.roll = roll,
                                              .take = take,
                                              .is_full = is_full_for,
                                              .has_no_room = has_no_room_now,
                                              .random = random_of_run,
                                              .ended = ended,
                                              .wrong = wrong};

/* -- messages ---------------------------------------------------------------------------------- */

static void put_batch(struct wire_out *out, struct client *client)
{
    uint8_t scratch[PROGRAM_SCRATCH_SIZE];
    uint32_t count = 1 + program_choose(&program, ENTRIES_MAX);
    uint64_t first = program_number(&program, client->next);
    client->round += program_choose(&program, 8) == 0;
    struct wire_batch batch = {
        .token = program_number(&program, client->token),
        .first = first,
        .base = program_number(&program, first > 8 ? first - 8 : 1),
        .round = client->round,
        .count = count,
        .level = program_choose(&program, 3),
    };
    wire_put_batch(out, &batch);
    for (uint32_t i = 0; i < count; i++) {
        struct wire_entry entry = program_entry(&program, first + i, scratch);
        program_put_entry(out, &entry);
    }
    if (first == client->next)
        client->next += count;
}

static void put_publish(struct wire_out *out, struct client *client)
{
    uint8_t scratch[PROGRAM_SCRATCH_SIZE];
    (void)client;
    uint8_t head[WIRE_PUBLISH_HEAD_SIZE] = {0};
    head[8] = 1 + program_choose(&program, 3); /* after no features: the level */
    memcpy(out->at, head, sizeof(head));
    out->at += sizeof(head);
    struct wire_entry entry = program_entry(&program, 2, scratch);
    program_put_entry(out, &entry);
}

static void put_open(struct wire_out *out, struct client *client)
{
    struct wire_open open = {.token = program_choose(&program, 2) == 0 ? 0 : client->token,
                             .base = program_number(&program, 1),
                             .kept = program_choose(&program, 2) == 0,
                             .instance = program_number(&program, instance)};
    memset(open.producer, 'a' + program_choose(&program, PEERS), sizeof(open.producer));
    open.known.position = program_number(&program, position);
    memcpy(open.known.database, "the database id ", sizeof(open.known.database));
    wire_put_open(out, &open);
}

static void put_ask(struct wire_out *out, struct client *client)
{
    wire_put_ask(out, &(struct wire_ask){.token = program_number(&program, client->token),
                                         .base = program_number(&program, 1)});
}

static void put_leave(struct wire_out *out, struct client *client)
{
    wire_put_leave(out, program_number(&program, client->token));
}

static void put_hello(struct wire_out *out, struct client *client)
{
    (void)client;
    wire_put_hello(out, program_number(&program, 0));
}

static void put_last(struct wire_out *out, struct client *client)
{
    (void)client;
    wire_put_last(out, program_session(&program));
}

static void put_info(struct wire_out *out, struct client *client)
{
    (void)client;
    wire_put_info(out, program_session(&program));
}

static void put_fetch(struct wire_out *out, struct client *client)
{
    (void)client;
    wire_put_fetch(out,
                   &(struct wire_fetch){.start = program_choose(&program, 3),
                                        .bytes_max = program_choose(&program, 2) == 0 ? 50 : 5000,
                                        .life = program_life(&program),
                                        .seq = program_number(&program, 3),
                                        .session = program_session(&program),
                                        .id = program_id(&program)});
}

static void put_sessions(struct wire_out *out, struct client *client)
{
    static const struct spn_bytes prefixes[] = {{"", 0}, {"s", 1}, {"t", 1}, {"s0", 2}};
    (void)client;
    wire_put_sessions(out, &(struct wire_sessions){
                               .count_max = (uint32_t)program_number(&program, 2),
                               .after = program_choose(&program, 2) == 0 ? program_session(&program)
                                                                         : prefixes[0],
                               .prefix = prefixes[program_choose(&program, COUNT(prefixes))]});
}

static void put_clients(struct wire_out *out, struct client *client)
{
    (void)client;
    wire_put_clients(out, &(struct wire_clients){.after = (uint32_t)program_number(&program, 0),
                                                 .count_max = 1 + program_choose(&program, 4)});
}

static void put_nothing(struct wire_out *out, struct client *client)
{
    (void)out;
    (void)client;
}

static void put_subscribe(struct wire_out *out, struct client *client)
{
    client->incarnation += program_choose(&program, 4) != 0;
    wire_put_subscribe(
        out, &(struct wire_subscribe){.subscription = program_choose(&program, SUBSCRIPTIONS),
                                      .incarnation = client->incarnation,
                                      .start = program_choose(&program, 4),
                                      .otherwise = program_choose(&program, 4),
                                      .life = program_life(&program),
                                      .seq = program_number(&program, 3),
                                      .credit = program_number(&program, 400),
                                      .features = program_number(&program, 0),
                                      .session = program_session(&program),
                                      .id = program_id(&program)});
}

static void put_follow(struct wire_out *out, struct client *client)
{
    static const struct spn_bytes prefixes[] = {{"", 0}, {"s", 1}, {"t", 1}, {"\xc3", 1}};
    client->incarnation += program_choose(&program, 4) != 0;
    struct wire_follow follow = {.subscription = program_choose(&program, SUBSCRIPTIONS),
                                 .incarnation = client->incarnation,
                                 .start = program_choose(&program, 3),
                                 .flags = program_choose(&program, 2),
                                 .position = program_number(&program, position),
                                 .credit = program_number(&program, 400),
                                 .features = program_number(&program, 0),
                                 .prefix = prefixes[program_choose(&program, COUNT(prefixes))]};
    memcpy(follow.database.bytes, "the database id ", sizeof(follow.database.bytes));
    wire_put_follow(out, &follow);
}

static struct wire_grant make_grant(struct client *client, uint64_t credit)
{
    return (struct wire_grant){.subscription = program_choose(&program, SUBSCRIPTIONS),
                               .incarnation =
                                   (uint32_t)program_number(&program, client->incarnation),
                               .credit = credit};
}

static void put_credit(struct wire_out *out, struct client *client)
{
    uint8_t count = program_choose(&program, SUBSCRIPTIONS + 1);
    wire_put_grants(out, count);
    for (uint8_t i = 0; i < count; i++) {
        struct wire_grant grant = make_grant(client, program_number(&program, 2000));
        wire_put_grant(out, &grant);
    }
}

static void put_unsubscribe(struct wire_out *out, struct client *client)
{
    struct wire_grant grant = make_grant(client, 0);
    wire_put_grant(out, &grant);
}

static const struct maker {
    enum wire_type type;
    enum one_thread_socket socket;
    void (*put)(struct wire_out *out, struct client *client);
} makers[] = {
    {WIRE_PUBLISH, ONE_THREAD_INGEST, put_publish},
    {WIRE_BATCH, ONE_THREAD_INGEST, put_batch},
    {WIRE_OPEN, ONE_THREAD_INGEST, put_open},
    {WIRE_STATE, ONE_THREAD_INGEST, put_ask},
    {WIRE_LEAVE, ONE_THREAD_INGEST, put_leave},
    {WIRE_HELLO, ONE_THREAD_INGEST, put_hello},
    {WIRE_HELLO, ONE_THREAD_READ, put_hello},
    {WIRE_STATE, ONE_THREAD_READ, put_ask},
    {WIRE_LAST, ONE_THREAD_READ, put_last},
    {WIRE_FETCH, ONE_THREAD_READ, put_fetch},
    {WIRE_SESSIONS, ONE_THREAD_READ, put_sessions},
    {WIRE_HEALTH, ONE_THREAD_READ, put_nothing},
    {WIRE_STATS, ONE_THREAD_READ, put_nothing},
    {WIRE_SUBSCRIBE, ONE_THREAD_READ, put_subscribe},
    {WIRE_CREDIT, ONE_THREAD_READ, put_credit},
    {WIRE_UNSUBSCRIBE, ONE_THREAD_READ, put_unsubscribe},
    {WIRE_INFO, ONE_THREAD_READ, put_info},
    {WIRE_FOLLOW, ONE_THREAD_READ, put_follow},
    {WIRE_PUBLISH, ONE_THREAD_INGEST, put_publish},
    {WIRE_BATCH, ONE_THREAD_INGEST, put_batch},
    {WIRE_CLIENTS, ONE_THREAD_READ, put_clients},
};

/* A message on the other socket now and then. One that has no room is not sent. */
static void send_message(const struct maker *maker)
{
    static uint8_t frame[ONE_THREAD_FRAME_MAX];
    uint8_t peer = program_choose(&program, PEERS);
    struct client *client = &clients[peer];
    enum one_thread_socket socket = maker->socket;
    struct wire_out out = wire_out(frame, sizeof(frame));
    wire_put_header(&out, maker->type, ++client->request);
    maker->put(&out, client);
    if (out.bad)
        return;
    if (program_byte(&program) >= 250)
        socket = ONE_THREAD_INGEST + ONE_THREAD_READ - socket;
    size_t size = program_break(&program, frame, wire_out_size(&out), sizeof(frame));
    (void)one_thread_send(socket, peer, frame, size);
}

/* -- lives ------------------------------------------------------------------------------------- */

static void remove_database(unsigned which)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < COUNT(files); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", dirs[which], files[i]);
        unlink(path);
    }
}

static void start(void)
{
    struct recovered found;
    instance++;
    const struct one_thread_options options = {.world = &world,
                                               .dir = dirs[dir],
                                               .seed = 1,
                                               .instance = instance,
                                               .rule = {.events_max = 10},
                                               .session_ttl_ns = 3000 * MS,
                                               .producer_ttl_ns = 2000 * MS};
    one_thread_start(&options, &found);
    CHECK(found.given_up == 0 && found.names == 0 && found.orphans == 0);
    CHECK(found.producers == 0 && found.lost == 0);
    has_ended = false;
}

static void pass_turn(void)
{
    if (one_thread_turn())
        return;
    uint64_t due_ns = one_thread_due_ns();
    one_thread_now_ns =
        due_ns > one_thread_now_ns && due_ns != UINT64_MAX ? due_ns : one_thread_now_ns + MS;
}

static void stop(void)
{
    unsigned turns = 0;
    memset(is_full, 0, sizeof(is_full));
    has_no_room = false;
    one_thread_signal();
    for (; !has_ended; turns++) {
        CHECK(turns < TURNS_MAX);
        pass_turn();
    }
    one_thread_end();
}

/* As if the process died now: what is on disk is all that is left. */
static void copy_database(void)
{
    static uint8_t bytes[1 << 16];
    char paths[2][128];
    ssize_t got;
    for (unsigned i = 0; i < 2; i++)
        snprintf(paths[i], sizeof(paths[i]), "%s/data.mdb", dirs[i == 0 ? dir : 1 - dir]);
    int from = open(paths[0], O_RDONLY | O_CLOEXEC);
    int to = open(paths[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(from >= 0 && to >= 0);
    while ((got = read(from, bytes, sizeof(bytes))) > 0)
        CHECK(write(to, bytes, (size_t)got) == got);
    CHECK(got == 0);
    close(from);
    close(to);
}

static void begin_again(bool killed)
{
    if (killed)
        copy_database();
    is_ghost = killed;
    stop();
    is_ghost = false;
    if (killed) {
        remove_database(dir);
        dir = 1 - dir;
    }
    one_thread_now_ns += program_choose(&program, 20) * 100 * MS;
    start();
}

/* -- a run ------------------------------------------------------------------------------------- */

static void run_turns(void)
{
    for (uint8_t turns = program_choose(&program, 64); turns > 0; turns--)
        (void)one_thread_turn();
}

static void step(void)
{
    uint8_t what = program_byte(&program);
    if (what < 160)
        send_message(&makers[what % COUNT(makers)]);
    else if (what < 200)
        run_turns();
    else if (what < 230)
        one_thread_now_ns += program_byte(&program) * (what < 220 ? MS : 50 * MS);
    else if (what < 236)
        is_full[1 + what % 2] = !is_full[1 + what % 2];
    else if (what < 239)
        has_no_room = !has_no_room;
    else if (what < 243)
        one_thread_drop(1 + what % 2, 0);
    else if (what < 248)
        begin_again(what % 2 == 0);
    else
        for (uint8_t turns = 0; turns < 100; turns++)
            pass_turn();
}

static void make_dirs(void)
{
    if (dirs[0][0] != '\0')
        return;
    const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    for (size_t i = 0; i < COUNT(dirs); i++) {
        snprintf(dirs[i], sizeof(dirs[i]), "%s/spn-fuzz-XXXXXX", top);
        CHECK(mkdtemp(dirs[i]) != NULL);
    }
}

static void begin(const uint8_t *input, size_t size)
{
    make_dirs();
    program = program_of(input, size);
    memset(clients, 0, sizeof(clients));
    memset(is_full, 0, sizeof(is_full));
    has_no_room = false;
    drawn = instance = position = 0;
    random_state = 0x9E3779B97F4A7C15u + program_byte(&program);
    one_thread_now_ns = 1000 * MS;
    start();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    begin(input, size);
    for (unsigned i = 0; i < MESSAGES_MAX && !program_is_over(&program); i++)
        step();
    stop();
    start();
    stop();
    remove_database(dir);
    return 0;
}
