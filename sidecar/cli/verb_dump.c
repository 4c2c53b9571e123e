/* SPDX-License-Identifier: Apache-2.0 */
/* verb_dump: prints the log in order, straight from the database.
 *
 * It works while a sidecar runs, without one, and after one was killed. A dump also saves what is
 * left in a damaged database: it continues after unreadable entries, and reports them.
 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/data_dir.h"
#include "cli/event_text.h"
#include "base/last_words.h"
#include "index/attributes.h"
#include "cli/log_walk.h"
#include "cli/progress.h"
#include "cli/retained.h"
#include "cli/since.h"
#include "base/text.h"

struct dump {
    const char *data_dir;
    struct spn_bytes only; /* a session's name; size 0: all */
    enum event_format format;
    struct since since;
    bool all; /* also what retention hides */

    struct retained *retained;
    struct out out;
    uint64_t unwritable;              /* events that the format cannot carry */
    uint64_t nameless;                /* events whose session has no name any more */
    uint64_t rowless;                 /* events whose session's row is damaged */
    char session[EVENT_SESSION_SIZE]; /* in the last comment of an event stream of all sessions */
    bool found;                       /* an entry of the requested session */
    bool ended;                       /* an entry of an epoch of it that has ended */
};

enum { KEY_SESSION = CLI_KEY, KEY_SINCE, KEY_FORMAT, KEY_ALL, KEY_DATA_DIR };

