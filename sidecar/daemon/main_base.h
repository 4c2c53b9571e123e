/* SPDX-License-Identifier: Apache-2.0 */
/* main_base: the daemon as a whole.
 *
 * main.c starts and stops its parts. The order matters: locks, then the database, then recovery,
 * then the worker, then the sockets. So a second daemon on the same directories touches nothing,
 * and a client that connects is served. prepare.c checks the directories, sockets.c the sockets
 * that were handed over. reload.c follows SIGHUP.
 *
 * Owns     everything that lives as long as the daemon; lends it to the threads.
 * Threads  the main thread, which becomes the broker's.
 */
#ifndef SPN_MAIN_BASE_H
#define SPN_MAIN_BASE_H

#include "base/handed_over.h"
#include "base/lockfile.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "base/pulse.h"
#include "commit/worker.h"
#include "daemon/options.h"
#include "ingest/broker.h"
#include "net/connections.h"
#include "net/endpoint.h"
#include "read/reader.h"

enum { PULSE_WORKER, PULSE_READER, DAEMON_PULSES };

struct daemon {
    struct options options;
    struct config *config; /* where they come from */
    struct broker_options broker;
    atomic_uint data_max; /* options_event_data, for the reader */
    struct lockfile data_lock;
    struct lockfile socket_lock;
    int signal_fd;
    struct notify notify;               /* the service manager */
    struct pulse pulses[DAEMON_PULSES]; /* of the worker and the reader */
    int ingest_fd;                      /* sockets that were handed over; 0: none */
    int read_fd;
    uint64_t instance;
    uint8_t secret[RECORD_SECRET_SIZE];
    uint8_t database[RECORD_DATABASE_ID_SIZE]; /* a copy: the journal's meta is the worker's */
    struct metrics metrics;
    struct connections_news connections_news;
    struct journal *journal;
    struct broker_state state;
    bool recovered;
    struct clock clock;
    struct mailbox to_broker;
    struct mailbox to_worker;
    struct mailbox to_reader;
    struct worker worker;
    bool worker_runs;
    struct reader *reader;
    void *context;
    struct endpoint ingest;
    struct endpoint read;
    struct watch watch;
};

/* prepare.c */

bool daemon_check(spn_err err, const char *event, const char *subject, const char *detail);
bool daemon_check_dir(spn_err err, const char *event, const char *dir, const char *detail);

/* Like daemon_check_dir, with the journal's detail after the code's text; for damage, with the
 * detail alone. */
bool daemon_check_database(spn_err err, const char *event, const char *dir);

/* True: the file with this name is ours, or there is none. */
bool daemon_check_file(const char *dir, const char *name, mode_t kind);
/* Whether both paths lead to one directory that is there. */
bool daemon_same_dir(const char *a, const char *b);
bool daemon_prepare(struct daemon *daemon);

/* The size of the database's map: a reserve beyond the quota, so that segments and deleting always
 * find pages to work with. */
uint64_t daemon_map_bytes(const struct options *options);
/* The largest message of ingest.sock, and whether the events of other options fit it. */
int64_t daemon_frame_max(const struct options *options);
bool daemon_fits_frame(const struct options *options, int64_t frame_max);
struct retention daemon_rule(const struct options *options);

/* reload.c */

/* Takes over what the options say: the level and format of the log. */
void daemon_set_log(const struct daemon *daemon);
/* The same for what the broker and the reader have of them, from the broker's thread. */
void daemon_follow_options(struct daemon *daemon);
/* context: the daemon. */
void daemon_reload(void *context);

/* sockets.c */

/* Finds ingest.sock and read.sock among the sockets that were handed over. False: one of those is
 * another one; the log says which. */
bool daemon_take_sockets(struct daemon *daemon);

#endif
