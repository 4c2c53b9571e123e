/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_sidecar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"

enum { ANSWER_MAX = 1 << 20 };

/* -- sockets ----------------------------------------------------------------------------------- */

static void *bind_router(struct fake *fake, const char *name)
{
    char endpoint[128];
    int linger_ms = 0;
    int no_hwm = 0; /* ROUTER drops what is above */
    void *socket = zmq_socket(fake->context, ZMQ_ROUTER);
    assert_non_null(socket);
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s", fake->dir, name);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &no_hwm, sizeof(no_hwm));
    assert_int_equal(zmq_bind(socket, endpoint), 0);
    return socket;
}

void fake_start(struct fake *fake)
{
    fake->context = zmq_ctx_new();
    assert_non_null(fake->context);
    fake->ingest = bind_router(fake, "ingest.sock");
    fake->read = bind_router(fake, "read.sock");
    fake->instance++;
}

void fake_stop(struct fake *fake)
{
    zmq_close(fake->ingest);
    zmq_close(fake->read);
    zmq_ctx_term(fake->context);
    fake->context = NULL;
}

void fake_open(struct fake *fake)
{
    *fake = (struct fake){.major = WIRE_MAJOR,
                          .data_max = WIRE_EVENT_DATA_DEFAULT,
                          .batch_events_max = WIRE_BATCH_EVENTS_MAX,
                          .token = 7,
                          .life = {{3}},
                          .alive = UINT32_MAX,
                          .slice_items = FAKE_ITEMS_MAX,
                          .page_rows = 1000};
    snprintf(fake->dir, sizeof(fake->dir), "/tmp/spn-client-XXXXXX");
    assert_non_null(mkdtemp(fake->dir));
    zmq_msg_init(&fake->ingest_peer);
    zmq_msg_init(&fake->read_peer);
    fake_start(fake);
}

void fake_close(struct fake *fake)
{
    static const char *const names[] = {"ingest.sock", "read.sock"};
    char path[128];
    if (fake->context != NULL)
        fake_stop(fake);
    fake_drop_batches(fake);
    fake_drop_held(fake);
    zmq_msg_close(&fake->ingest_peer);
    zmq_msg_close(&fake->read_peer);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", fake->dir, names[i]);
        unlink(path);
    }
    rmdir(fake->dir);
}

static void send_to(void *socket, zmq_msg_t *peer, const void *bytes, size_t size)
{
    zmq_msg_t address;
    zmq_msg_init(&address);
    zmq_msg_copy(&address, peer);
    if (zmq_msg_send(&address, socket, ZMQ_SNDMORE) < 0)
        zmq_msg_close(&address);
    assert_int_equal(zmq_send(socket, bytes, size, 0), (int)size);
}

/* -- read.sock --------------------------------------------------------------------------------- */

static void put_state(const struct fake *fake, struct wire_out *out)
{
    const struct wire_state state = {.token = fake->token,
                                     .instance = fake->instance,
                                     .accepted = fake->accepted,
                                     .durable = fake->durable,
                                     .run_count = fake->run_count,
                                     .mark = fake->mark};
    wire_put_state(out, &state);
    for (uint32_t i = 0; i < fake->run_count; i++)
        wire_put_run(out, &fake->runs[i]);
}

static size_t first_item(const struct fake *fake)
{
    size_t at = 0;
    if (fake->fetch.start == WIRE_AFTER_SEQ)
        while (at < fake->item_count && fake->items[at].seq <= fake->fetch.seq)
            at++;
    if (fake->fetch.start == WIRE_AFTER_ID)
        while (at < fake->item_count &&
               (strlen(fake->items[at].id) != fake->fetch.id.size ||
                memcmp(fake->items[at].id, fake->fetch.id.data, fake->fetch.id.size) != 0))
            at++;
    return fake->fetch.start == WIRE_AFTER_ID ? at + 1 : at;
}

