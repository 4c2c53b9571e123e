/* SPDX-License-Identifier: Apache-2.0 */
/* top: what the sidecar does now: a sample at a time, and pages of it.
 *
 * top_take asks the sidecar for everything and compares it with the sample before: that gives the
 * rates. It walks the list of sessions, the first TOP_SESSIONS_MAX of it. top_page makes lines of a
 * sample, for the screen and for a pipe.
 *
 * Owns     the samples, a subscription while a session is followed, and the page.
 * Borrows  the client.
 * Units    milliseconds, bytes; rates in a second.
 * Threads  one.
 */
#ifndef SPN_CLI_TOP_H
#define SPN_CLI_TOP_H

#include <stdbool.h>

#include "sponson.h"

#include "base/metrics.h"
#include "base/out.h"
#include "cli/connections.h"
#include "cli/look.h"

enum {
    TOP_SESSIONS_MAX = 20000, /* a walk of these takes the reader a tenth of a second */
    TOP_FILTER_SIZE = 64,
    TOP_EVENTS_MAX = 200, /* lines of a session that is followed */
    TOP_WORDS_SIZE = 256,
};

enum top_metric {
#define TOP_METRIC_ENUM(field, name, help) TOP_##field,
    METRICS_MAP(TOP_METRIC_ENUM)
#undef TOP_METRIC_ENUM
        TOP_METRICS
};

/* -- samples ----------------------------------------------------------------------------------- */

struct top_session {
    size_t name; /* its place in the names of its walk */
    uint8_t name_size;
    uint8_t state; /* spn_session_state */
    uint64_t epoch;
    uint64_t seq;
    uint64_t events;
    uint64_t bytes;
    uint64_t last_ms;
    struct spn_life life;
    double events_rate;
    double bytes_rate;
};

/* A walk through the list, in the order of names. */
struct top_walk {
    int64_t at_ms; /* monotonic */
    struct top_session *rows;
    size_t count;
    size_t capacity;
    struct out names;
    uint64_t live;
    bool more; /* there are sessions after these */
};

struct top {
    spn_client *client;
    int timeout_ms;
    struct spn_bytes prefix;

    bool known; /* there is a sample */
    bool has_rates;
    spn_err err; /* why the newest one failed; then what is here is older */
    char why[TOP_WORDS_SIZE];
    int64_t at_ms;  /* monotonic: of the newest sample */
    double seconds; /* since the one before */
    uint64_t values[TOP_METRICS];
    double rates[TOP_METRICS];
    spn_status status;
    char reason[TOP_WORDS_SIZE];
    char version[LOOK_TEXT_SIZE];
    uint32_t pid;
    uint64_t uptime_ms;
    struct connected_list clients;
    struct top_walk walk;

    /* of the session that is followed */
    spn_subscription *events;
    char session[256];
    struct out lines[TOP_EVENTS_MAX]; /* a ring */
    size_t line_count;                /* that there ever were */
    bool ended;
};

void top_init(struct top *top, spn_client *client, int timeout_ms, struct spn_bytes prefix);
void top_release(struct top *top);

/* Takes a sample. Returns top->err. */
spn_err top_take(struct top *top);

/* Name of a session of the newest walk. */
struct spn_bytes top_name(const struct top *top, const struct top_session *session);

/* Follows a session from its newest events on. It ends what was followed before; session NULL: only
 * that. */
spn_err top_follow(struct top *top, const struct top_session *session) SPN_MUST_USE;
/* Takes the events that are there. True: there were some. */
bool top_follow_take(struct top *top);

/* -- pages ------------------------------------------------------------------------------------- */

/* X(name, key, option) */
#define TOP_SORT_MAP(X)                                                                            \
    X(RATE, 'r', "rate")                                                                           \
    X(BYTES, 'b', "bytes")                                                                         \
    X(EVENTS, 'e', "events")                                                                       \
    X(NEWEST, 't', "newest")                                                                       \
    X(NAME, 'n', "name")

#define TOP_SORTS "rate|bytes|events|newest|name"

enum top_sort {
#define TOP_SORT_ENUM(name, key, option) TOP_BY_##name,
    TOP_SORT_MAP(TOP_SORT_ENUM)
#undef TOP_SORT_ENUM
        TOP_SORTS_COUNT
};

enum top_view { TOP_SESSIONS, TOP_CLIENTS, TOP_EVENTS, TOP_HELP };

/* What a person has chosen. */
struct top_choice {
    enum top_view view;
    enum top_sort sort;
    char filter[TOP_FILTER_SIZE]; /* only names with this in them; "": all */
    size_t selected;              /* row of the table */
    size_t first;                 /* row that is shown first */
    bool paused;
};

enum top_style { TOP_PLAIN, TOP_HEAD, TOP_GOOD, TOP_BAD, TOP_DIM, TOP_SELECTED };

struct top_line {
    size_t at; /* in the page's text */
    size_t size;
    enum top_style style;
};

struct top_page {
    struct look look; /* terminal: numbers in words, and names are cut at the width */
    size_t height;    /* lines; 0: no limit */
    size_t rows_max;  /* rows of the table; 0: as many as the height has room for */
    struct out text;
    struct top_line *lines;
    size_t count;
    size_t capacity;

    size_t *order; /* rows of the walk that pass the filter, sorted */
    size_t order_count;
    size_t order_capacity;
};

/* Makes the lines anew. Moves choice->first so that the selected row is on the page. SPN_E_NOMEM.
 */
spn_err top_page_make(struct top_page *page, const struct top *top,
                      struct top_choice *choice) SPN_MUST_USE;
/* The session of the selected row; NULL: there is none. */
const struct top_session *top_page_selected(const struct top_page *page, const struct top *top,
                                            const struct top_choice *choice);
/* The rows of the table, whether they are shown or not. */
size_t top_page_rows(const struct top_page *page, const struct top *top,
                     const struct top_choice *choice);
void top_page_release(struct top_page *page);

#endif
