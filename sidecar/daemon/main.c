/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/main_base.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/last_words.h"
#include "base/log.h"
#include "base/own_files.h"
#include "base/random.h"
#include "base/version.h"
#include "err.h"
#include "net/peer_guard.h"
#include "recover/mended.h"
#include "recover/recovery.h"
#include "store/database_clock.h"

enum {
    EXIT_DRAINED = 0,
    EXIT_FAILED = 1,
    STOP_TIMEOUT_MS = 5000,
    ACKS_HWM = 32,               /* answers on ingest.sock: 64 KiB each at most */
    READ_FRAME_MAX = 128 * 1024, /* by far the largest request is CREDIT with 4,096 grants */
    QUESTIONS_HWM = 16,          /* requests of each client that ZeroMQ holds: 2 MiB at most */
};

/* -- start ------------------------------------------------------------------------------------- */

/* Signals arrive through a descriptor. Threads that are started later inherit the mask. */
static bool catch_signals(struct daemon *daemon)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return daemon_check(SPN_E_SYSTEM, "signals", "sigprocmask", NULL);
    daemon->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return daemon_check(daemon->signal_fd < 0 ? SPN_E_SYSTEM : SPN_OK, "signals", "signalfd", NULL);
}

/* The service manager waits for a start that goes on. */
static void go_on(void *context)
{
    struct daemon *daemon = context;
    notify_progress(&daemon->notify, clock_monotonic_ns());
}

/* The retention rule is stored in the database, for all its readers. */
static bool set_retention(struct daemon *daemon)
{
    struct record_meta meta = *journal_meta(daemon->journal);
    const struct retention rule = daemon_rule(&daemon->options);
    if (memcmp(&meta.retention, &rule, sizeof(rule)) == 0)
        return true;
    record_set_rule(&meta, &rule);
    spn_err err = journal_begin(daemon->journal);
    if (err == SPN_OK)
        err = journal_put_meta(daemon->journal, &meta);
    if (err == SPN_OK)
        err = journal_commit(daemon->journal);
    journal_abort(daemon->journal);
    if (!journal_lacks_room(err))
        return daemon_check_dir(err, "database", daemon->options.data_dir, NULL);
    log_error("retention",
              "reason=\"no room to write the new retention rule: the old rule remains in force\"");
    return true;
}

static bool open_journal(struct daemon *daemon)
{
    const struct options *options = &daemon->options;
    struct journal_options journal = {
        .dir = options->data_dir,
        .size_max = daemon_map_bytes(options),
        .reserve = daemon_map_bytes(options) - options->quota_bytes,
        .headroom_max = options->quota_bytes,
        .went_on = go_on,
        .context = daemon,
    };
    /* LMDB opens its files by name, and follows links. */
    if (!daemon_check_file(options->data_dir, "data.mdb", S_IFREG) ||
        !daemon_check_file(options->data_dir, "lock.mdb", S_IFREG))
        return false;
    spn_err err = journal_open(&daemon->journal, &journal);
    if (!daemon_check_database(err, "database", options->data_dir))
        return false;
    mended_log_pages(journal_damage(daemon->journal));
    memcpy(daemon->secret, journal_meta(daemon->journal)->secret, sizeof(daemon->secret));
    memcpy(daemon->database, journal_meta(daemon->journal)->database, sizeof(daemon->database));
    return set_retention(daemon);
}

/* Stores the time, so that the next start knows how long nothing ran. If there is no room, the next
 * start uses an older note or the newest entry. That is no reason to stop. */
static void note_clock(struct daemon *daemon)
{
    struct record_meta meta = *journal_meta(daemon->journal);
    meta.catch_up_max_ns = daemon->options.clock_catch_up_max_ms * 1000000u;
    database_clock_note(&daemon->clock, &meta);
    spn_err err = journal_begin(daemon->journal);
    if (err == SPN_OK)
        err = journal_put_meta(daemon->journal, &meta);
    if (err == SPN_OK)
        err = journal_commit(daemon->journal);
    journal_abort(daemon->journal);
    if (err != SPN_OK)
        log_warning("clock_note",
                    "code=%s reason=\"cannot store the time: the next start uses an older "
                    "note\"",
                    err_name(err));
}

