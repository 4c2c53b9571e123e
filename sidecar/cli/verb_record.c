/* SPDX-License-Identifier: Apache-2.0 */
/* verb_record: stores a text/event-stream in a session, and prints a line with the results. */
#include "cli/cli.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ack_log.h"
#include "cli/recorder.h"

struct record {
    struct cli_words words;
    struct cli_common common;
    const char *ack_log_path;
    enum recorder_ids ids;
    struct spn_bytes prefix;
    struct spn_bytes note;
    struct spn_bytes reason;
    bool if_new;
    bool closes;
    bool fail_if_empty;
};

enum {
    KEY_ACK_LOG = CLI_KEY,
    KEY_IDS,
    KEY_NOTE,
    KEY_IF_NEW,
    KEY_CLOSE,
    KEY_REASON,
    KEY_FAIL_IF_EMPTY
};

static const struct argp_option options[] = {
    {"ack-log", KEY_ACK_LOG, "FILE", 0,
     "append a line \"number id\" to FILE for each event when it is on disk; the number counts the "
     "events of the input, from 1",
     0},
    {"ids", KEY_IDS, "keep|new|prefix=TEXT", 0,
     "what to do with the ids of the input: keep them (default), remove them, so that each event "
     "gets a new one, or put TEXT before them; for inputs whose ids repeat",
     0},
    {"note", KEY_NOTE, "TEXT", 0, "up to 512 bytes of your own, stored with each event", 0},
    {"if-new", KEY_IF_NEW, 0, 0, "only if there is no such session", 0},
    {"close", KEY_CLOSE, 0, 0, "close the session at the end of the input, with its last event", 0},
    {"fail-if-empty", KEY_FAIL_IF_EMPTY, 0, 0, "exit with 1 if the input has no events", 0},
    {"reason", KEY_REASON, "TEXT", 0, "why it is closed, with --close: up to 64 bytes", 0},
    {0},
};

