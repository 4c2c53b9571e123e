/* SPDX-License-Identifier: Apache-2.0 */
#include "one_thread.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "commit/worker.h"
#include "net/connections.h"
#include "net/endpoint.h"
#include "net/outbox.h"
#include "net/router.h"
#include "read/reader.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define MS ONE_THREAD_MS

enum { STACK_SIZE = 512 * 1024, FDS_MAX = 4 };

struct fiber {
    ucontext_t context;
    void *(*function)(void *);
    void *argument;
    struct pollfd fds[FDS_MAX];
    nfds_t count;
    uint64_t due_ns; /* UINT64_MAX: it waits for events only */
    int result;
    bool there;
    bool ended;
};

enum { BROKER, WORKER, READER, FIBERS };

struct frame {
    uint8_t peer;
    size_t size;
    uint8_t bytes[ONE_THREAD_FRAME_MAX];
};

struct inbox {
    struct frame frames[ONE_THREAD_FRAMES_MAX]; /* a ring */
    size_t first;
    size_t count;
};

struct daemon {
    struct journal *journal;
    struct broker_state state;
    struct clock clock;
    struct metrics metrics;
    struct mailbox to_broker, to_worker, to_reader;
    struct worker worker;
    struct reader *reader;
    struct broker_options options;
    int signal_fds[2]; /* a pipe */
};

uint64_t one_thread_now_ns = 1000 * MS;

static const struct one_thread_world *world;
static struct daemon it;
static struct fiber fibers[FIBERS];
static _Alignas(64) uint8_t stacks[FIBERS][STACK_SIZE];
static struct fiber *running;
static int next_fiber; /* that pthread_create makes */
static ucontext_t scheduler;
static struct inbox inboxes[3]; /* by socket */

static void expect(bool holds, const char *what)
{
    if (!holds)
        world->wrong(what);
}

static uint64_t fake_ns(void)
{
    return one_thread_now_ns;
}

static uint64_t fake_wall_ms(void)
{
    return 1767225600000u + one_thread_now_ns / MS;
}

/* -- sockets ----------------------------------------------------------------------------------- */

bool one_thread_send(enum one_thread_socket socket, uint8_t peer, const void *bytes, size_t size)
{
    struct inbox *inbox = &inboxes[socket];
    expect(size <= ONE_THREAD_FRAME_MAX, "a frame of the world has no room");
    if (inbox->count == ONE_THREAD_FRAMES_MAX)
        return false;
    struct frame *frame = &inbox->frames[(inbox->first + inbox->count++) % ONE_THREAD_FRAMES_MAX];
    frame->peer = peer;
    frame->size = size;
    memcpy(frame->bytes, bytes, size);
    return true;
}

size_t one_thread_waiting(enum one_thread_socket socket)
{
    return inboxes[socket].count;
}

void one_thread_drop(enum one_thread_socket socket, size_t from)
{
    inboxes[socket].count = from;
}

/* -- fibers ------------------------------------------------------------------------------------ */

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *signals);
int __wrap_zmq_poll(zmq_pollitem_t *items, int count, long timeout_ms);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);
int __wrap_pthread_join(pthread_t thread, void **ret);
spn_err __real_journal_commit(struct journal *journal);
spn_err __wrap_journal_commit(struct journal *journal);

/* AddressSanitizer has to be told which stack is in use. */
#ifdef HAS_ASAN
static const void *scheduler_stack;
static size_t scheduler_size;

static void switch_to_fiber(struct fiber *fiber)
{
    void *fake = NULL;
    __sanitizer_start_switch_fiber(&fake, fiber->context.uc_stack.ss_sp, STACK_SIZE);
    swapcontext(&scheduler, &fiber->context);
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
}

static void switch_back(bool for_good)
{
    void *fake = NULL;
    __sanitizer_start_switch_fiber(for_good ? NULL : &fake, scheduler_stack, scheduler_size);
    swapcontext(&running->context, &scheduler);
    __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_size);
}