static void put_slice(const struct fake *fake, struct wire_out *out)
{
    size_t at = first_item(fake);
    size_t end =
        at + fake->slice_items < fake->item_count ? at + fake->slice_items : fake->item_count;
    struct wire_slice slice = {.verdict = fake->verdict, .life = fake->life};
    if (at > fake->item_count && slice.verdict == WIRE_RESUMED)
        slice.verdict = WIRE_UNKNOWN_ID;
    if (slice.verdict <= WIRE_TRIMMED && fake->item_count > 0) {
        slice.count = end > at ? (uint32_t)(end - at) : 0;
        slice.seq_last = fake->items[fake->item_count - 1].seq;
        slice.seq = slice.count > 0 ? fake->items[end - 1].seq : slice.seq_last;
        slice.missing = fake->fetch.start != WIRE_AFTER_SEQ ? fake->missing : 0;
    }
    wire_put_slice(out, &slice);
    for (uint32_t i = 0; i < slice.count; i++) {
        const struct fake_item *item = &fake->items[at + i];
        const struct wire_item wire = {.seq = item->seq,
                                       .position = 1000 + item->seq,
                                       .time_ms = 5,
                                       .entry = {.kind = WIRE_EVENT,
                                                 .retry_ms = WIRE_RETRY_NONE,
                                                 .id = {item->id, strlen(item->id)},
                                                 .type = {"t", 1},
                                                 .data = {item->data, strlen(item->data)}}};
        wire_put_item(out, &wire);
    }
}

static void put_sessions(const struct fake *fake, struct wire_out *out,
                         const struct wire_sessions *ask)
{
    char after[256] = "";
    char prefix[256] = "";
    size_t at = 0;
    memcpy(after, ask->after.data, ask->after.size);
    memcpy(prefix, ask->prefix.data, ask->prefix.size);
    while (at < fake->name_count && (strcmp(fake->names[at], after) <= 0 ||
                                     strncmp(fake->names[at], prefix, strlen(prefix)) != 0))
        at++;
    size_t end = at;
    while (end < fake->name_count && end - at < fake->page_rows &&
           strncmp(fake->names[end], prefix, strlen(prefix)) == 0)
        end++;
    const struct wire_sessions_are head = {.count = (uint32_t)(end - at),
                                           .more = end < fake->name_count};
    wire_put_sessions_are(out, &head);
    for (; at < end; at++) {
        const struct wire_session_row row = {.seq = at + 1,
                                             .state = (uint8_t)(at % 2),
                                             .name = {fake->names[at], strlen(fake->names[at])},
                                             .last_id = {"last", 4}};
        wire_put_session_row(out, &row);
    }
}

static void put_error(struct wire_out *out, spn_err code, const char *detail)
{
    const struct wire_error error = {.code = (uint32_t)code, .detail = {detail, strlen(detail)}};
    wire_put_error(out, &error);
}

static enum wire_type answer_type(uint8_t type)
{
    return (enum wire_type)(type + 1);
}

static void put_last(const struct fake *fake, struct wire_out *out, struct spn_bytes session)
{
    struct wire_last_is last = {.life = fake->life};
    if (fake->item_count > 0) {
        const struct fake_item *item = &fake->items[fake->item_count - 1];
        last.seq = item->seq;
        last.id = (struct spn_bytes){item->id, strlen(item->id)};
    }
    if (fake->last_names)
        last.id = session;
    wire_put_last_is(out, &last);
}

/* Told as it is, but for a name that it does not have: then it is the one that was asked for. */
static void put_info(const struct fake *fake, struct wire_out *out, struct spn_bytes session)
{
    struct wire_info_is info = fake->info;
    if (info.row.name.data == NULL)
        info.row.name = session;
    wire_put_info_is(out, &info);
}

static void put_health(const struct fake *fake, struct wire_out *out)
{
    const struct wire_health health = {.status = WIRE_DEGRADED,
                                       .pid = 42,
                                       .instance = fake->instance,
                                       .version = {"9.9", 3},
                                       .reason = {"tired", 5}};
    wire_put_health(out, &health);
}

