/* SPDX-License-Identifier: Apache-2.0 */
#include "made_sidecar.h"

#include <string.h>

#include "transport.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS_PER_MS UINT64_C(1000000)

enum {
    WAITING_MAX = 16, /* frames on their way */
    FRAME_MAX = 1 << 14,
    REQUESTS = 8,    /* that are remembered */
    READERS = 8,     /* subscriptions that are remembered */
    SENT_MAX = 2000, /* by a client, between two steps of the sidecar */
    SLEEPS_MAX = 100000,
};

struct waiting {
    uint8_t *bytes;
    size_t size;
};

struct pipe {
    struct waiting waiting[WAITING_MAX];
    size_t count;
    bool up;
    bool changed; /* the client has not seen that yet */
    bool full;
};

struct request {
    enum transport_name socket;
    uint8_t type;
    uint64_t number;
};

struct reader {
    uint64_t subscription;
    uint32_t incarnation;
    bool log;
    uint64_t seq;
    uint64_t bytes;
};

static struct program *program;
static struct transport *transport; /* the client's; NULL: there is none */
static struct pipe pipes[2];        /* by enum transport_name */
static struct request requests[REQUESTS];
static size_t request_count; /* of all */
static struct reader readers[READERS];
static size_t reader_count;
static struct wire_batch batch; /* the newest */
static uint64_t now_ns;
static uint64_t due_ns;
static bool is_ready;
static unsigned sent;
static unsigned sleeps;

/* -- what the client sends --------------------------------------------------------------------- */

static void note_reader(uint64_t subscription, uint32_t incarnation, bool log, uint64_t seq)
{
    size_t at = 0;
    while (at < reader_count && readers[at].subscription != subscription)
        at++;
    if (at == READERS)
        at = subscription % READERS;
    else if (at == reader_count)
        reader_count++;
    readers[at] = (struct reader){
        .subscription = subscription, .incarnation = incarnation, .log = log, .seq = seq};
}

static void note(enum transport_name socket, const struct wire_header *header, struct wire_in *in)
{
    struct wire_subscribe subscribe;
    struct wire_follow follow;
    switch (header->type) {
    case WIRE_BATCH:
        wire_get_batch(in, &batch);
        break;
    case WIRE_SUBSCRIBE:
        wire_get_subscribe(in, &subscribe);
        note_reader(subscribe.subscription, subscribe.incarnation, false,
                    subscribe.start == WIRE_AFTER_SEQ ? subscribe.seq : 0);
        break;
    case WIRE_FOLLOW:
        wire_get_follow(in, &follow);
        note_reader(follow.subscription, follow.incarnation, true,
                    follow.start == WIRE_LOG_AFTER ? follow.position : 0);
        break;
    default:
        break;
    }
    if (header->request != 0)
        requests[request_count++ % REQUESTS] =
            (struct request){.socket = socket, .type = header->type, .number = header->request};
}

static void take(enum transport_name socket, const void *bytes, size_t size)
{
    struct wire_in in = wire_in(bytes, size);
    struct wire_header header;
    CHECK(++sent < SENT_MAX);
    program_check_frame(bytes, size);
    CHECK(wire_get_header(&in, &header) == SPN_OK);
    note(socket, &header, &in);
}

/* -- the client's transport -------------------------------------------------------------------- */

static enum transport_name name_of(const struct transport_port *port)
{
    return port == &transport->read.port ? TRANSPORT_READ : TRANSPORT_INGEST;
}

spn_err transport_find(const char *socket_dir, char ret_dir[TRANSPORT_DIR_SIZE], char *words,
                       size_t words_size)
{
    (void)socket_dir;
    snprintf(words, words_size, "made");
    snprintf(ret_dir, TRANSPORT_DIR_SIZE, "made");
    return SPN_OK;
}

spn_err transport_probe(const char *dir, enum transport_name name, char *words, size_t words_size)
{
    (void)dir;
    snprintf(words, words_size, "made");
    return pipes[name].up ? SPN_E_TIMEOUT : SPN_E_UNAVAILABLE;
}

spn_err transport_check(const char *dir, enum transport_name name, char *words, size_t words_size)
{
    (void)dir;
    (void)name;
    snprintf(words, words_size, "made");
    return SPN_OK;
}