static void say_clock(const struct database_clock_resumed *resumed)
{
    static const char *const by[] = {
        [CLOCK_BY_BOOT] = "boot", [CLOCK_BY_WALL] = "wall", [CLOCK_BY_NOTHING] = "nothing"};
    unsigned long long forward_ms = resumed->forward_ns / 1000000u;
    if (resumed->cut_ns > 0)
        log_warning("clock", "by=wall forward_ms=%llu not_counted_ms=%llu reason=%s", forward_ms,
                    (unsigned long long)resumed->cut_ns / 1000000u,
                    "\"the wall clock advanced by more than --clock-catch-up-max\"");
    else if (resumed->back_ms > 0)
        log_warning("clock", "by=wall forward_ms=0 back_ms=%llu reason=%s",
                    (unsigned long long)resumed->back_ms,
                    "\"the wall clock went back: the time in which nothing ran is not counted\"");
    else
        log_info("clock", "by=%s forward_ms=%llu", by[resumed->by], forward_ms);
}

/* Ages include the time in which nothing ran. */
static void start_clock(struct daemon *daemon, const struct database_clock_found *found)
{
    struct clock_moment now = clock_now();
    struct record_meta meta = *journal_meta(daemon->journal);
    meta.catch_up_max_ns = daemon->options.clock_catch_up_max_ms * 1000000u;
    struct database_clock_resumed resumed = database_clock_resume(&meta, found, &now);
    daemon->clock = database_clock_start(&resumed, &now);
    say_clock(&resumed);
    note_clock(daemon);
}

static bool recover(struct daemon *daemon)
{
    uint64_t seed;
    if (random_fill(&seed, sizeof(seed)) != SPN_OK ||
        random_fill(&daemon->instance, sizeof(daemon->instance)) != SPN_OK)
        return daemon_check(SPN_E_SYSTEM, "random", "getrandom", NULL);
    uint64_t begun_ns = clock_monotonic_ns();
    struct recovered found;
    spn_err err =
        recovery_run(&daemon->state, daemon->journal, daemon->options.window_max, seed, &found);
    if (!daemon_check_database(err, "recovery", daemon->options.data_dir))
        return false;
    daemon->recovered = true;
    mended_log_recovered(&found);
    metrics_set(&daemon->metrics.sessions_damaged, found.given_up);
    start_clock(daemon, &found.clock);
    log_info("recovered", "entries=%llu sessions=%u producers=%u next_position=%llu took_ms=%llu",
             (unsigned long long)found.entries, sessions_known(&daemon->state.sessions),
             daemon->state.producers.count, (unsigned long long)daemon->state.next_position,
             (unsigned long long)((clock_monotonic_ns() - begun_ns) / 1000000u));
    return true;
}

static bool start_worker(struct daemon *daemon)
{
    spn_err err = mailbox_init(&daemon->to_broker);
    if (err == SPN_OK)
        err = mailbox_init(&daemon->to_worker);
    if (err == SPN_OK)
        err = mailbox_init(&daemon->to_reader);
    if (err == SPN_OK)
        err = worker_start(&daemon->worker,
                           &(struct worker_options){
                               .flush_interval_ns = daemon->options.flush_interval_ms * 1000000ull,
                               .durable = daemon->state.next_position - 1,
                               .quota_bytes = daemon->options.quota_bytes,
                               .session_ttl_ns = daemon->options.session_ttl_ms * 1000000u,
                               .journal = daemon->journal,
                               .clock = &daemon->clock,
                               .metrics = &daemon->metrics,
                               .pulse = &daemon->pulses[PULSE_WORKER],
                               .mailbox = &daemon->to_worker,
                               .broker = &daemon->to_broker,
                               .reader = &daemon->to_reader,
                           });
    daemon->worker_runs = err == SPN_OK;
    return daemon_check(err, "start", "worker", NULL);
}

static bool bind_socket(struct daemon *daemon, const struct endpoint_options *options,
                        struct endpoint *ret_endpoint)
{
    if (options->handed_fd == 0 &&
        !daemon_check_file(options->dir, options->name, S_IFSOCK)) /* libzmq would delete it */
        return false;
    peer_guard_limit(options->name, (uint64_t)options->frame_max);
    return daemon_check(endpoint_open(ret_endpoint, daemon->context, options), "bind",
                        options->name, NULL);
}