static void put_stats(struct wire_out *out)
{
    const struct wire_stats_are head = {.count = 2};
    const struct wire_stat stats[] = {{.value = 1, .name = {"one", 3}},
                                      {.value = UINT64_MAX, .name = {"most", 4}}};
    wire_put_stats_are(out, &head);
    wire_put_stat(out, &stats[0]);
    wire_put_stat(out, &stats[1]);
}

/* Two pages, of two rows and of one. The second one of the list is of nobody who is known. */
static void put_clients(struct wire_out *out, const struct wire_clients *request)
{
    const struct wire_client rows[] = {
        {.number = 5, .pid = 50, .uid = 1, .socket = WIRE_INGEST, .program = {"app", 3}},
        {.number = 6, .pid = 0, .uid = 2, .socket = WIRE_READ},
        {.number = 9,
         .pid = 90,
         .uid = 1,
         .socket = WIRE_READ,
         .subscriptions = 3,
         .behind = 2,
         .lag = 7,
         .waiting = 8,
         .program = {"tail", 4}},
    };
    bool first = request->after < 6;
    wire_put_clients_are(out, &(struct wire_clients_are){.count = first ? 2 : 1,
                                                         .next = first ? 6 : 0,
                                                         .hidden = first ? 4 : 0});
    for (size_t i = first ? 0 : 2; i < (first ? 2u : 3u); i++)
        wire_put_client(out, &rows[i]);
}

static void put_welcome(const struct fake *fake, struct wire_out *out)
{
    const struct wire_welcome welcome = {.instance = fake->instance,
                                         .data_max = fake->data_max,
                                         .batch_bytes_max = WIRE_BATCH_BYTES_MAX,
                                         .batch_events_max = fake->batch_events_max,
                                         .heartbeat_ms = fake->heartbeat_ms,
                                         .version = {"0.0", 3}};
    wire_put_welcome(out, &welcome);
}

/* -- subscriptions: nothing is answered but what the test sends -------------------------------- */

static void copy_text(struct spn_bytes from, char *to)
{
    if (from.size > 0)
        memcpy(to, from.data, from.size);
    to[from.size] = '\0';
}

static void take_credit(struct fake *fake, struct wire_in *in)
{
    uint32_t count;
    fake->credits++;
    wire_get_grants(in, &count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(fake->grant_count < FAKE_GRANTS_MAX);
        wire_get_grant(in, &fake->grants[fake->grant_count++]);
    }
}

void fake_alive(struct fake *fake, uint64_t request, uint32_t subscriptions)
{
    uint8_t bytes[64];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_ALIVE, request);
    wire_put_alive(
        &out, &(struct wire_alive){.instance = fake->instance, .subscriptions = subscriptions});
    send_to(fake->read, &fake->read_peer, bytes, wire_out_size(&out));
}

static void answer_credit(struct fake *fake, uint64_t request)
{
    fake->credit_request = request;
    if (!fake->mute)
        fake_alive(fake, request, fake->alive);
}

/* False: it is another message. */
static bool take_subscription(struct fake *fake, const struct wire_header *header,
                              struct wire_in in)
{
    switch (header->type) {
    case WIRE_SUBSCRIBE:
        fake->subscribes++;
        fake->subscribe_request = header->request;
        wire_get_subscribe(&in, &fake->subscribe);
        copy_text(fake->subscribe.session, fake->subscribe_session);
        copy_text(fake->subscribe.id, fake->subscribe_id);
        if (fake->subscribed != NULL)
            fake->subscribed(&fake->subscribe);
        break;
    case WIRE_FOLLOW:
        fake->follows++;
        wire_get_follow(&in, &fake->follow);
        copy_text(fake->follow.prefix, fake->follow_prefix);
        break;
    case WIRE_CREDIT:
        take_credit(fake, &in);
        answer_credit(fake, header->request);
        break;
    case WIRE_UNSUBSCRIBE:
        fake->unsubscribes++;
        wire_get_grant(&in, &fake->unsubscribe);
        break;
    default:
        return false;
    }
    assert_true(wire_in_done(&in));
    return true;
}

