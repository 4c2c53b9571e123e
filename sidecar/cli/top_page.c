/* SPDX-License-Identifier: Apache-2.0 */
/* top_page: the lines of a sample. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top.h"
#include "base/clock.h"
#include "base/text.h"

enum { LINES_MIN = 64 };

/* -- lines ------------------------------------------------------------------------------------- */

/* What was put into the text since the line before becomes a line, without its newline. */
static spn_err end_line(struct top_page *page, enum top_style style)
{
    size_t at =
        page->count > 0 ? page->lines[page->count - 1].at + page->lines[page->count - 1].size : 0;
    if (page->text.error)
        return SPN_E_NOMEM;
    if (page->count == page->capacity) {
        size_t capacity = page->capacity > 0 ? 2 * page->capacity : LINES_MIN;
        struct top_line *more = reallocarray(page->lines, capacity, sizeof(*more));
        if (!more)
            return SPN_E_NOMEM;
        page->lines = more;
        page->capacity = capacity;
    }
    if (page->text.size > at && page->text.data[page->text.size - 1] == '\n')
        page->text.size--;
    page->lines[page->count++] =
        (struct top_line){.at = at, .size = page->text.size - at, .style = style};
    return SPN_OK;
}

__attribute__((format(printf, 3, 4))) static spn_err
put_line(struct top_page *page, enum top_style style, const char *format, ...)
{
    char line[2 * TOP_WORDS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    look_put(&page->text, &page->look, spn_text(line), page->look.width, false);
    while (page->text.size > 0 && page->text.data[page->text.size - 1] == ' ')
        page->text.size--;
    return end_line(page, style);
}

/* -- numbers ----------------------------------------------------------------------------------- */

/* Plain in a pipe. */
static const char *number(const struct top_page *page, uint64_t value, char *text)
{
    if (page->look.terminal)
        return look_amount(value, text);
    snprintf(text, LOOK_TEXT_SIZE, "%llu", (unsigned long long)value);
    return text;
}

static const char *bytes(const struct top_page *page, uint64_t value, char *text)
{
    return page->look.terminal ? look_bytes(value, text) : number(page, value, text);
}

/* A rate; "-" while there is none. */
static const char *per_second(const struct top_page *page, const struct top *top, double value,
                              char *text)
{
    if (!top->has_rates)
        snprintf(text, LOOK_TEXT_SIZE, "-");
    else if (!page->look.terminal || (value > 0 && value < 10))
        snprintf(text, LOOK_TEXT_SIZE, "%.1f", value);
    else
        return number(page, (uint64_t)(value + 0.5), text);
    return text;
}

static const char *bytes_per_second(const struct top_page *page, const struct top *top,
                                    double value, char *text)
{
    if (!page->look.terminal || !top->has_rates)
        return per_second(page, top, value, text);
    return look_bytes((uint64_t)(value + 0.5), text);
}

/* -- the header -------------------------------------------------------------------------------- */

static const char *const states[] = {
    [SPN_HEALTHY] = "ok", [SPN_DEGRADED] = "degraded", [SPN_STOPPING] = "stopping"};

static spn_err put_status(struct top_page *page, const struct top *top,
                          const struct top_choice *choice)
{
    char up[LOOK_TEXT_SIZE];
    bool well = top->err == SPN_OK && top->status == SPN_HEALTHY;
    const char *reason = top->err != SPN_OK ? top->why : top->reason;
    if (page->look.terminal)
        look_span(top->uptime_ms, up);
    else
        snprintf(up, sizeof(up), "%llu ms", (unsigned long long)top->uptime_ms);
    return put_line(page, well ? TOP_GOOD : TOP_BAD, "sponson %s, pid %lu, up %s: %s%s%s%s",
                    top->version, (unsigned long)top->pid, up,
                    top->err != SPN_OK ? "no answer" : states[top->status], *reason ? ": " : "",
                    reason, choice->paused ? " (paused)" : "");
}

static spn_err put_flow(struct top_page *page, const struct top *top)
{
    char texts[5][LOOK_TEXT_SIZE];
    return put_line(
        page, TOP_PLAIN, "in    %s events/s, %s/s of data   read %s events/s   refused %s",
        per_second(page, top, top->rates[TOP_events_accepted], texts[0]),
        bytes_per_second(page, top, top->rates[TOP_bytes_accepted], texts[1]),
        per_second(page, top, top->rates[TOP_replayed] + top->rates[TOP_live], texts[2]),
        number(page,
               top->values[TOP_conflicts] + top->values[TOP_refused_contents] +
                   top->values[TOP_refused_closed] + top->values[TOP_refused_condition],
               texts[3]));
}

static spn_err put_disk(struct top_page *page, const struct top *top)
{
    char texts[5][LOOK_TEXT_SIZE];
    char each[LOOK_TEXT_SIZE] = "-";
    double commits = top->rates[TOP_commits];
    if (top->has_rates && commits > 0)
        snprintf(each, sizeof(each), "%.2f", top->rates[TOP_commit_ns] / commits / 1e6);
    return put_line(page, TOP_PLAIN,
                    "disk  %s commits/s of %s ms   queue %s events, %s   database %s",
                    per_second(page, top, commits, texts[0]), each,
                    number(page, top->values[TOP_queue_events], texts[1]),
                    bytes(page, top->values[TOP_queue_bytes], texts[2]),
                    bytes(page, top->values[TOP_database_used_bytes], texts[3]));
}

static spn_err put_counts(struct top_page *page, const struct top *top)
{
    char texts[5][LOOK_TEXT_SIZE];
    return put_line(page, TOP_PLAIN,
                    "has   %s sessions, live %s%s   subscriptions %s   processes %s   unsent %s",
                    number(page, top->values[TOP_sessions_known], texts[0]),
                    number(page, top->walk.live, texts[1]), top->walk.more ? "+" : "",
                    number(page, top->values[TOP_subscriptions], texts[2]),
                    number(page, top->clients.count, texts[3]),
                    bytes(page, top->values[TOP_unsent], texts[4]));
}

static spn_err put_header(struct top_page *page, const struct top *top,
                          const struct top_choice *choice)
{
    spn_err err = put_status(page, top, choice);
    if (err == SPN_OK)
        err = put_flow(page, top);
    if (err == SPN_OK)
        err = put_disk(page, top);
    if (err == SPN_OK)
        err = put_counts(page, top);
    return err;
}

/* -- rows -------------------------------------------------------------------------------------- */

struct sorting {
    const struct top *top;
    enum top_sort by;
};

static int descending(double a, double b)
{
    return (a < b) - (a > b);
}

/* Of equal ones, the newest first; then by name, which is the order of the walk. */
static int compare(const void *left, const void *right, void *argument)
{
    const struct sorting *sorting = argument;
    size_t i = *(const size_t *)left;
    size_t j = *(const size_t *)right;
    const struct top_session *a = &sorting->top->walk.rows[i];
    const struct top_session *b = &sorting->top->walk.rows[j];
    int order = 0;
    switch (sorting->by) {
    case TOP_BY_RATE:
        order = descending(a->events_rate, b->events_rate);
        break;
    case TOP_BY_BYTES:
        order = descending((double)a->bytes, (double)b->bytes);
        break;
    case TOP_BY_EVENTS:
        order = descending((double)a->events, (double)b->events);
        break;
    case TOP_BY_NAME:
        return (i > j) - (i < j);
    case TOP_BY_NEWEST:
    case TOP_SORTS_COUNT:
        break;
    }
    if (order == 0 && a->last_ms != b->last_ms)
        order = a->last_ms > b->last_ms ? -1 : 1;
    return order != 0 ? order : (i > j) - (i < j);
}

static bool passes(struct spn_bytes name, const char *filter)
{
    return *filter == '\0' || memmem(name.data, name.size, filter, strlen(filter)) != NULL;
}

static spn_err sort_sessions(struct top_page *page, const struct top *top,
                             const struct top_choice *choice)
{
    const struct top_walk *walk = &top->walk;
    struct sorting sorting = {.top = top, .by = choice->sort};
    if (page->order_capacity < walk->count) {
        size_t *order = reallocarray(page->order, walk->count, sizeof(*order));
        if (!order)
            return SPN_E_NOMEM;
        page->order = order;
        page->order_capacity = walk->count;
    }
    page->order_count = 0;
    for (size_t i = 0; i < walk->count; i++)
        if (passes(top_name(top, &walk->rows[i]), choice->filter))
            page->order[page->order_count++] = i;
    if (page->order_count > 1)
        qsort_r(page->order, page->order_count, sizeof(*page->order), compare, &sorting);
    return SPN_OK;
}

static const struct look_column session_columns[] = {
    {"EVENTS/S", 9, true}, {"BYTES/S", 8, true}, {"EVENTS", 9, true},    {"SIZE", 8, true},
    {"NEWEST", 10, true},  {"STATE", 7, false},  {"SESSION", 24, false},
};

static const struct look_column client_columns[] = {
    {"PID", 7, true},    {"UID", 6, true}, {"WRITES", 6, false}, {"SUBS", 6, true},
    {"BEHIND", 6, true}, {"LAG", 9, true}, {"WAITING", 8, true}, {"PROGRAM", 12, false},
};

enum { COLUMNS_MAX = 8 };

static void put_session(struct top_page *page, const struct look_table *table,
                        const struct top *top, const struct top_session *row)
{
    char texts[COLUMNS_MAX][LOOK_TEXT_SIZE];
    struct spn_bytes cells[COLUMNS_MAX];
    per_second(page, top, row->events_rate, texts[0]);
    bytes_per_second(page, top, row->bytes_rate, texts[1]);
    number(page, row->events, texts[2]);
    bytes(page, row->bytes, texts[3]);
    if (page->look.terminal)
        look_ago(row->last_ms, clock_wall_ms(), texts[4]);
    else
        text_time(row->last_ms, texts[4]);
    snprintf(texts[5], LOOK_TEXT_SIZE, "%s", spn_session_state_name((spn_session_state)row->state));
    for (size_t i = 0; i < 6; i++)
        cells[i] = spn_text(texts[i]);
    cells[6] = top_name(top, row);
    look_table_row(table, &page->text, cells, -1, LOOK_BOLD);
}

static void put_client(struct top_page *page, const struct look_table *table,
                       const struct connected *row)
{
    char texts[COLUMNS_MAX][LOOK_TEXT_SIZE] = {"-"};
    struct spn_bytes cells[COLUMNS_MAX];
    if (row->pid > 0)
        snprintf(texts[0], LOOK_TEXT_SIZE, "%lu", (unsigned long)row->pid);
    snprintf(texts[1], LOOK_TEXT_SIZE, "%lu", (unsigned long)row->uid);
    snprintf(texts[2], LOOK_TEXT_SIZE, "%s", row->writes ? "yes" : "no");
    number(page, row->subscriptions, texts[3]);
    number(page, row->behind, texts[4]);
    number(page, row->lag, texts[5]);
    bytes(page, row->waiting, texts[6]);
    for (size_t i = 0; i < 7; i++)
        cells[i] = spn_text(texts[i]);
    cells[7] = spn_text(row->program[0] ? row->program : "-");
    look_table_row(table, &page->text, cells, -1, LOOK_BOLD);
}

size_t top_page_rows(const struct top_page *page, const struct top *top,
                     const struct top_choice *choice)
{
    return choice->view == TOP_CLIENTS    ? top->clients.count
           : choice->view == TOP_SESSIONS ? page->order_count
                                          : 0;
}

const struct top_session *top_page_selected(const struct top_page *page, const struct top *top,
                                            const struct top_choice *choice)
{
    if (choice->view != TOP_SESSIONS || choice->selected >= page->order_count)
        return NULL;
    return &top->walk.rows[page->order[choice->selected]];
}

/* How many rows there is room for under the header and the heads, and over the last line. */
static size_t room(const struct top_page *page)
{
    size_t used = page->count + 2;
    if (page->height == 0)
        return page->rows_max > 0 ? page->rows_max : SIZE_MAX;
    return page->height > used ? page->height - used : 1;
}

static void scroll(struct top_choice *choice, size_t count, size_t rows)
{
    if (choice->selected >= count)
        choice->selected = count > 0 ? count - 1 : 0;
    if (choice->first > choice->selected)
        choice->first = choice->selected;
    if (choice->selected - choice->first >= rows)
        choice->first = choice->selected - rows + 1;
    if (count > rows && choice->first > count - rows)
        choice->first = count - rows;
    if (count <= rows)
        choice->first = 0;
}

static spn_err put_table(struct top_page *page, const struct top *top, struct top_choice *choice)
{
    struct look_table table;
    bool clients = choice->view == TOP_CLIENTS;
    size_t count = top_page_rows(page, top, choice);
    size_t rows = room(page);
    scroll(choice, count, rows);
    if (clients)
        look_table_init(&table, &page->look, client_columns,
                        sizeof(client_columns) / sizeof(client_columns[0]));
    else
        look_table_init(&table, &page->look, session_columns,
                        sizeof(session_columns) / sizeof(session_columns[0]));
    look_table_heads(&table, &page->text);
    spn_err err = end_line(page, TOP_HEAD);
    for (size_t i = choice->first; err == SPN_OK && i < count && i - choice->first < rows; i++) {
        if (clients)
            put_client(page, &table, &top->clients.rows[i]);
        else
            put_session(page, &table, top, &top->walk.rows[page->order[i]]);
        err = end_line(page, page->height > 0 && i == choice->selected ? TOP_SELECTED : TOP_PLAIN);
    }
    return err;
}

/* -- other views ------------------------------------------------------------------------------- */

static spn_err put_events(struct top_page *page, const struct top *top)
{
    size_t rows = room(page);
    size_t kept = top->line_count < TOP_EVENTS_MAX ? top->line_count : TOP_EVENTS_MAX;
    size_t shown = kept < rows ? kept : rows;
    spn_err err = put_line(page, TOP_HEAD, "     SEQ  TIME          EVENTS OF %s", top->session);
    for (size_t i = top->line_count - shown; err == SPN_OK && i < top->line_count; i++) {
        const struct out *line = &top->lines[i % TOP_EVENTS_MAX];
        look_put(&page->text, &page->look, (struct spn_bytes){line->data, line->size},
                 page->look.width, false);
        err = end_line(page, TOP_PLAIN);
    }
    return err;
}

static spn_err put_help(struct top_page *page)
{
    static const char *const lines[] = {
        "Keys",
        "  r  sessions by rate           f, Enter  follow the selected session",
        "  b  sessions by size           Esc       back, or all names again",
        "  e  sessions by events         /         only names with some text",
        "  t  sessions by newest event   c         processes, or sessions again",
        "  n  sessions by name           p         pause, or go on",
        "  arrows, PgUp, PgDn, Home, End: select",
        "  +  look more often            -         look less often",
        "  q  quit",
        "",
        "Rates are of the last interval. READ counts events that went to readers,",
        "from disk and as they came. SUBS are subscriptions, BEHIND those that have",
        "not got all that is there, LAG the most events that one of them has to get.",
        "WAITING are bytes on their way to a process.",
    };
    spn_err err = SPN_OK;
    for (size_t i = 0; err == SPN_OK && i < sizeof(lines) / sizeof(lines[0]); i++)
        err = put_line(page, i == 0 ? TOP_HEAD : TOP_PLAIN, "%s", lines[i]);
    return err;
}

static spn_err put_view(struct top_page *page, const struct top *top, struct top_choice *choice)
{
    switch (choice->view) {
    case TOP_EVENTS:
        return put_events(page, top);
    case TOP_HELP:
        return put_help(page);
    case TOP_CLIENTS:
    case TOP_SESSIONS:
        break;
    }
    spn_err err = sort_sessions(page, top, choice);
    return err == SPN_OK ? put_table(page, top, choice) : err;
}

spn_err top_page_make(struct top_page *page, const struct top *top, struct top_choice *choice)
{
    page->text.size = 0;
    page->count = 0;
    page->order_count = 0; /* of a sample that is gone; the view may be another one, too */
    if (!top->known) {
        const char *why = top->why[0] ? top->why : "no answer yet";
        return put_line(page, TOP_BAD, "sponson: %.*s", TOP_WORDS_SIZE, why);
    }
    spn_err err = put_header(page, top, choice);
    return err == SPN_OK ? put_view(page, top, choice) : err;
}

void top_page_release(struct top_page *page)
{
    out_release(&page->text);
    free(page->lines);
    free(page->order);
}