static bool bind_sockets(struct daemon *daemon)
{
    const struct options *options = &daemon->options;
    int read_hwm = (int)options->read_hwm;
    const struct endpoint_options ingest = {
        .dir = options->socket_dir,
        .name = "ingest.sock",
        .mode = options->ingest_rights.mode,
        .group = options->ingest_rights.group,
        .receive_hwm = (int)options->ingest_hwm,
        .send_hwm = ACKS_HWM,
        .frame_max = daemon_frame_max(options),
        .handed_fd = daemon->ingest_fd,
    };
    const struct endpoint_options read = {
        .dir = options->socket_dir,
        .name = "read.sock",
        .mode = options->read_rights.mode,
        .group = options->read_rights.group,
        .receive_hwm = read_hwm < QUESTIONS_HWM ? read_hwm : QUESTIONS_HWM,
        .send_hwm = read_hwm,
        .frame_max = READ_FRAME_MAX,
        .handed_fd = daemon->read_fd,
    };
    return bind_socket(daemon, &ingest, &daemon->ingest) &&
           bind_socket(daemon, &read, &daemon->read);
}

static bool start_sockets(struct daemon *daemon)
{
    daemon->connections_news.refused_count = &daemon->metrics.connections_refused;
    daemon->connections_news.cut_count = &daemon->metrics.connections_cut;
    daemon->connections_news.stalled_count = &daemon->metrics.stalled_cut;
    peer_guard_init(&daemon->connections_news);
    daemon->context = zmq_ctx_new();
    if (!daemon->context)
        return daemon_check(SPN_E_SYSTEM, "start", "zmq_ctx_new", NULL);
    zmq_ctx_set(daemon->context, ZMQ_MAX_SOCKETS, 16);
    if (!bind_sockets(daemon))
        return false;
    metrics_set(&daemon->metrics.ingest_hwm, daemon->options.ingest_hwm);
    metrics_set(&daemon->metrics.read_hwm, daemon->options.read_hwm);
    spn_err err =
        reader_start(&daemon->reader, &(struct reader_options){
                                          .socket = daemon->read.socket,
                                          .endpoint = &daemon->read,
                                          .journal = daemon->journal,
                                          .commits = &daemon->worker.state,
                                          .mailbox = &daemon->to_reader,
                                          .broker = &daemon->to_broker,
                                          .clock = &daemon->clock,
                                          .metrics = &daemon->metrics,
                                          .pulse = &daemon->pulses[PULSE_READER],
                                          .stalled_uid = &daemon->connections_news.stalled_uid,
                                          .connections = peer_guard_connections(),
                                          .secret = daemon->secret,
                                          .database = daemon->database,
                                          .frame_max = READ_FRAME_MAX,
                                          .instance = daemon->instance,
                                          .data_max = &daemon->data_max,
                                          .window_max = daemon->options.window_max,
                                      });
    return daemon_check(err, "start", "reader", NULL);
}

static void say_ready(struct daemon *daemon)
{
    char quoted[2][LOG_QUOTED_MAX];
    log_info("ready", "version=%s pid=%ld data_dir=%s socket_dir=%s", SPONSON_VERSION,
             (long)getpid(), log_quote(daemon->options.data_dir, quoted[0]),
             log_quote(daemon->options.socket_dir, quoted[1]));
    notify_ready(&daemon->notify);
    if (daemon->options.ready_fd < 0)
        return;
    if (write(daemon->options.ready_fd, "ready\n", 6) != 6)
        log_error("ready_fd", "fd=%d reason=\"cannot write\"", daemon->options.ready_fd);
    close(daemon->options.ready_fd);
}

/* -- run and stop ------------------------------------------------------------------------------ */

static int say_end(const struct daemon *daemon, enum broker_end end, struct broker_left left)
{
    spn_err fatal = (spn_err)atomic_load(&daemon->worker.state.fatal);
    char quoted[LOG_QUOTED_MAX];
    switch (end) {
    case BROKER_DRAINED:
        log_info("stopped", "durable=%llu",
                 (unsigned long long)atomic_load(&daemon->worker.state.durable));
        return EXIT_DRAINED;
    case BROKER_LEFT:
        log_error("stop_timeout", "timeout_ms=%d events_not_on_disk=%llu", STOP_TIMEOUT_MS,
                  (unsigned long long)left.numbers);
        return EXIT_FAILED;
    case BROKER_KILLED:
    case BROKER_LOST: /* the log has the reason already */
        log_error("stopped_at_once", "events_not_on_disk=%llu", (unsigned long long)left.numbers);
        return EXIT_FAILED;
    case BROKER_FAILED:
        log_error("storage_failed", "code=%s reason=%s events_not_on_disk=%llu", err_name(fatal),
                  log_quote(err_text(fatal), quoted), (unsigned long long)left.numbers);
        return EXIT_FAILED;
    }
    return EXIT_FAILED;
}