enum transport_name transport_first(const char *dir)
{
    (void)dir;
    return TRANSPORT_READ;
}

spn_err transport_open(struct transport *opened, int send_hwm)
{
    *opened = (struct transport){.send_hwm = send_hwm, .epoll_fd = -1};
    transport = opened;
    return SPN_OK;
}

spn_err transport_use(struct transport *used, enum transport_name name)
{
    struct transport_socket *socket = transport_socket(used, name);
    socket->wanted = true;
    if (used->dir != NULL)
        socket->port.socket = socket;
    return SPN_OK;
}

spn_err transport_connect(struct transport *connected, const char *dir)
{
    connected->dir = dir;
    for (int i = 0; i < 2; i++)
        if (transport_socket(connected, (enum transport_name)i)->wanted)
            (void)transport_use(connected, (enum transport_name)i);
    return SPN_OK;
}

static void drop_waiting(struct pipe *pipe)
{
    while (pipe->count > 0)
        free(pipe->waiting[--pipe->count].bytes);
}

void transport_close(struct transport *closed, int linger_ms)
{
    (void)linger_ms;
    for (size_t i = 0; i < COUNT(pipes); i++)
        drop_waiting(&pipes[i]);
    *closed = (struct transport){0};
    transport = NULL;
}

void transport_abandon(struct transport *abandoned)
{
    transport_close(abandoned, 0);
}

void transport_look_again(struct transport *looked)
{
    for (int i = 0; i < 2; i++) {
        struct transport_socket *socket = transport_socket(looked, (enum transport_name)i);
        bool open = socket->port.socket != NULL;
        socket->port.events = (open && pipes[i].count > 0 ? ZMQ_POLLIN : 0) |
                              (open && pipes[i].up && !pipes[i].full ? ZMQ_POLLOUT : 0);
        socket->monitor.events = open && pipes[i].changed ? ZMQ_POLLIN : 0;
    }
}

void transport_look(struct transport *looked)
{
    transport_look_again(looked);
}

spn_err transport_send(struct transport_socket *socket, zmq_msg_t *message)
{
    enum transport_name name = name_of(&socket->port);
    if (!socket->connected || !pipes[name].up || pipes[name].full)
        return SPN_E_BACKPRESSURE;
    take(name, zmq_msg_data(message), zmq_msg_size(message));
    zmq_msg_close(message);
    return SPN_OK;
}

spn_err transport_receive(struct transport_port *port, zmq_msg_t *message)
{
    struct pipe *pipe = &pipes[name_of(port)];
    if (port->socket == NULL || pipe->count == 0)
        return SPN_E_END;
    struct waiting first = pipe->waiting[0];
    memmove(pipe->waiting, pipe->waiting + 1, --pipe->count * sizeof(first));
    zmq_msg_close(message);
    CHECK(zmq_msg_init_size(message, first.size) == 0);
    memcpy(zmq_msg_data(message), first.bytes, first.size);
    free(first.bytes);
    return SPN_OK;
}

bool transport_is_fresh(struct transport_socket *socket)
{
    struct pipe *pipe = &pipes[name_of(&socket->port)];
    if (socket->port.socket == NULL || !pipe->changed)
        return false;
    pipe->changed = false;
    socket->connected = pipe->up;
    return pipe->up;
}

void transport_settle(struct transport *settled, bool ready, uint64_t next_ns, uint64_t at_ns)
{
    (void)settled;
    (void)at_ns;
    is_ready = ready;
    due_ns = next_ns;
}

/* A call that waits: the world goes on meanwhile. */
void transport_sleep(struct transport *sleeping, uint64_t until_ns, uint64_t at_ns)
{
    (void)sleeping;
    (void)at_ns;
    CHECK(until_ns != TRANSPORT_NEVER && ++sleeps < SLEEPS_MAX);
    if (program_is_over(program))
        now_ns = until_ns > now_ns ? until_ns : now_ns + NS_PER_MS;
    else
        made_sidecar_step();
}

/* -- what the sidecar sends -------------------------------------------------------------------- */

