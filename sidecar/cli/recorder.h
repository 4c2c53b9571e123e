/* SPDX-License-Identifier: Apache-2.0 */
/* recorder: from a text/event-stream to events that are on disk.
 *
 * One loop over two descriptors, the input and the client: an event is handed over as soon as its
 * blank line is there, whatever the rest of the input does, and acknowledgements are taken as they
 * come. While the in-flight window is full the input is not read. A sidecar that goes away is
 * waited for; the library sends again what it had not acknowledged.
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
#include "sse.h"
#include "wire.h"

/* What becomes of the ids of the input. */
enum recorder_ids {
    RECORDER_IDS_KEEP,   /* as they are */
    RECORDER_IDS_NEW,    /* each event gets one from the library; markers keep their retry alone */
    RECORDER_IDS_PREFIX, /* with a text before them */
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
    int stall_ms;  /* give up without progress for so long; -1: never */
    bool progress; /* tell a person at a terminal how far it got */

    struct sse_parser parser;
    char buffer[RECORDER_READ_SIZE];
    size_t buffer_size;
    size_t buffer_used;
    bool input_ended;
    struct sse_event waiting; /* parsed, and the window had no room for it; lent by the parser */
    bool has_waiting;
    struct id_queue in_flight;
    uint64_t ticket;     /* of the last result */
    int64_t progress_ms; /* when the last result came, or the first event after a pause went out */
    int64_t shown_ms;
    bool shown;
    int64_t looked_ms; /* when the sidecar was last asked why there is no progress */
    bool wait_is_told; /* that there is none, and why */
    uint64_t told;     /* events that a line on stderr was for */

    uint64_t events;  /* complete events of the input */
    uint64_t markers; /* and what it said beside them, as far as it is in the session; or not: */
    uint64_t markers_refused;
    uint64_t stored;
    uint64_t duplicates;
    uint64_t conflicts;
    uint64_t refused;
    uint64_t first_number; /* of the first event with an id of its own; 0: none yet */
    size_t first_id_size;
    char first_id[WIRE_ID_MAX];
    bool restart_is_told;     /* that its id came again with something else */
    char id[2 * WIRE_ID_MAX]; /* with the prefix, of the entry that is being published */
};

/* What it borrows is set before. event_size_max: of the parser. */
void recorder_init(struct recorder *recorder, size_t data_size_max);
void recorder_release(struct recorder *recorder);

/* Returns when every event has its result; says what went wrong and returns an exit code. */
int recorder_run(struct recorder *recorder);

#endif