static int serve(struct daemon *daemon)
{
    daemon->broker = (struct broker_options){
        .ingest = daemon->ingest.socket,
        .watch = &daemon->watch,
        .connections = &daemon->connections_news,
        .notify = &daemon->notify,
        .pulses = daemon->pulses,
        .pulse_count = DAEMON_PULSES,
        .signal_fd = daemon->signal_fd,
        .commits = &daemon->worker.state,
        .mailbox = &daemon->to_broker,
        .worker = &daemon->to_worker,
        .reader = &daemon->to_reader,
        .clock = &daemon->clock,
        .metrics = &daemon->metrics,
        .random = random_fill,
        .secret = daemon->secret,
        .database = daemon->database,
        .instance = daemon->instance,
        .frame_max = daemon_frame_max(&daemon->options),
        .stop_timeout_ns = STOP_TIMEOUT_MS * 1000000ull,
        .reload = daemon_reload,
        .reload_context = daemon,
    };
    daemon_follow_options(daemon);
    daemon->watch = (struct watch){
        .journal = daemon->journal,
        .locks = {&daemon->data_lock, &daemon->socket_lock},
        .ingest = &daemon->ingest,
        .read = &daemon->read,
        .reader = &daemon->to_reader,
        .metrics = &daemon->metrics,
    };
    enum broker_end end;
    struct broker_left left;
    spn_err err = broker_run(&daemon->broker, &daemon->state, &end, &left);
    if (!daemon_check(err, "start", "broker", NULL))
        return EXIT_FAILED;
    int code = say_end(daemon, end, left);
    /* The worker may be in the middle of a commit that does not end: leave as kill -9 would. */
    if (end == BROKER_LEFT || end == BROKER_KILLED || end == BROKER_LOST)
        _exit(code);
    return code;
}

static void stop(struct daemon *daemon)
{
    reader_stop(daemon->reader);
    if (daemon->worker_runs) {
        worker_join(&daemon->worker);
        if (atomic_load(&daemon->worker.state.fatal) == SPN_OK)
            note_clock(daemon);
        mail_drop(&daemon->to_broker);
        mail_drop(&daemon->to_worker);
        mail_drop(&daemon->to_reader);
    }
    endpoint_close(&daemon->ingest);
    endpoint_close(&daemon->read);
    if (daemon->context)
        zmq_ctx_term(daemon->context);
    if (daemon->recovered)
        recovery_release(&daemon->state);
    journal_close(daemon->journal);
    lockfile_release(&daemon->socket_lock);
    lockfile_release(&daemon->data_lock);
    notify_release(&daemon->notify);
}

int main(int argc, char **argv)
{
    static struct daemon daemon = {
        .data_lock = LOCKFILE_INIT,
        .socket_lock = LOCKFILE_INIT,
        .signal_fd = -1,
        .notify = NOTIFY_INIT,
    };
    daemon.config = options_parse(&daemon.options, argc, argv);
    daemon_set_log(&daemon);
    daemon_follow_options(&daemon);
    /* not JSON, whose end would come after the signal's number */
    last_words_init("time=- level=error event=crashed reason=\"a signal: either the database is "
                    "damaged, or the program has an error\" signal=",
                    0);
    notify_init(&daemon.notify);
    bool ready = catch_signals(&daemon) && daemon_take_sockets(&daemon) &&
                 daemon_prepare(&daemon) && open_journal(&daemon) && recover(&daemon) &&
                 start_worker(&daemon) && start_sockets(&daemon);
    if (!ready)
        return EXIT_FAILED; /* the kernel releases all resources */
    say_ready(&daemon);
    int code = serve(&daemon);
    stop(&daemon);
    return code;
}