static void send_frame(enum transport_name name, uint8_t *frame, size_t size)
{
    struct pipe *pipe = &pipes[name];
    size = program_break(program, frame, size, FRAME_MAX);
    if (transport == NULL || pipe->count == WAITING_MAX || !pipe->up)
        return;
    struct waiting *last = &pipe->waiting[pipe->count++];
    *last = (struct waiting){.bytes = malloc(size + 1), .size = size};
    CHECK(last->bytes != NULL);
    memcpy(last->bytes, frame, size);
}

static struct spn_bytes short_bytes(void)
{
    return program_bytes(program, 255);
}

static struct wire_mark make_mark(void)
{
    struct wire_mark mark = {.position = program_number(program, 100)};
    memset(mark.database, program_choose(program, 8) == 0 ? 'e' : 'd', sizeof(mark.database));
    return mark;
}

static uint64_t make_instance(void)
{
    return program_choose(program, 8) == 0 ? 2 : 1;
}

/* Runs of the numbers that were sent last. How many bytes of them stand in the buffer. */
static uint32_t put_runs(uint8_t *bytes, size_t size, size_t *ret_size)
{
    struct wire_out out = wire_out(bytes, size);
    uint32_t count = program_choose(program, 4);
    uint64_t first = batch.first;
    for (uint32_t i = 0; i < count; i++) {
        struct wire_run run = {.first = program_number(program, first),
                               .count = (uint32_t)program_number(program, 1),
                               .result = 1 + program_choose(program, 4)};
        run.code = run.result == WIRE_REFUSED ? 1 + program_byte(program) : 0;
        first = run.first + run.count;
        wire_put_run(&out, &run);
    }
    *ret_size = wire_out_size(&out);
    return count;
}

static void put_bytes(struct wire_out *out, const uint8_t *bytes, size_t size)
{
    if ((size_t)(out->end - out->at) < size) {
        out->bad = true;
        return;
    }
    memcpy(out->at, bytes, size);
    out->at += size;
}

static void put_state(struct wire_out *out)
{
    uint8_t runs[4 * WIRE_RUN_SIZE];
    size_t size;
    uint64_t newest = batch.first + batch.count;
    struct wire_state state = {.token = program_number(program, 77),
                               .instance = make_instance(),
                               .accepted = program_number(program, newest > 0 ? newest - 1 : 0)};
    state.durable = program_number(program, state.accepted);
    state.mark = make_mark();
    state.run_count = put_runs(runs, sizeof(runs), &size);
    wire_put_state(out, &state);
    put_bytes(out, runs, size);
}

static void put_welcome(struct wire_out *out)
{
    struct wire_welcome welcome = {
        .instance = make_instance(),
        .features = program_number(program, 0),
        .data_max = (uint32_t)program_number(program, 4096),
        .batch_bytes_max = (uint32_t)program_number(program, WIRE_BATCH_BYTES_MAX),
        .batch_events_max = (uint32_t)program_number(program, 16),
        .frame_max = (uint32_t)program_number(program, 1 << 20),
        .window = (uint32_t)program_number(program, 128),
        .heartbeat_ms = (uint32_t)program_number(program, 100),
        .lease_ms = (uint32_t)program_number(program, 600),
        .mark = make_mark(),
        .version = {"0.1.0", 5},
    };
    wire_put_welcome(out, &welcome);
}

static void put_last_is(struct wire_out *out)
{
    wire_put_last_is(out, &(struct wire_last_is){.life = program_life(program),
                                                 .seq = program_number(program, 3),
                                                 .position = program_number(program, 9),
                                                 .state = program_choose(program, 3),
                                                 .id = program_id(program)});
}

static void put_row(struct wire_out *out)
{
    wire_put_session_row(out, &(struct wire_session_row){
                                  .epoch = program_number(program, 1),
                                  .life = program_life(program),
                                  .seq = program_number(program, 3),
                                  .state = program_choose(program, 3),
                                  .reason = program_bytes(program, WIRE_REASON_MAX),
                                  .content_type = program_bytes(program, WIRE_CONTENT_TYPE_MAX),
                                  .name = program_session(program),
                                  .last_id = program_id(program)});
}