static const struct argp_option options[] = {
    {"session", KEY_SESSION, "SESSION", 0, "only this session", 0},
    {"since", KEY_SINCE, "TIME", 0, SINCE_HELP, 0},
    {"format", KEY_FORMAT, "sse|jsonl", 0,
     "jsonl (default): one object per line; sse: text/event-stream, events and markers alone, with "
     "a comment before those of another session",
     0},
    {"all", KEY_ALL, 0, 0,
     "also print events that retention hides and that are not trimmed yet, and what is left of "
     "sessions that were deleted or expired (their session may be null, because names are deleted "
     "first)",
     0},
    {"data-dir", KEY_DATA_DIR, "DIR", 0, DATA_DIR_HELP, 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct dump *dump = state->input;
    switch (key) {
    case KEY_SESSION:
        dump->only = cli_session(arg);
        return 0;
    case KEY_SINCE:
        dump->since.from_ms = cli_since_ms(arg);
        return 0;
    case KEY_FORMAT:
        dump->format = cli_format(arg);
        return 0;
    case KEY_ALL:
        dump->all = true;
        return 0;
    case KEY_DATA_DIR:
        dump->data_dir = arg;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, NULL, NULL);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc =
        "Print every retained entry of the log in order, read directly from the database. This "
        "works while a sidecar runs, without a sidecar, and after a sidecar was killed."
        "\vA line has position, session, life, epoch, seq, kind, time, and what the kind has. The "
        "kind is event, marker, reset, open, close, delete, expire, attributes or touch, as in the "
        "lines of `sponson tail --all`. For events alone, take those with the kind event.\n\n"
        "An event has id, type, data, retry, and, if it has them, note, closes and reason. A "
        "marker or a reset is an id or a retry that came without an event: its data is null "
        "and its marker is true. Its id is null if it leaves the previous id in force. type is "
        "\"\" for an event without a type, which means \"message\". A close has a reason. "
        "Attributes have ttl_ms, idle_close_ms (0: none), content_type and note. Bytes that are "
        "not "
        "UTF-8 are printed as base64, with \"encoding\":\"base64\" after the other keys for data, "
        "and \"id_encoding\", \"type_encoding\" or \"note_encoding\" for the others. The log is "
        "printed as it was when the dump began.\n\n"
        "Exits with 1 if the database is damaged or the file was cut: everything that can be read "
        "is still printed, and standard error reports how much is missing. Exits with 3 if there "
        "is no such session. Of a session that was deleted or has expired, the entry that says so "
        "is printed, and with --all what is not trimmed yet.",
};

/* -- printing ---------------------------------------------------------------------------------- */

static void tell_unwritable(const struct dump *dump, const struct spn_event *event, spn_err err)
{
    char what[CLI_TEXT_SIZE];
    char why[CLI_TEXT_SIZE];
    if (dump->unwritable != 1) /* the first one is an example; tell_losses prints the count */
        return;
    snprintf(what, sizeof(what), "position %llu", (unsigned long long)event->position);
    snprintf(why, sizeof(why), "left out, --format jsonl can print it: %s", spn_err_text(err));
    cli_warn(what, why);
}

static void put_sse(struct dump *dump, struct spn_bytes session, const struct spn_event *event)
{
    if (dump->only.size == 0 && session.data)
        event_put_session(&dump->out, dump->session, session);
    spn_err err = event_put_sse(&dump->out, event);
    if (err == SPN_OK)
        return;
    dump->unwritable++;
    tell_unwritable(dump, event, err);
}

static spn_event_kind event_kind(const struct record_entry *entry)
{
    if (entry->kind != RECORD_MARKER)
        return SPN_EVENT;
    return entry->id.size == 0 && entry->id_position == 0 ? SPN_RESET : SPN_MARKER;
}

static spn_item_kind item_kind(const struct record_entry *entry)
{
    static const spn_item_kind kinds[] = {
        [RECORD_OPEN] = SPN_ITEM_OPEN,     [RECORD_EVENT] = SPN_ITEM_EVENT,
        [RECORD_CLOSE] = SPN_ITEM_CLOSE,   [RECORD_DELETE] = SPN_ITEM_DELETE,
        [RECORD_EXPIRE] = SPN_ITEM_EXPIRE, [RECORD_MARKER] = SPN_ITEM_EVENT,
        [RECORD_TOUCH] = SPN_ITEM_TOUCH,   [RECORD_ATTRIBUTES] = SPN_ITEM_ATTRIBUTES,
    };
    return kinds[entry->kind];
}

static struct spn_event event_of(const struct log_item *item)
{
    const struct record_entry *entry = &item->entry;
    return (struct spn_event){
        .size = sizeof(struct spn_event),
        .kind = event_kind(entry),
        .id = entry->id,
        .type = entry->type,
        .data = entry->data,
        .retry_ms = entry->retry_ms,
        .note = entry->note,
        .closes = entry->closes,
        .reason = entry->reason,
        .seq = entry->seq,
        .position = item->position,
        .life = item->life,
        .time_ms = entry->wall_ms,
    };
}

/* Attributes that cannot be read are left out of their line. */
static void put_json(struct dump *dump, const struct log_item *from, const struct spn_event *event)
{
    const struct record_entry *entry = &from->entry;
    struct wire_attributes set;
    struct spn_attributes attributes;
    struct spn_item item = {
        .kind = item_kind(entry),
        .event = event,
        .session = from->session,
        .reason = entry->reason,
    };
    if (entry->kind == RECORD_ATTRIBUTES && attributes_get(entry->data, &set) == SPN_OK) {
        attributes = (struct spn_attributes){
            .size = sizeof(attributes),
            .ttl_ms = set.ttl_ms,
            .idle_close_ms = set.idle_close_ms,
            .content_type = set.content_type,
            .note = set.note,
        };
        item.attributes = &attributes;
    }
    entry_put_json(&dump->out, &item, entry->epoch, NULL);
}

static bool ends_session(const struct record_entry *entry)
{
    return entry->kind == RECORD_DELETE || entry->kind == RECORD_EXPIRE;
}

/* If unknown, the entry is shown: a dump saves what can be saved. */
static bool is_shown(enum retained_answer retained)
{
    return retained == RETAINED_YES || retained == RETAINED_UNKNOWN;
}

/* What is hidden here without --all is what followers of the log do not get. */
static spn_err put_item(struct dump *dump, const struct log_item *item)
{
    const struct record_entry *entry = &item->entry;
    bool stored = record_is_stored(entry->kind);
    enum retained_answer retained;
    spn_err err = retained_ask(dump->retained, entry, &retained);
    if (err != SPN_OK)
        return err;
    dump->ended = dump->ended || retained == RETAINED_DELETED;
    bool shown = is_shown(retained) || dump->all;
    dump->found = dump->found || shown;
    if ((!shown && !ends_session(entry)) || !since_takes(&dump->since, entry->wall_ms))
        return SPN_OK;
    struct spn_event event = event_of(item);
    dump->rowless += stored && retained == RETAINED_UNKNOWN;
    dump->nameless += stored && !item->session.data && retained != RETAINED_DELETED;
    if (dump->format == EVENT_JSONL)
        put_json(dump, item, &event);
    else if (stored)
        put_sse(dump, item->session, &event);
    return SPN_OK;
}

/* -- the walk ---------------------------------------------------------------------------------- */

/* Prints one line, unless the count is 0. */
static void tell_count(uint64_t count, const char *which)
{
    char why[CLI_TEXT_SIZE];
    if (count == 0)
        return;
    snprintf(why, sizeof(why), "%llu %s", (unsigned long long)count, which);
    cli_error("log", why);
}

static int tell_losses(const struct dump *dump, const struct log_walk *walk)
{
    char why[CLI_TEXT_SIZE];
    uint64_t first;
    uint64_t damaged = log_walk_damaged(walk, &first);
    if (damaged > 0) {
        snprintf(why, sizeof(why), "%llu damaged entries left out, the first at position %llu",
                 (unsigned long long)damaged, (unsigned long long)first);
        cli_error("log", why);
    }
    tell_count(dump->nameless, "events of sessions whose name is damaged or missing");
    tell_count(dump->rowless,
               "events of sessions whose row is damaged: some of them may be deleted or no longer "
               "retained");
    tell_count(dump->unwritable, "events cannot be written as an event stream");
    return damaged + dump->nameless + dump->rowless + dump->unwritable > 0 ? CLI_FAILURE : CLI_OK;
}

static int check_found(const struct dump *dump, struct log_walk *walk)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    if (dump->only.size == 0 || dump->found)
        return CLI_OK;
    /* The names may still have a session that was deleted lately. */
    spn_err err = dump->ended ? SPN_E_END : log_walk_find(walk, dump->only);
    if (err == SPN_OK)
        return CLI_OK;
    if (err == SPN_E_END)
        err = SPN_E_UNKNOWN_SESSION;
    snprintf(what, sizeof(what), "session %s", text_quote(dump->only, quoted));
    return cli_fail(what, err, err == SPN_E_UNKNOWN_SESSION ? NULL : journal_detail());
}