static void note_scheduler(void)
{
    __sanitizer_finish_switch_fiber(NULL, &scheduler_stack, &scheduler_size);
}

/* The fiber before it left its last frames there. */
static void clean_stack(const uint8_t *stack)
{
    ASAN_UNPOISON_MEMORY_REGION(stack, STACK_SIZE);
}
#else
static void switch_to_fiber(struct fiber *fiber)
{
    swapcontext(&scheduler, &fiber->context);
}

static void switch_back(bool for_good)
{
    (void)for_good;
    swapcontext(&running->context, &scheduler);
}

static void note_scheduler(void)
{
}

static void clean_stack(const uint8_t *stack)
{
    (void)stack;
}
#endif

static void yield(uint64_t due_ns)
{
    running->due_ns = due_ns;
    switch_back(false);
}

static void wait_for(const struct pollfd *fds, nfds_t count)
{
    expect(count <= FDS_MAX, "more descriptors than a fiber waits for");
    memcpy(running->fds, fds, count * sizeof(*fds));
    running->count = count;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    wait_for(fds, count);
    yield(timeout_ms < 0 ? UINT64_MAX : one_thread_now_ns + (uint64_t)timeout_ms * MS);
    memcpy(fds, running->fds, count * sizeof(*fds));
    return running->result;
}

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *signals)
{
    (void)signals;
    wait_for(fds, count);
    yield(!timeout ? UINT64_MAX
                   : one_thread_now_ns + (uint64_t)timeout->tv_sec * 1000 * MS +
                         (uint64_t)timeout->tv_nsec);
    return running->result;
}

int __wrap_zmq_poll(zmq_pollitem_t *items, int count, long timeout_ms)
{
    struct pollfd fds[FDS_MAX] = {0};
    expect(count <= FDS_MAX, "more descriptors than a fiber waits for");
    for (int i = 0; i < count; i++) {
        expect(!items[i].socket || items[i].socket == (void *)(intptr_t)ONE_THREAD_READ,
               "what is waited for is no socket");
        fds[i] = (struct pollfd){.fd = items[i].socket ? -ONE_THREAD_READ : items[i].fd,
                                 .events = POLLIN};
    }
    wait_for(fds, (nfds_t)count);
    yield(timeout_ms < 0 ? UINT64_MAX : one_thread_now_ns + (uint64_t)timeout_ms * MS);
    for (int i = 0; i < count; i++)
        items[i].revents = running->fds[i].revents ? ZMQ_POLLIN : 0;
    return running->result;
}

static void run_fiber(void)
{
    note_scheduler();
    (void)running->function(running->argument);
    running->ended = true;
    switch_back(true);
}

static void make_fiber(int which, void *(*function)(void *), void *argument)
{
    struct fiber *fiber = &fibers[which];
    *fiber = (struct fiber){.function = function, .argument = argument, .there = true};
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = stacks[which];
    fiber->context.uc_stack.ss_size = STACK_SIZE;
    fiber->context.uc_link = NULL;
    clean_stack(stacks[which]);
    makecontext(&fiber->context, run_fiber, 0);
    fiber->context.uc_stack.ss_size = 0; /* or AddressSanitizer cleans all of it at each switch */
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument)
{
    *thread = (pthread_t)next_fiber;
    (void)attributes;
    make_fiber(next_fiber++, function, argument);
    return 0;
}

/* Each commit is three turns: what happens before and after it must be survived. */
spn_err __wrap_journal_commit(struct journal *journal)
{
    if (!running)
        return __real_journal_commit(journal);
    if (world->commits)
        world->commits(false);
    running->count = 0;
    yield(one_thread_now_ns);
    spn_err err = __real_journal_commit(journal);
    if (world->commits)
        world->commits(true);
    yield(one_thread_now_ns);
    return err;
}