static void put_info_is(struct wire_out *out)
{
    wire_put_info_is(
        out, &(struct wire_info_is){.row = {.epoch = program_number(program, 1),
                                            .life = program_life(program),
                                            .name = program_session(program),
                                            .last_id = program_id(program),
                                            .reason = program_bytes(program, WIRE_REASON_MAX)},
                                    .first_seq = program_number(program, 1),
                                    .note = program_bytes(program, WIRE_SESSION_NOTE_MAX)});
}

static void put_sessions_are(struct wire_out *out)
{
    uint8_t count = program_choose(program, 4);
    struct wire_sessions_are head = {.count = (uint32_t)program_number(program, count),
                                     .more = program_choose(program, 2)};
    wire_put_sessions_are(out, &head);
    for (uint8_t i = 0; i < count; i++)
        put_row(out);
}

static void put_health_is(struct wire_out *out)
{
    wire_put_health(out, &(struct wire_health){.status = program_choose(program, 3),
                                               .instance = make_instance(),
                                               .version = short_bytes(),
                                               .reason = short_bytes()});
}

static void put_stats_are(struct wire_out *out)
{
    uint8_t count = program_choose(program, 4);
    struct wire_stats_are head = {.count = (uint32_t)program_number(program, count)};
    wire_put_stats_are(out, &head);
    for (uint8_t i = 0; i < count; i++)
        wire_put_stat(out, &(struct wire_stat){.value = i, .name = short_bytes()});
}

static void put_clients_are(struct wire_out *out)
{
    uint8_t count = program_choose(program, 4);
    wire_put_clients_are(
        out, &(struct wire_clients_are){.count = (uint32_t)program_number(program, count),
                                        .next = (uint32_t)program_number(program, 2)});
    for (uint8_t i = 0; i < count; i++)
        wire_put_client(out, &(struct wire_client){.number = i + 1u,
                                                   .socket = program_choose(program, 4),
                                                   .subscriptions = i,
                                                   .behind = program_choose(program, 3),
                                                   .program = short_bytes()});
}

static void put_published(struct wire_out *out)
{
    uint8_t result = program_choose(program, 4);
    wire_put_published(out, &(struct wire_published){
                                .result = result,
                                .state = program_choose(program, 3),
                                .code = result == WIRE_REFUSED ? 1 + program_byte(program) : 0,
                                .life = program_life(program),
                                .seq = program_number(program, 3),
                                .position = program_number(program, 9),
                                .id = program_id(program)});
}

static void put_error(struct wire_out *out)
{
    static const uint32_t codes[] = {1, 2, 6, 16, 17, 18, 19, 20, 21, 32, 48, 50, 66, 70, 71, 999};
    wire_put_error(out, &(struct wire_error){.token = program_number(program, 77),
                                             .code = codes[program_choose(program, COUNT(codes))],
                                             .detail = short_bytes()});
}

/* Items after this seq; the seq of the last one. The log's name their session and its life. */
static uint64_t put_items(struct wire_out *out, uint64_t seq, uint8_t count, bool log)
{
    static const uint8_t more[] = {WIRE_EVENT, WIRE_ITEM_OPEN, WIRE_ITEM_EXPIRE, WIRE_EVENT};
    uint8_t scratch[PROGRAM_SCRATCH_SIZE];
    for (uint8_t i = 0; i < count; i++) {
        struct wire_item item = {.entry = program_entry(program, 2, scratch)};
        seq = program_number(program, seq + 1 + (log ? program_choose(program, 3) : 0));
        item.seq = log ? program_number(program, 3) : seq;
        item.position = seq;
        item.entry.flags &= WIRE_FLAGS_OF_ITEMS;
        if (log) {
            item.entry.flags |= WIRE_FLAG_LIFE;
            item.entry.life = program_life(program);
        } else {
            item.entry.session.size = 0;
        }
        if (program_choose(program, 8) == 0)
            item.entry.kind = more[program_choose(program, COUNT(more))];
        program_put_item(out, &item);
    }
    return seq;
}

static void put_slice(struct wire_out *out)
{
    static uint8_t items[FRAME_MAX];
    struct wire_out rest = wire_out(items, sizeof(items));
    uint8_t count = program_choose(program, 4);
    struct wire_slice slice = {.verdict = program_choose(program, 6),
                               .state = program_choose(program, 2),
                               .count = (uint32_t)program_number(program, count),
                               .life = program_life(program),
                               .missing = program_number(program, 0)};
    slice.seq = put_items(&rest, program_number(program, slice.missing), count, false);
    slice.seq_last = program_number(program, slice.seq);
    wire_put_slice(out, &slice);
    put_bytes(out, items, wire_out_size(&rest));
    out->bad |= rest.bad;
}

