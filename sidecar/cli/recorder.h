/* SPDX-License-Identifier: Apache-2.0 */
/* recorder: records a text/event-stream as events on disk.
 *
 * It is one loop over two descriptors, the input and the client. An event is published as soon as
 * its blank line has arrived, whatever the rest of the input does. Acknowledgements are taken as
 * they come. While the in-flight window is full, the input is not read. If the sidecar goes away,
 * the recorder waits for it; the library resends events that were not acknowledged.
 *
 * Owns     the parser, a read buffer, the ids of events in flight.
 * Borrows  the client, the producer, the input and the acknowledgement log, until recorder_release.
 * Units    milliseconds.
 * Threads  one. Stops reading at SIGINT or SIGTERM, as if the input had ended there.
 */
#ifndef SPN_CLI_RECORDER_H
#define SPN_CLI_RECORDER_H

#include "sponson.h"

#include "cli/ack_log.h"
#include "cli/id_queue.h"
#include "cli/progress.h"
#include "sse.h"
#include "wire.h"

/* How the ids of the input are changed. */
enum recorder_ids {
    RECORDER_IDS_KEEP,   /* unchanged */
    RECORDER_IDS_NEW,    /* each event gets one from the library; markers keep only their retry */
    RECORDER_IDS_PREFIX, /* with a prefix */
};

/* Events whose result has not been fetched. The library keeps as many results. */
enum { RECORDER_IN_FLIGHT_MAX = 16384, RECORDER_READ_SIZE = 64 * 1024 };

struct recorder {
    spn_client *client;
    spn_producer *producer;
    struct spn_bytes session;
    struct ack_log *ack_log;
    const char *ack_log_name;
    const char *input_name;
    int input_fd;
    enum recorder_ids ids;
    struct spn_bytes prefix;
    int stall_ms;            /* give up after so long without progress; -1: never */
    uint64_t input_size;     /* bytes of an input that is a file; 0: not known */
    bool fail_if_empty;      /* an input without events is an error */
    bool if_new;             /* the next entry is stored only if there is no such session */
    bool closes;             /* the session is closed with the end of the input */
    struct spn_bytes reason; /* of the close */
    struct spn_bytes note;   /* of each event and marker */

    struct sse_parser parser;
    char buffer[RECORDER_READ_SIZE];
    size_t buffer_size;
    size_t buffer_used;
    bool input_ended;
    bool input_cut;           /* by a signal, or within an event */
    struct sse_event waiting; /* parsed, but the window had no room for it; lent by the parser */
    bool has_waiting;
    bool is_held;          /* it waits because it may be the last: more of the input says so */
    uint64_t new_ticket;   /* of the entry with if_new while it has no result; 0: none */
    uint64_t close_ticket; /* of what closes the session while it has no result; 0: none */
    bool closes_alone;     /* that is a close, not an event */
    bool is_closed;
    struct id_queue in_flight;
    uint64_t ticket;     /* of the last result */
    int64_t progress_ms; /* when the last result came, or the first event after a pause was sent */
    struct progress shown; /* to a person at a terminal */
    uint64_t bytes_read;   /* of the input */
    int64_t looked_ms;     /* when the sidecar's health was last requested, as nothing progressed */
    bool wait_is_told;     /* the lack of progress was printed, with the reason */
    uint64_t told;         /* events for which a line was printed on stderr */

    uint64_t events;  /* complete events of the input */
    uint64_t markers; /* markers of the input that are in the session; markers_refused are not */
    uint64_t markers_refused;
    uint64_t stored;
    uint64_t duplicates;
    uint64_t conflicts;
    uint64_t refused;
    uint64_t first_number; /* of the first event with its own id; 0: none yet */
    size_t first_id_size;
    char first_id[WIRE_ID_MAX];
    bool restart_is_told;     /* a warning was printed: first_id came again for another event */
    char id[2 * WIRE_ID_MAX]; /* with the prefix, of the entry that is being published */
};

/* The caller has set what the recorder borrows. data_size_max: of the parser. */
void recorder_init(struct recorder *recorder, size_t data_size_max);
void recorder_release(struct recorder *recorder);

/* Returns after every event has its result. Prints what went wrong; returns an exit code. */
int recorder_run(struct recorder *recorder);

/* -- the end of a session, in recorder_close.c ------------------------------------------------- */

/* Whether this event may be the last of the input, which more of the input will show now. */
bool recorder_holds(struct recorder *recorder, const struct spn_event *event);
/* Whether this event closes the session: it is the last of the input. */
bool recorder_closes_with(const struct recorder *recorder, const struct spn_event *event);
/* After all events have their results: closes the session if none of them did. */
int recorder_close_alone(struct recorder *recorder);
/* The result of what closes the session. */
int recorder_note_closed(struct recorder *recorder, const struct spn_ack *ack);
/* Reports a session that stays open although it was to be closed. */
int recorder_check_closed(const struct recorder *recorder);

#endif