/* What it waits for has come, or its time is over. */
static bool look_ready(struct fiber *fiber)
{
    if (!fiber->there || fiber->ended)
        return false;
    if (fiber->count > 0) /* leaves out what is below 0: our sockets */
        (void)__real_poll(fiber->fds, fiber->count, 0);
    fiber->result = 0;
    for (nfds_t i = 0; i < fiber->count; i++) {
        struct pollfd *item = &fiber->fds[i];
        if (item->fd == -ONE_THREAD_INGEST || item->fd == -ONE_THREAD_READ)
            item->revents = inboxes[-item->fd].count > 0 ? POLLIN : 0;
        fiber->result += item->revents != 0;
    }
    return fiber->result > 0 || one_thread_now_ns >= fiber->due_ns;
}

static void resume(struct fiber *fiber)
{
    running = fiber;
    switch_to_fiber(fiber);
    running = NULL;
}

bool one_thread_turn(void)
{
    uint64_t first = world->roll(FIBERS);
    for (uint64_t i = 0; i < FIBERS; i++) {
        struct fiber *fiber = &fibers[(first + i) % FIBERS];
        if (look_ready(fiber)) {
            resume(fiber);
            return true;
        }
    }
    return false;
}

uint64_t one_thread_due_ns(void)
{
    uint64_t due_ns = UINT64_MAX;
    for (size_t i = 0; i < FIBERS; i++)
        if (fibers[i].there && !fibers[i].ended && fibers[i].due_ns < due_ns)
            due_ns = fibers[i].due_ns;
    return due_ns;
}

/* It was requested to end, and waits for nothing else. */
int __wrap_pthread_join(pthread_t thread, void **ret)
{
    struct fiber *fiber = &fibers[thread];
    (void)ret;
    while (!fiber->ended)
        resume(fiber);
    return 0;
}

/* -- ZeroMQ, and what is beside it ------------------------------------------------------------- */

spn_err __wrap_router_init(struct router *router, void *socket);
bool __wrap_router_has_message(struct router *router);
bool __wrap_router_receive(struct router *router, struct peer *ret_peer, zmq_msg_t *ret_frame,
                           size_t *ret_frames);
spn_err __wrap_router_send_address(struct router *router, const struct peer *peer);
spn_err __wrap_router_send_body(struct router *router, const void *bytes, size_t size);
spn_err __wrap_router_send(struct router *router, const struct peer *peer, const void *bytes,
                           size_t size);
spn_err __wrap_router_send_message(struct router *router, const struct peer *peer,
                                   zmq_msg_t *message);
spn_err __real_outbox_put(struct outbox *outbox, struct outbox_peer *peer,
                          struct outgoing *outgoing, size_t size);
spn_err __wrap_outbox_put(struct outbox *outbox, struct outbox_peer *peer,
                          struct outgoing *outgoing, size_t size);
spn_err __real_outbox_deliver(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes);
spn_err __wrap_outbox_deliver(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes);
uint64_t __wrap_watch_due_ns(const struct watch *watch);
spn_err __wrap_watch_look(struct watch *watch, uint64_t at_ns);
void __wrap_endpoint_bind_wanted(struct endpoint *endpoint);

static enum one_thread_socket socket_of(const struct router *router)
{
    return (enum one_thread_socket)(intptr_t)router->socket;
}

static bool has_no_room(void)
{
    return world->has_no_room && world->has_no_room();
}

spn_err __wrap_router_init(struct router *router, void *socket)
{
    *router = (struct router){.socket = socket, .fd = -(int)(intptr_t)socket};
    return SPN_OK;
}

bool __wrap_router_has_message(struct router *router)
{
    router->due = inboxes[socket_of(router)].count > 0;
    return router->due;
}

bool __wrap_router_receive(struct router *router, struct peer *ret_peer, zmq_msg_t *ret_frame,
                           size_t *ret_frames)
{
    struct inbox *inbox = &inboxes[socket_of(router)];
    router->due = inbox->count > 0;
    if (inbox->count == 0)
        return false;
    const struct frame *frame = &inbox->frames[inbox->first];
    *ret_peer = (struct peer){.size = 1, .bytes = {frame->peer}};
    expect(zmq_msg_init_size(ret_frame, frame->size) == 0, "no memory for a frame");
    memcpy(zmq_msg_data(ret_frame), frame->bytes, frame->size);
    inbox->first = (inbox->first + 1) % ONE_THREAD_FRAMES_MAX;
    inbox->count--;
    *ret_frames = 1;
    return true;
}