static void parse_ids(struct record *record, const char *arg)
{
    static const char prefix[] = "prefix=";
    if (strcmp(arg, "keep") == 0) {
        record->ids = RECORDER_IDS_KEEP;
    } else if (strcmp(arg, "new") == 0) {
        record->ids = RECORDER_IDS_NEW;
    } else if (strncmp(arg, prefix, strlen(prefix)) == 0 && arg[strlen(prefix)] != '\0') {
        record->ids = RECORDER_IDS_PREFIX;
        record->prefix = cli_event_id(arg + strlen(prefix));
    } else {
        cli_usage("--ids", "must be keep, new or prefix=TEXT");
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct record *record = state->input;
    switch (key) {
    case KEY_ACK_LOG:
        record->ack_log_path = arg;
        return 0;
    case KEY_IDS:
        parse_ids(record, arg);
        return 0;
    case KEY_NOTE:
        record->note = cli_text("--note", arg, wire_check_note);
        return 0;
    case KEY_IF_NEW:
        record->if_new = true;
        return 0;
    case KEY_CLOSE:
        record->closes = true;
        return 0;
    case KEY_FAIL_IF_EMPTY:
        record->fail_if_empty = true;
        return 0;
    case KEY_REASON:
        record->reason = cli_text("--reason", arg, wire_check_reason);
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &record->words, &record->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION [FILE]",
    .doc =
        "Store the events of a text/event-stream from FILE or from standard input, each as soon as "
        "it is complete, and wait until they are on disk. If the sidecar stops, wait until it is "
        "back, after some seconds with a line on standard error; with --timeout, wait no longer "
        "than that."
        "\vPrints {\"session\", \"events\", \"stored\", \"duplicates\", \"conflicts\", "
        "\"refused\", \"markers\", \"last_event_id\"}: events is the sum of the four counts after "
        "it. "
        "markers is the number of ids and retries that came without an event and are in the "
        "session. last_event_id is the id in force at the session's end, whoever published it, as "
        "`sponson last` prints it afterwards. It is null if there is no such id, or if it "
        "could not be requested. \"markers_refused\" is added if markers were refused. \"lost\" is "
        "added if "
        "events that were acknowledged and counted are no longer in the database, because an older "
        "copy replaced it. \"unacknowledged\" is added if record stopped before every event had a "
        "result, and \"closed\":true if it closed the session.\n\n"
        "An event without an id: field of its own gets an id. An event whose id the session has "
        "had recently is a duplicate if its data and type are the same, and both or neither close "
        "the session, for the same reason; it is a conflict if not. "
        "(The retry is not compared; no type means \"message\".) If the first id of the input "
        "appears again for another event, the input restarts its numbering. record then prints one "
        "warning, or one about conflicts. Use --ids for such inputs.\n\n"
        "With --if-new, the first event has to open the session. If there is one already, also a "
        "closed one, nothing is stored, and record exits with 1. With --close, the last event "
        "closes the session, both or neither, if the input ends right after it. If the input ends "
        "later, or with something else, a close of its own follows. An input that a signal ends, "
        "or that ends within an event, closes nothing, and record exits with 1.\n\n"
        "Exits with 0 if every event is stored or a duplicate. Exits with 1 if there were "
        "conflicts or refusals (too large, an id too long), also of markers: standard error names "
        "them, and the others are stored. Exits with 1 also if acknowledged events are lost, and "
        "if something fails: reading the input or writing the file of --ack-log, or the sidecar "
        "refuses to continue; with 3 if one of the two cannot be opened; with 4 if --timeout is "
        "over.\n\n"
        "An input that is not an event stream is an error, exit code 1: it has lines, and none of "
        "them is a field (data, event, id, retry) or a comment. An input without events is not an "
        "error without --fail-if-empty: record exits with 0, with \"events\":0 and a warning. With "
        "--close it closes a "
        "session "
        "that is there, and exits with 3 if there is none; with --if-new too it does nothing. If "
        "the input ends within an "
        "event, that event is not stored, and record exits with 0 and a warning, too. To detect "
        "that the source of the input failed, use `curl -fsSN` and `set -o pipefail`.\n\n"
        "SIGINT and SIGTERM end the input: record still waits for the acknowledgement of what was "
        "read. A second signal ends the program.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* -- the summary ------------------------------------------------------------------------------- */

/* Empty: no id is in force, or it is not known. */
static struct spn_bytes ask_last_id(struct recorder *recorder, int timeout_ms)
{
    const struct spn_last *last;
    spn_err err = spn_last_event(recorder->client, recorder->session, timeout_ms, &last);
    if (err == SPN_OK)
        return last->id;
    if (err != SPN_E_UNKNOWN_SESSION)
        cli_warn("last event id not known", spn_client_detail(recorder->client));
    return (struct spn_bytes){NULL, 0};
}

static json_t *optional(uint64_t count)
{
    return count > 0 ? json_integer((json_int_t)count) : NULL;
}

static json_t *summary_json(const struct recorder *recorder, struct spn_bytes last_id)
{
    uint64_t ended =
        recorder->stored + recorder->duplicates + recorder->conflicts + recorder->refused;
    return json_pack(
        "{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o*, s:o*, s:o*, s:o*, s:o*}", "session",
        cli_json_bytes(recorder->session), "events", (json_int_t)recorder->events, "stored",
        (json_int_t)recorder->stored, "duplicates", (json_int_t)recorder->duplicates, "conflicts",
        (json_int_t)recorder->conflicts, "refused", (json_int_t)recorder->refused, "markers",
        (json_int_t)recorder->markers, "last_event_id",
        last_id.size > 0 ? cli_json_bytes(last_id) : json_null(), "last_event_id_encoding",
        cli_json_encoding(last_id), "markers_refused", optional(recorder->markers_refused), "lost",
        optional(spn_producer_counters(recorder->producer)->lost), "unacknowledged",
        optional(recorder->events - ended), "closed", recorder->is_closed ? json_true() : NULL);
}

static int summarize(struct recorder *recorder, int exit_code, int timeout_ms)
{
    struct out out;
    struct spn_bytes last_id = {NULL, 0};
    if (exit_code == CLI_OK && sse_parser_is_foreign(&recorder->parser)) {
        cli_error(recorder->input_name,
                  "not an event stream: none of its lines is a field or a comment");
        exit_code = CLI_FAILURE;
    } else if (exit_code == CLI_OK && recorder->events + recorder->markers == 0) {
        if (recorder->fail_if_empty)
            cli_error(recorder->input_name, "contains no events");
        else
            cli_warn(recorder->input_name, "contains no events");
        exit_code = recorder->fail_if_empty ? CLI_FAILURE : CLI_OK;
    }
    if (exit_code == CLI_OK &&
        recorder->conflicts + recorder->refused + recorder->markers_refused > 0)
        exit_code = CLI_FAILURE;
    if (exit_code == CLI_OK || exit_code == CLI_FAILURE)
        last_id = ask_last_id(recorder, timeout_ms);
    out_init(&out, STDOUT_FILENO);
    int printed = cli_put_json(&out, summary_json(recorder, last_id));
    return cli_finish(&out, exit_code != CLI_OK ? exit_code : printed);
}

/* -- opening ----------------------------------------------------------------------------------- */

static int open_input(struct recorder *recorder, const char *path)
{
    recorder->input_fd = STDIN_FILENO;
    recorder->input_name = "standard input";
    if (!path || strcmp(path, "-") == 0)
        return CLI_OK;
    recorder->input_name = path;
    struct stat found;
    recorder->input_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (recorder->input_fd < 0)
        return cli_fail_errno(path);
    if (fstat(recorder->input_fd, &found) == 0 && S_ISREG(found.st_mode))
        recorder->input_size = (uint64_t)found.st_size;
    return CLI_OK;
}

static int open_ack_log(struct recorder *recorder, const char *path)
{
    recorder->ack_log_name = path;
    return ack_log_open(recorder->ack_log, path) == SPN_OK ? CLI_OK : cli_fail_errno(path);
}

static int open_sidecar(struct recorder *recorder, const struct cli_common *common)
{
    struct spn_producer_options producer = spn_producer_defaults();
    int exit_code = cli_connect(common, &recorder->client);
    if (exit_code != CLI_OK)
        return exit_code;
    producer.window_events = RECORDER_IN_FLIGHT_MAX;
    producer.send_timeout_ms = 0; /* the loop waits */
    spn_err err =
        spn_producer_open(&recorder->producer, recorder->client, &producer, cli_timeout_ms(common));
    if (err != SPN_OK)
        return cli_fail_client("sidecar", recorder->client, err);
    recorder->ticket = spn_producer_committed(recorder->producer);
    return CLI_OK;
}

static int run(struct recorder *recorder, const struct cli_common *common)
{
    recorder_init(recorder, spn_client_data_max(recorder->client));
    int exit_code = summarize(recorder, recorder_run(recorder), cli_timeout_ms(common));
    recorder_release(recorder);
    return exit_code;
}

/* Missing acknowledgements are reported already, so the producer is closed without waiting. */
static void close_all(struct recorder *recorder)
{
    spn_err ignored = spn_producer_close(recorder->producer, 0, NULL);
    (void)ignored;
    spn_client_close(recorder->client);
    ack_log_close(recorder->ack_log);
    if (recorder->input_fd > STDIN_FILENO)
        close(recorder->input_fd);
    free(recorder);
}

int verb_record(int argc, char **argv)
{
    struct record record = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 2},
        .common = {.timeout_ms = -1,
                   .timeout_help = "how long to wait, first for the sidecar (default: 5) and later "
                                   "for an acknowledgement (default: for ever)"},
    };
    struct ack_log ack_log = {.fd = -1};
    cli_parse(&argp, argc, argv, &record);
    if (record.reason.size > 0 && !record.closes)
        cli_usage("--reason", "needs --close");
    struct recorder *recorder = calloc(1, sizeof(*recorder));
    if (!recorder)
        return cli_fail("memory", SPN_E_NOMEM, NULL);
    recorder->session = cli_session(record.words.at[0]);
    recorder->ack_log = &ack_log;
    recorder->ids = record.ids;
    recorder->prefix = record.prefix;
    recorder->note = record.note;
    recorder->reason = record.reason;
    recorder->if_new = record.if_new;
    recorder->closes = record.closes;
    recorder->fail_if_empty = record.fail_if_empty;
    recorder->stall_ms = record.common.timeout_ms;
    int exit_code = open_input(recorder, record.words.at[1]);
    if (exit_code == CLI_OK && isatty(recorder->input_fd))
        cli_warn("reading an event stream from the terminal", "end it with Ctrl-D");
    if (exit_code == CLI_OK)
        exit_code = open_ack_log(recorder, record.ack_log_path);
    if (exit_code == CLI_OK)
        exit_code = open_sidecar(recorder, &record.common);
    if (exit_code == CLI_OK)
        exit_code = run(recorder, &record.common);
    close_all(recorder);
    return exit_code;
}
