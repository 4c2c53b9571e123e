/* SPDX-License-Identifier: Apache-2.0 */
/* event_list: events in order, however they came, to be compared.
 *
 * From a text/event-stream through the project's own parser, or from lines of JSON as `sponson
 * dump` and `sponson replay` print them.
 *
 * Owns     copies of all bytes.
 * Errors   input that cannot be read fails the test.
 * Threads  one.
 */
#ifndef SPN_EVENT_LIST_H
#define SPN_EVENT_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"
#include "stage.h"

struct event_item {
    struct spn_bytes session; /* size 0 when it came from a stream */
    struct spn_bytes id;      /* size 0: none */
    struct spn_bytes type;
    struct spn_bytes data;
    int64_t retry_ms;  /* -1: none */
    bool marker;       /* no event: an id or a retry alone */
    uint64_t position; /* these three 0, or empty, when it came from a stream */
    uint64_t seq;
    struct spn_bytes life; /* as text */
};

struct event_list {
    struct event_item *items;
    size_t count;
    size_t markers; /* of them */
    size_t room;
};

#define EVENT_LIST_INIT                                                                            \
    {                                                                                              \
        .items = NULL                                                                              \
    }

void event_list_release(struct event_list *list);

/* Appends the events and markers of a whole stream. */
void event_list_add_sse(struct event_list *list, struct spn_bytes stream);
/* Appends the events and markers that the lines have; those of one session, or of all while session
 * is NULL. */
void event_list_add_json(struct event_list *list, struct spn_bytes lines, const char *session);
/* The same for one line of a longer text, without keeping it: *ret_item is valid until the next
 * call with it; begin with all zeros, and end with event_item_release. False: the line has another
 * entry of the log. */
bool event_item_from_json(struct event_item *item, const char *line, size_t size);
void event_item_release(struct event_item *item);

/* Fails the test at the first difference in order, type, data or retry; in ids where the wanted
 * event has one, and where the other has none. what: words for the message. */
void event_list_expect_same(const char *what, const struct event_list *got,
                            const struct event_list *wanted);
/* Fails the test unless seqs are 1, 2, 3 … in one life and positions ascend. */
void event_list_expect_whole(const char *what, const struct event_list *got);

bool event_bytes_same(struct spn_bytes a, struct spn_bytes b);

/* One number of a JSON object, as `sponson` prints it with --json; fails the test where there is
 * none. */
uint64_t event_json_number(const char *object, const char *key);
/* One string, malloced; NULL for null. */
char *event_json_string(const char *object, const char *key);

/* A counter of the daemon's, by its name in `sponson stats`. */
uint64_t event_stat(struct stage *stage, const char *name);
/* Of a gauge, which may be a turn of the sidecar's behind its counters: waits until it is this. */
void event_wait_gauge(struct stage *stage, const char *name, uint64_t value);

#endif