/* What is repeated has to be the same. */
static void take_publish(struct fake *fake, struct wire_in *in, struct wire_out *out)
{
    struct wire_publish publish;
    size_t size = (size_t)(in->end - in->at);
    size_t kept = size < sizeof(fake->publish) ? size : sizeof(fake->publish);
    fake->publishes++;
    if (size != fake->publish_size || memcmp(fake->publish, in->at, kept) != 0)
        fake->publish_changes++;
    memcpy(fake->publish, in->at, kept);
    fake->publish_size = size;
    wire_get_publish(in, &publish);
    struct wire_published published = fake->published;
    published.id = publish.entry.id;
    wire_put_published(out, &published);
}

/* -- answers ----------------------------------------------------------------------------------- */

static void put_answer(struct fake *fake, uint8_t type, struct wire_in in, struct wire_out *out)
{
    struct wire_sessions sessions;
    struct wire_clients clients;
    struct spn_bytes session;
    switch (type) {
    case WIRE_HELLO:
        fake->hellos++;
        put_welcome(fake, out);
        break;
    case WIRE_OPEN:
        fake->opens++;
        wire_get_open(&in, &fake->open);
        put_state(fake, out);
        break;
    case WIRE_STATE:
        fake->states++;
        wire_get_ask(&in, &fake->ask);
        put_state(fake, out);
        break;
    case WIRE_LAST:
        fake->lasts++;
        wire_get_last(&in, &session);
        put_last(fake, out, session);
        break;
    case WIRE_FETCH:
        fake->fetches++;
        wire_get_fetch(&in, &fake->fetch);
        put_slice(fake, out);
        break;
    case WIRE_SESSIONS:
        fake->lists++;
        wire_get_sessions(&in, &sessions);
        put_sessions(fake, out, &sessions);
        break;
    case WIRE_CLIENTS:
        wire_get_clients(&in, &clients);
        put_clients(out, &clients);
        break;
    case WIRE_INFO:
        fake->infos++;
        wire_get_info(&in, &session);
        put_info(fake, out, session);
        break;
    case WIRE_PUBLISH:
        take_publish(fake, &in, out);
        break;
    case WIRE_HEALTH:
        put_health(fake, out);
        break;
    case WIRE_STATS:
        put_stats(out);
        break;
    default:
        fail_msg("a question of type %u", type);
    }
    assert_true(wire_in_done(&in) || type == WIRE_HELLO);
}

static spn_err err_to_tell(struct fake *fake, uint8_t type)
{
    spn_err err = fake->read_err;
    if (fake->major != WIRE_MAJOR)
        return SPN_E_VERSION;
    if (type == WIRE_HELLO)
        return fake->hello_err;
    if (err == SPN_OK ||
        ((type < WIRE_OPEN || type > WIRE_FETCH) && type != WIRE_INFO && type != WIRE_PUBLISH))
        return SPN_OK;
    if (fake->err_count > 0 && --fake->err_count == 0)
        fake->read_err = SPN_OK;
    return err;
}

static void hold(struct fake *fake, void *socket, const uint8_t *bytes, size_t size)
{
    assert_true(fake->held_count < FAKE_HELD_MAX);
    struct fake_held *held = &fake->held[fake->held_count++];
    *held = (struct fake_held){malloc(size), size, socket == fake->ingest};
    assert_non_null(held->bytes);
    memcpy(held->bytes, bytes, size);
}