static struct peer addressed;

spn_err __wrap_router_send_address(struct router *router, const struct peer *peer)
{
    bool full = world->is_full && world->is_full(socket_of(router), peer->bytes[0]);
    addressed = *peer;
    return peer->size == 0 ? SPN_E_UNAVAILABLE : full ? SPN_E_BACKPRESSURE : SPN_OK;
}

spn_err __wrap_router_send_body(struct router *router, const void *bytes, size_t size)
{
    world->take(socket_of(router), addressed.bytes[0], bytes, size);
    return SPN_OK;
}

spn_err __wrap_router_send(struct router *router, const struct peer *peer, const void *bytes,
                           size_t size)
{
    spn_err err = __wrap_router_send_address(router, peer);
    return err == SPN_OK ? __wrap_router_send_body(router, bytes, size) : err;
}

spn_err __wrap_router_send_message(struct router *router, const struct peer *peer,
                                   zmq_msg_t *message)
{
    spn_err err = __wrap_router_send(router, peer, zmq_msg_data(message), zmq_msg_size(message));
    if (err == SPN_OK)
        zmq_msg_close(message);
    return err;
}

spn_err __wrap_outbox_put(struct outbox *outbox, struct outbox_peer *peer,
                          struct outgoing *outgoing, size_t size)
{
    if (!has_no_room())
        return __real_outbox_put(outbox, peer, outgoing, size);
    outgoing_free(outgoing);
    return SPN_E_BACKPRESSURE;
}

spn_err __wrap_outbox_deliver(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag,
                              size_t size, uint8_t **ret_bytes)
{
    return has_no_room() ? SPN_E_BACKPRESSURE
                         : __real_outbox_deliver(outbox, peer, tag, size, ret_bytes);
}

uint64_t __wrap_watch_due_ns(const struct watch *watch)
{
    (void)watch;
    return UINT64_MAX;
}

spn_err __wrap_watch_look(struct watch *watch, uint64_t at_ns)
{
    (void)watch;
    (void)at_ns;
    return SPN_OK;
}

void __wrap_endpoint_bind_wanted(struct endpoint *endpoint)
{
    (void)endpoint;
}

/* -- start and end ----------------------------------------------------------------------------- */

static atomic_uint_fast64_t nothing;
static const struct connections_news news = {
    .refused_count = &nothing, .cut_count = &nothing, .stalled_count = &nothing};

static void *run_broker(void *argument)
{
    enum broker_end end;
    struct broker_left left;
    (void)argument;
    expect(broker_run(&it.options, &it.state, &end, &left) == SPN_OK, "the broker did not begin");
    world->ended(end);
    return NULL;
}

static void start_worker(const struct one_thread_options *options)
{
    next_fiber = WORKER;
    const struct worker_options worker = {.flush_interval_ns = 5 * MS,
                                          .durable = it.state.next_position - 1,
                                          .quota_bytes = 64 << 20,
                                          .session_ttl_ns = options->session_ttl_ns,
                                          .journal = it.journal,
                                          .clock = &it.clock,
                                          .metrics = &it.metrics,
                                          .mailbox = &it.to_worker,
                                          .broker = &it.to_broker,
                                          .reader = &it.to_reader};
    expect(worker_start(&it.worker, &worker) == SPN_OK, "the worker did not begin");
}

static void start_reader(const struct one_thread_options *options)
{
    static atomic_uint data_max = 1 << 16;
    const struct reader_options reader = {
        .socket = (void *)(intptr_t)ONE_THREAD_READ,
        .journal = it.journal,
        .commits = &it.worker.state,
        .mailbox = &it.to_reader,
        .broker = &it.to_broker,
        .clock = &it.clock,
        .metrics = &it.metrics,
        .secret = journal_meta(it.journal)->secret,
        .database = (const uint8_t *)"the database id ",
        .instance = options->instance,
        .data_max = &data_max,
        .window_max = TRACKER_WINDOW_DEFAULT,
    };
    expect(reader_start(&it.reader, &reader) == SPN_OK, "the reader did not begin");
}

