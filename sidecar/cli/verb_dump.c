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
#include "cli/log_walk.h"
#include "cli/retained.h"
#include "base/text.h"

struct dump {
    const char *data_dir;
    struct spn_bytes only; /* a session's name; size 0: all */
    enum event_format format;
    bool all; /* also events that retention hides */

    struct retained *retained;
    struct out out;
    uint64_t unwritable; /* events that the format cannot carry */
    uint64_t nameless;   /* events whose session has no name any more */
    uint64_t rowless;    /* events whose session's row is damaged */
    char session[256];   /* in the last comment of an event stream of all sessions */
    bool found;          /* an entry of the requested session */
    bool ended;          /* an entry of an epoch of it that has ended */
};

enum { KEY_SESSION = CLI_KEY, KEY_FORMAT, KEY_ALL, KEY_DATA_DIR };

static const struct argp_option options[] = {
    {"session", KEY_SESSION, "SESSION", 0, "only this session", 0},
    {"format", KEY_FORMAT, "sse|jsonl", 0,
     "jsonl: one object per line with position, session, life, epoch, seq, id, type, data, retry, "
     "time "
     "(default); sse: text/event-stream, with a comment before the events of another session",
     0},
    {"all", KEY_ALL, 0, 0,
     "also print events that retention hides and that are not trimmed yet, and events of sessions "
     "that were deleted or expired (their session may be null, because names are deleted first)",
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
        "Print every retained event of the log in order, read directly from the database. This "
        "works while a sidecar runs, without a sidecar, and after a sidecar was killed."
        "\vAn id or a retry that came without an event is printed as a line, too: its data is null "
        "and its marker is true. Its id is null if it leaves the previous id in force. type is "
        "\"\" for an event without a type, which means \"message\". Data that is not "
        "UTF-8 is printed as base64, with \"encoding\":\"base64\" after the other keys "
        "(\"id_encoding\" and \"type_encoding\" for an id or a type). The log is printed as it was "
        "when the dump began.\n\n"
        "Exits with 1 if the database is damaged or the file was cut: everything that can be read "
        "is still printed, and standard error reports how much is missing. Exits with 3 if there "
        "is no such session. A deleted session is printed with --all until its events are "
        "trimmed.",
};

/* -- printing ---------------------------------------------------------------------------------- */

/* A comment (HTML standard, 9.2.5): parsers skip it, people see which session's events follow. */
static void put_session_comment(struct dump *dump, struct spn_bytes session)
{
    size_t size = strlen(dump->session);
    if (size == session.size && (size == 0 || memcmp(dump->session, session.data, size) == 0))
        return;
    if (session.size >= sizeof(dump->session))
        return;
    memcpy(dump->session, session.data, session.size);
    dump->session[session.size] = '\0';
    out_text(&dump->out, ": session ");
    out_put(&dump->out, session.data, session.size);
    out_text(&dump->out, "\n");
}

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
        put_session_comment(dump, session);
    spn_err err = event_put_sse(&dump->out, event);
    if (err == SPN_OK)
        return;
    dump->unwritable++;
    tell_unwritable(dump, event, err);
}

static spn_event_kind kind_of(const struct record_entry *entry)
{
    if (entry->kind == RECORD_EVENT)
        return SPN_EVENT;
    return entry->id.size == 0 && entry->id_position == 0 ? SPN_RESET : SPN_MARKER;
}

/* If unknown, the event is shown: a dump saves what can be saved. */
static bool is_shown(enum retained_answer retained)
{
    return retained == RETAINED_YES || retained == RETAINED_UNKNOWN;
}

static spn_err put_item(struct dump *dump, const struct log_item *item)
{
    const struct record_entry *entry = &item->entry;
    enum retained_answer retained;
    if (!record_is_stored(entry->kind) && dump->only.size == 0)
        return SPN_OK;
    spn_err err = retained_ask(dump->retained, entry, &retained);
    if (err != SPN_OK)
        return err;
    dump->ended = dump->ended || retained == RETAINED_DELETED;
    if (!is_shown(retained) && !dump->all)
        return SPN_OK;
    dump->found = true;
    if (!record_is_stored(entry->kind))
        return SPN_OK;
    struct spn_event event = {
        .size = sizeof(event),
        .kind = kind_of(entry),
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
    dump->rowless += retained == RETAINED_UNKNOWN;
    dump->nameless += !item->session.data && retained != RETAINED_DELETED;
    if (dump->format == EVENT_SSE)
        put_sse(dump, item->session, &event);
    else
        event_put_json(&dump->out, item->session, &event, entry->epoch);
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

static int walk_log(struct dump *dump, struct log_walk *walk)
{
    const struct log_item *items;
    size_t count;
    spn_err err;
    while ((err = log_walk_next(walk, &items, &count)) == SPN_OK) {
        for (size_t i = 0; i < count; i++) {
            err = put_item(dump, &items[i]);
            if (err != SPN_OK)
                return cli_fail("database", err, journal_detail());
            if (!out_settle(&dump->out)) /* cli_finish prints the reason */
                return CLI_FAILURE;
        }
    }
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