/* Where the message came from decides whether it is taken, and where the answer goes. */
static void answer(struct fake *fake, void *socket, zmq_msg_t *peer, zmq_msg_t *question)
{
    static uint8_t bytes[ANSWER_MAX];
    struct wire_in in = wire_in(zmq_msg_data(question), zmq_msg_size(question));
    struct wire_out body = wire_out(bytes + WIRE_HEADER_SIZE, sizeof(bytes) - WIRE_HEADER_SIZE);
    struct wire_out out = wire_out(bytes, WIRE_HEADER_SIZE);
    struct wire_header header;
    enum wire_type type;

    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    assert_true((wire_sockets(header.type) & (socket == fake->ingest ? WIRE_INGEST : WIRE_READ)) !=
                0);
    if (take_subscription(fake, &header, in))
        return;
    type = answer_type(header.type);
    put_answer(fake, header.type, in, &body);
    spn_err err = err_to_tell(fake, header.type);
    if (err != SPN_OK) {
        type = WIRE_ERROR;
        body.at = body.start;
        put_error(&body, err, "as told");
    }
    wire_put_header(&out, type, header.request);
    assert_false(out.bad || body.bad);
    bytes[3] = fake->major;
    size_t size = WIRE_HEADER_SIZE + wire_out_size(&body);
    if (fake->holds)
        hold(fake, socket, bytes, size);
    else if (!fake->deaf && !(fake->deaf_ingest && socket == fake->ingest))
        send_to(socket, peer, bytes, size);
}

void fake_send_held(struct fake *fake, size_t index)
{
    assert_true(index < fake->held_count);
    const struct fake_held *held = &fake->held[index];
    send_to(held->ingest ? fake->ingest : fake->read,
            held->ingest ? &fake->ingest_peer : &fake->read_peer, held->bytes, held->size);
}

void fake_drop_held(struct fake *fake)
{
    for (size_t i = 0; i < fake->held_count; i++)
        free(fake->held[i].bytes);
    fake->held_count = 0;
}

/* -- stepping ---------------------------------------------------------------------------------- */

static uint8_t type_of(zmq_msg_t *frame)
{
    struct wire_in in = wire_in(zmq_msg_data(frame), zmq_msg_size(frame));
    struct wire_header header;
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    return header.type;
}

static void take_batch(struct fake *fake, zmq_msg_t *frame)
{
    assert_true(fake->batch_count < FAKE_BATCHES_MAX);
    struct fake_batch *batch = &fake->batches[fake->batch_count++];
    struct wire_in in = wire_in(zmq_msg_data(frame), zmq_msg_size(frame));
    struct wire_header header;
    struct wire_entry entry = {0};
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    wire_get_batch(&in, &batch->head);
    for (uint32_t i = 0; i < batch->head.count; i++)
        wire_get_entry(&in, entry.session, &entry);
    assert_true(wire_in_done(&in));
    zmq_msg_init(&batch->frame);
    zmq_msg_move(&batch->frame, frame);
    if (fake->acks) {
        uint64_t last = batch->head.first + batch->head.count - 1;
        fake->accepted = fake->durable = last;
        fake_ack(fake, batch->head.first - 1, last, WIRE_DURABLE, NULL, 0);
    }
}

static void take_frame(struct fake *fake, void *socket, zmq_msg_t *peer, zmq_msg_t *frame)
{
    bool writes = socket == fake->ingest;
    uint8_t type = type_of(frame);
    if (writes && type == WIRE_BATCH)
        take_batch(fake, frame);
    else if (writes && type == WIRE_LEAVE)
        fake->leaves++;
    else
        answer(fake, socket, peer, frame);
}

/* False: nothing was there. */
static bool take_one(struct fake *fake, void *socket, zmq_msg_t *peer)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&frame);
        return false;
    }
    zmq_msg_move(peer, &frame);
    zmq_msg_init(&frame);
    assert_true(zmq_msg_recv(&frame, socket, 0) >= 0);
    take_frame(fake, socket, peer, &frame);
    zmq_msg_close(&frame);
    return true;
}

bool fake_step(struct fake *fake, int wait_ms)
{
    zmq_pollitem_t items[] = {{.socket = fake->ingest, .events = ZMQ_POLLIN},
                              {.socket = fake->read, .events = ZMQ_POLLIN}};
    zmq_poll(items, 2, wait_ms);
    bool ingest = take_one(fake, fake->ingest, &fake->ingest_peer);
    bool read = take_one(fake, fake->read, &fake->read_peer);
    return ingest || read;
}