static void put_standing(struct wire_out *out, const struct reader *reader)
{
    struct wire_standing standing = {.life = program_life(program),
                                     .newest = program_number(program, reader->seq + 3),
                                     .state = program_choose(program, 2),
                                     .reason = program_bytes(program, WIRE_REASON_MAX),
                                     .id = program_id(program)};
    wire_put_standing(out, &standing);
}

static void put_rest(struct wire_out *out, struct wire_deliver *head, struct reader *reader)
{
    uint8_t count = program_choose(program, 4);
    switch (head->kind) {
    case WIRE_EVENTS:
        head->count = (uint32_t)program_number(program, count);
        head->seq = program_number(program, put_items(out, reader->seq, count, reader->log));
        reader->bytes += wire_out_size(out);
        break;
    case WIRE_GAP:
        head->missing = reader->log ? 0 : program_number(program, 2);
        head->seq = program_number(program, reader->seq + 2);
        reader->bytes += reader->log ? WIRE_DELIVER_HEAD_SIZE + WIRE_LOG_GAP_SIZE : 0;
        if (reader->log)
            wire_put_log_gap(out,
                             &(struct wire_log_gap){.first = head->seq - 1, .last = head->seq});
        break;
    default:
        head->verdict = head->kind == WIRE_VERDICT ? program_choose(program, 5)
                                                   : 2 + program_choose(program, 10);
        head->code = head->verdict == WIRE_REFUSED_VERDICT ? 1 + program_byte(program) : 0;
        head->missing = program_number(program, 0);
        head->seq = program_number(program, reader->seq);
        put_standing(out, reader);
        break;
    }
}

static void put_delivery(struct wire_out *out)
{
    static uint8_t bytes[FRAME_MAX];
    static struct reader nobody;
    static const uint8_t kinds[] = {WIRE_EVENTS, WIRE_VERDICT, WIRE_EVENTS, WIRE_GAP,
                                    WIRE_EVENTS, WIRE_VERDICT, WIRE_EVENTS, WIRE_END};
    struct reader *reader =
        reader_count > 0 ? &readers[program_choose(program, (uint8_t)reader_count)] : &nobody;
    struct wire_out rest = wire_out(bytes, sizeof(bytes));
    struct wire_deliver head = {.kind = kinds[program_choose(program, COUNT(kinds))]};
    head.subscription = program_number(program, reader->subscription);
    head.incarnation = (uint32_t)program_number(program, reader->incarnation);
    put_rest(&rest, &head, reader);
    reader->seq = head.seq;
    head.bytes = program_number(program, reader->bytes);
    head.size = (uint32_t)wire_out_size(&rest);
    wire_put_deliver(out, &head);
    put_bytes(out, bytes, head.size);
    out->bad |= rest.bad;
}

static void put_deliver(struct wire_out *out)
{
    uint8_t count = 1 + program_choose(program, 3);
    wire_put_deliveries(out, count);
    for (uint8_t i = 0; i < count; i++)
        put_delivery(out);
}

static void put_alive(struct wire_out *out)
{
    wire_put_alive(out, &(struct wire_alive){.instance = make_instance(),
                                             .subscriptions =
                                                 (uint32_t)program_number(program, reader_count)});
}

static void put_ack(struct wire_out *out)
{
    uint8_t runs[4 * WIRE_RUN_SIZE];
    size_t size;
    struct wire_ack ack = {.token = program_number(program, batch.token),
                           .from = program_number(program, batch.first - 1),
                           .up_to = program_number(program, batch.first + batch.count - 1),
                           .level = program_choose(program, 3),
                           .position = program_number(program, 100)};
    ack.run_count = put_runs(runs, sizeof(runs), &size);
    wire_put_ack(out, &ack);
    put_bytes(out, runs, size);
}

static void put_expect(struct wire_out *out)
{
    wire_put_expect(out,
                    &(struct wire_expect){.token = program_number(program, batch.token),
                                          .number = program_number(program, batch.first),
                                          .round = (uint32_t)program_number(program, batch.round)});
}