static void start_broker(const struct one_thread_options *options)
{
    it.options = (struct broker_options){.ingest = (void *)(intptr_t)ONE_THREAD_INGEST,
                                         .signal_fd = it.signal_fds[0],
                                         .commits = &it.worker.state,
                                         .connections = &news,
                                         .mailbox = &it.to_broker,
                                         .worker = &it.to_worker,
                                         .reader = &it.to_reader,
                                         .clock = &it.clock,
                                         .metrics = &it.metrics,
                                         .random = world->random,
                                         .secret = journal_meta(it.journal)->secret,
                                         .database = (const uint8_t *)"the database id ",
                                         .instance = options->instance,
                                         .data_max = 1 << 16,
                                         .queue_events_max = 64,
                                         .queue_bytes_max = 1 << 20,
                                         .row_interval_ns = 30 * MS,
                                         .generation_bytes_max = 8 << 20,
                                         .session_ttl_ns = options->session_ttl_ns,
                                         .producer_ttl_ns = options->producer_ttl_ns,
                                         .producers_max = 100,
                                         .hot_max = 2,
                                         .stop_timeout_ns = 5000 * MS};
    make_fiber(BROKER, run_broker, NULL);
}

static void set_rule(const struct retention *rule)
{
    struct record_meta meta = *journal_meta(it.journal);
    record_set_rule(&meta, rule);
    expect(journal_begin(it.journal) == SPN_OK && journal_put_meta(it.journal, &meta) == SPN_OK &&
               journal_commit(it.journal) == SPN_OK,
           "the rule is not written");
}

void one_thread_start(const struct one_thread_options *options, struct recovered *ret_recovered)
{
    const struct journal_options journal = {.dir = options->dir, .size_max = 256 << 20};
    world = options->world;
    expect(journal_open(&it.journal, &journal) == SPN_OK, "the database does not open");
    set_rule(&options->rule);
    expect(recovery_run(&it.state, it.journal, TRACKER_WINDOW_DEFAULT, options->seed,
                        ret_recovered) == SPN_OK,
           "the database does not recover");
    it.clock = (struct clock){.monotonic_ns = fake_ns,
                              .boot_ns = fake_ns,
                              .wall_ms = fake_wall_ms,
                              .database_base_ns = ret_recovered->clock.database_ns,
                              .started_ns = one_thread_now_ns};
    expect(mailbox_init(&it.to_broker) == SPN_OK && mailbox_init(&it.to_worker) == SPN_OK &&
               mailbox_init(&it.to_reader) == SPN_OK,
           "no event descriptors");
    expect(pipe2(it.signal_fds, O_NONBLOCK | O_CLOEXEC) == 0, "no pipe");
    start_worker(options);
    start_reader(options);
    start_broker(options);
}

void one_thread_signal(void)
{
    const struct signalfd_siginfo info = {.ssi_signo = 15};
    expect(write(it.signal_fds[1], &info, sizeof(info)) == (ssize_t)sizeof(info),
           "the signal is not sent");
}

void one_thread_end(void)
{
    reader_stop(it.reader);
    worker_join(&it.worker);
    mail_drop(&it.to_broker);
    mail_drop(&it.to_worker);
    mail_drop(&it.to_reader);
    recovery_release(&it.state);
    journal_close(it.journal);
    close(it.signal_fds[0]);
    close(it.signal_fds[1]);
    memset(fibers, 0, sizeof(fibers));
    inboxes[ONE_THREAD_INGEST].count = inboxes[ONE_THREAD_READ].count = 0;
    memset(&it, 0, sizeof(it));
}

struct journal *one_thread_journal(void)
{
    return it.journal;
}