static _Atomic uint64_t passed_ns;

uint64_t fake_now(void)
{
    return client_monotonic_ns() + passed_ns;
}

void fake_pass(uint64_t ns)
{
    passed_ns += ns;
}

static void *run(void *argument)
{
    struct fake *fake = argument;
    while (atomic_load(&fake->running))
        fake_step(fake, 1);
    return NULL;
}

void fake_begin(struct fake *fake)
{
    atomic_store(&fake->running, true);
    assert_int_equal(pthread_create(&fake->thread, NULL, run, fake), 0);
}

void fake_end(struct fake *fake)
{
    atomic_store(&fake->running, false);
    assert_int_equal(pthread_join(fake->thread, NULL), 0);
}

/* -- batches ----------------------------------------------------------------------------------- */

struct wire_entry fake_entry(struct fake *fake, size_t batch, size_t index)
{
    zmq_msg_t *frame = &fake->batches[batch].frame;
    struct wire_in in = wire_in(zmq_msg_data(frame), zmq_msg_size(frame));
    struct wire_header header;
    struct wire_batch head;
    struct wire_entry entry = {0};
    assert_true(batch < fake->batch_count && index < fake->batches[batch].head.count);
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    wire_get_batch(&in, &head);
    for (size_t i = 0; i <= index; i++)
        wire_get_entry(&in, entry.session, &entry);
    return entry;
}

void fake_drop_batches(struct fake *fake)
{
    for (size_t i = 0; i < fake->batch_count; i++)
        zmq_msg_close(&fake->batches[i].frame);
    fake->batch_count = 0;
}

/* -- ingest.sock ------------------------------------------------------------------------------- */

static struct wire_out begin(uint8_t *bytes, size_t size, enum wire_type type)
{
    struct wire_out out = wire_out(bytes, size);
    wire_put_header(&out, type, 0);
    return out;
}

static void finish(struct fake *fake, const struct wire_out *out)
{
    assert_false(out->bad);
    send_to(fake->ingest, &fake->ingest_peer, out->start, wire_out_size(out));
}

void fake_ack(struct fake *fake, uint64_t from, uint64_t up_to, uint8_t level,
              const struct wire_run *runs, uint32_t run_count)
{
    uint8_t bytes[1024];
    struct wire_out out = begin(bytes, sizeof(bytes), WIRE_ACK);
    const struct wire_ack ack = {.token = fake->token,
                                 .from = from,
                                 .up_to = up_to,
                                 .run_count = run_count,
                                 .level = level,
                                 .position = fake->mark.position};
    wire_put_ack(&out, &ack);
    for (uint32_t i = 0; i < run_count; i++)
        wire_put_run(&out, &runs[i]);
    finish(fake, &out);
}

void fake_expect(struct fake *fake, uint64_t number, uint32_t round)
{
    uint8_t bytes[64];
    struct wire_out out = begin(bytes, sizeof(bytes), WIRE_EXPECT);
    const struct wire_expect expect = {.token = fake->token, .number = number, .round = round};
    wire_put_expect(&out, &expect);
    finish(fake, &out);
}

void fake_error(struct fake *fake, uint64_t token, spn_err code, const char *detail)
{
    uint8_t bytes[512];
    struct wire_out out = begin(bytes, sizeof(bytes), WIRE_ERROR);
    const struct wire_error error = {
        .token = token, .code = (uint32_t)code, .detail = {detail, strlen(detail)}};
    wire_put_error(&out, &error);
    finish(fake, &out);
}

void fake_send_raw(struct fake *fake, const void *bytes, size_t size)
{
    send_to(fake->ingest, &fake->ingest_peer, bytes, size);
}

/* -- deliveries -------------------------------------------------------------------------------- */

void fake_read_raw(struct fake *fake, const void *bytes, size_t size)
{
    send_to(fake->read, &fake->read_peer, bytes, size);
}