static const struct answer {
    uint8_t type;
    uint8_t answer;
    void (*put)(struct wire_out *out);
} answers[] = {
    {WIRE_HELLO, WIRE_WELCOME, put_welcome},
    {WIRE_OPEN, WIRE_OPENED, put_state},
    {WIRE_STATE, WIRE_STATE_IS, put_state},
    {WIRE_LAST, WIRE_LAST_IS, put_last_is},
    {WIRE_FETCH, WIRE_SLICE, put_slice},
    {WIRE_SESSIONS, WIRE_SESSIONS_ARE, put_sessions_are},
    {WIRE_HEALTH, WIRE_HEALTH_IS, put_health_is},
    {WIRE_STATS, WIRE_STATS_ARE, put_stats_are},
    {WIRE_INFO, WIRE_INFO_IS, put_info_is},
    {WIRE_PUBLISH, WIRE_PUBLISHED, put_published},
    {WIRE_CREDIT, WIRE_ALIVE, put_alive},
    {WIRE_CLIENTS, WIRE_CLIENTS_ARE, put_clients_are},
};

static void send_made(enum transport_name name, uint8_t type, uint64_t number,
                      void (*put)(struct wire_out *out))
{
    uint8_t frame[FRAME_MAX];
    struct wire_out out = wire_out(frame, sizeof(frame));
    wire_put_header(&out, type, number);
    put(&out);
    if (!out.bad)
        send_frame(name, frame, wire_out_size(&out));
}

/* The answer to one of the last requests; rarely to another kind of request. */
static void answer(void)
{
    size_t known = request_count < REQUESTS ? request_count : REQUESTS;
    if (known == 0)
        return;
    size_t back = 1 + program_choose(program, 4) % known;
    const struct request *request = &requests[(request_count - back) % REQUESTS];
    uint8_t what = program_byte(program);
    const struct answer *wrong = &answers[what % COUNT(answers)];
    for (size_t i = 0; i < COUNT(answers); i++)
        if (answers[i].type == request->type && what < 240)
            wrong = &answers[i];
    if (what % 16 == 15)
        send_made(request->socket, WIRE_ERROR, request->number, put_error);
    else
        send_made(request->socket, wrong->answer, program_number(program, request->number),
                  wrong->put);
}

static void connect_or_break(struct pipe *pipe)
{
    pipe->up = !pipe->up;
    pipe->changed = true;
    drop_waiting(pipe);
}

void made_sidecar_step(void)
{
    uint8_t what = program_byte(program);
    sent = 0;
    if (what < 110)
        answer();
    else if (what < 180)
        send_made(TRANSPORT_READ, WIRE_DELIVER, 0, put_deliver);
    else if (what < 210)
        send_made(TRANSPORT_INGEST, WIRE_ACK, 0, put_ack);
    else if (what < 220)
        send_made(TRANSPORT_INGEST, WIRE_EXPECT, 0, put_expect);
    else if (what < 228)
        send_made(what % 2, WIRE_ERROR, 0, put_error);
    else if (what < 236)
        connect_or_break(&pipes[what % 2]);
    else if (what < 240)
        pipes[what % 2].full = !pipes[what % 2].full;
    else
        now_ns += program_byte(program) * (what < 248 ? NS_PER_MS : 50 * NS_PER_MS);
}

void made_sidecar_begin(struct program *made_of)
{
    program = made_of;
    memset(pipes, 0, sizeof(pipes));
    memset(readers, 0, sizeof(readers));
    for (size_t i = 0; i < COUNT(pipes); i++)
        pipes[i].up = pipes[i].changed = true;
    request_count = reader_count = 0;
    batch = (struct wire_batch){.first = 1, .token = 77};
    now_ns = NS_PER_MS;
    sent = sleeps = 0;
}

void made_sidecar_rest(void)
{
    sent = 0;
    for (size_t i = 0; i < COUNT(pipes); i++)
        pipes[i].full = false;
}

uint64_t made_sidecar_now_ns(void)
{
    return now_ns;
}

void made_sidecar_pass(uint64_t ns)
{
    now_ns += ns;
}

bool made_sidecar_wakes(void)
{
    return is_ready;
}