static void show_progress(struct progress *progress, const struct log_walk *walk)
{
    uint64_t position = log_walk_position(walk, &progress->total);
    progress_set(progress, position);
}

static int walk_log(struct dump *dump, struct log_walk *walk)
{
    struct progress progress;
    progress_init(&progress, "entries", 0, true);
    const struct log_item *items;
    size_t count;
    spn_err err;
    while ((err = log_walk_next(walk, &items, &count)) == SPN_OK) {
        show_progress(&progress, walk);
        for (size_t i = 0; i < count; i++) {
            err = put_item(dump, &items[i]);
            if (err == SPN_OK && out_settle(&dump->out))
                continue;
            progress_clear(&progress);
            if (err != SPN_OK)
                return cli_fail("database", err, journal_detail());
            return CLI_FAILURE; /* cli_finish prints the reason */
        }
    }
    progress_clear(&progress);
    int losses = tell_losses(dump, walk);
    if (err != SPN_E_END)
        return cli_fail("log", err, journal_detail());
    return losses != CLI_OK ? losses : check_found(dump, walk);
}

int verb_dump(int argc, char **argv)
{
    struct dump dump = {.format = EVENT_JSONL};
    struct journal *journal;
    struct log_walk *walk;
    cli_parse(&argp, argc, argv, &dump);
    last_words_init("sponson dump: database: damaged; the rest cannot be read: signal ",
                    CLI_FAILURE);
    bool whole = true;
    int exit_code = data_dir_open(dump.data_dir, &journal, &whole);
    if (exit_code != CLI_OK)
        return exit_code;
    out_init(&dump.out, STDOUT_FILENO);
    spn_err err = retained_open(&dump.retained, journal);
    if (err == SPN_OK)
        err = log_walk_open(&walk, journal, dump.only, 1);
    if (err != SPN_OK) {
        exit_code = cli_fail("database", err, journal_detail());
    } else {
        exit_code = walk_log(&dump, walk);
        log_walk_close(walk);
    }
    retained_close(dump.retained);
    journal_close(journal);
    return cli_finish(&dump.out, exit_code == CLI_OK && !whole ? CLI_FAILURE : exit_code);
}