size_t fake_items_size(uint32_t count, size_t data_size)
{
    return (WIRE_ITEM_HEAD_SIZE + 2 + 1 + data_size) * count;
}

static struct {
    uint8_t bytes[ANSWER_MAX];
    struct wire_out out;
    uint32_t count;
    bool open;
} pack;

void fake_pack(void)
{
    pack.out = wire_out(pack.bytes, sizeof(pack.bytes));
    pack.count = 0;
    pack.open = true;
    wire_put_header(&pack.out, WIRE_DELIVER, 0);
    wire_put_deliveries(&pack.out, 0);
}

void fake_send_pack(struct fake *fake)
{
    struct wire_out head = wire_out(pack.bytes + WIRE_HEADER_SIZE, WIRE_DELIVERIES_HEAD_SIZE);
    wire_put_deliveries(&head, pack.count);
    assert_false(pack.out.bad);
    fake_read_raw(fake, pack.bytes, wire_out_size(&pack.out));
    pack.open = false;
}

static void put_items(uint32_t count, uint64_t seq_first, size_t data_size)
{
    static char data[ANSWER_MAX];
    for (uint32_t i = 0; i < count; i++) {
        memset(data, '.', data_size);
        uint64_t seq = seq_first + i;
        snprintf(data, sizeof(data), "%llu", (unsigned long long)seq);
        const struct wire_item item = {.seq = seq,
                                       .position = 1000 + seq,
                                       .time_ms = 5,
                                       .entry = {.kind = WIRE_EVENT,
                                                 .retry_ms = WIRE_RETRY_NONE,
                                                 .id = {"id", 2},
                                                 .type = {"t", 1},
                                                 .data = {data, data_size}}};
        wire_put_item(&pack.out, &item);
    }
}

/* standing NULL: there is none. */
static void deliver(struct fake *fake, const struct wire_deliver *head,
                    const struct wire_standing *standing, uint64_t seq_first, size_t data_size)
{
    struct wire_deliver whole = *head;
    bool alone = !pack.open;
    uint32_t count = head->kind == WIRE_EVENTS ? head->count : 0;
    whole.size =
        (uint32_t)(standing ? wire_standing_size(standing) : fake_items_size(count, data_size));
    if (alone)
        fake_pack();
    wire_put_deliver(&pack.out, &whole);
    if (standing)
        wire_put_standing(&pack.out, standing);
    put_items(count, seq_first, data_size);
    pack.count++;
    if (alone)
        fake_send_pack(fake);
}

void fake_deliver_rest(struct fake *fake, const struct wire_deliver *head, const void *rest,
                       size_t size)
{
    struct wire_deliver whole = *head;
    bool alone = !pack.open;
    whole.size = (uint32_t)size;
    if (alone)
        fake_pack();
    wire_put_deliver(&pack.out, &whole);
    assert_true(size <= (size_t)(pack.out.end - pack.out.at));
    memcpy(pack.out.at, rest, size);
    pack.out.at += size;
    pack.count++;
    if (alone)
        fake_send_pack(fake);
}

void fake_deliver_standing(struct fake *fake, const struct wire_deliver *head,
                           const struct wire_standing *standing)
{
    deliver(fake, head, standing, 0, 0);
}

void fake_deliver(struct fake *fake, const struct wire_deliver *head, uint64_t seq_first,
                  size_t data_size)
{
    const struct wire_standing standing = {.life = fake->life, .newest = head->seq};
    bool stands = head->kind == WIRE_VERDICT || head->kind == WIRE_END;
    deliver(fake, head, stands ? &standing : NULL, seq_first, data_size);
}

void fake_read_error(struct fake *fake, uint64_t request, spn_err code)
{
    uint8_t bytes[64];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_ERROR, request);
    wire_put_error(&out, &(struct wire_error){.code = (uint32_t)code});
    assert_false(out.bad);
    fake_read_raw(fake, bytes, wire_out_size(&out));
}
