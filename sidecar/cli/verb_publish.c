/* SPDX-License-Identifier: Apache-2.0 */
/* verb_publish: stores one event, without a producer. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "wire.h"

enum {
    KEY_ID = CLI_KEY,
    KEY_TYPE,
    KEY_NOTE,
    KEY_IF_NEW,
    KEY_IF_SEQ,
    KEY_CLOSE,
    KEY_REASON,
    ID_BYTES = 16, /* random, of an id that is made up here */
    READ_SIZE = 65536,
};

struct publish {
    struct cli_words words;
    struct cli_common common;
    struct spn_bytes id;
    struct spn_bytes type;
    struct spn_bytes note;
    struct spn_publish_options options;
};

static const struct argp_option options[] = {
    {"id", KEY_ID, "ID", 0, "the event's id (default: a random one, which is printed)", 0},
    {"type", KEY_TYPE, "TYPE", 0, "the event's type (default: message)", 0},
    {"note", KEY_NOTE, "TEXT", 0, "up to 512 bytes of your own, stored with the event", 0},
    {"if-new", KEY_IF_NEW, 0, 0, "only if there is no such session", 0},
    {"if-seq", KEY_IF_SEQ, "SEQ", 0, "only if the session's newest event has this seq; 0: none", 0},
    {"close", KEY_CLOSE, 0, 0, "close the session with the event", 0},
    {"reason", KEY_REASON, "TEXT", 0, "why it is closed, with --close", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct publish *publish = state->input;
    switch (key) {
    case KEY_ID:
        publish->id = cli_event_id(arg);
        return 0;
    case KEY_TYPE:
        publish->type = cli_text("--type", arg, wire_check_type);
        return 0;
    case KEY_NOTE:
        publish->note = cli_text("--note", arg, wire_check_note);
        return 0;
    case KEY_IF_NEW:
        publish->options.if_new = true;
        return 0;
    case KEY_IF_SEQ:
        publish->options.has_if_seq = true;
        publish->options.if_seq = cli_count("--if-seq", arg, 0, UINT64_MAX);
        return 0;
    case KEY_CLOSE:
        publish->options.closes = true;
        return 0;
    case KEY_REASON:
        publish->options.reason = cli_text("--reason", arg, wire_check_reason);
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &publish->words, &publish->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION [DATA]",
    .doc = "Store one event, wait until it is on disk, and print its id. Without DATA, or with -, "
           "the data is standard input without its last newline. To repeat it after a failure, "
           "give it the same --id: it is then stored once."
           "\vExits with 0 also if the event is stored already; standard error reports that. Exits "
           "with 1 if the session has the id already, and data, type, closing or reason differ; if "
           "the session is closed; or if a condition does not hold. Exits with 3 if there is no "
           "such session, and --if-seq is not 0.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* Reads one byte more than may be sent, so that too much of it is noticed. */
static int read_all(size_t size_max, char **ret_data, size_t *ret_size)
{
    char *data = NULL;
    size_t size = 0;
    size_t got = 1;
    while (got > 0 && size <= size_max) {
        char *more = realloc(data, size + READ_SIZE);
        if (!more) {
            free(data);
            return cli_fail("standard input", SPN_E_NOMEM, NULL);
        }
        data = more;
        got = fread(data + size, 1, READ_SIZE, stdin);
        size += got;
    }
    if (ferror(stdin)) {
        free(data);
        return cli_fail_errno("standard input");
    }
    *ret_size = size > 0 && data[size - 1] == '\n' ? size - 1 : size;
    *ret_data = data;
    return CLI_OK;
}

static int make_id(char text[2 * ID_BYTES + 1])
{
    uint8_t bytes[ID_BYTES];
    if (random_fill(bytes, sizeof(bytes)) != SPN_OK)
        return cli_fail_errno("random bytes");
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return CLI_OK;
}

static int tell(struct spn_bytes session, const struct spn_published *published)
{
    char what[CLI_TEXT_SIZE];
    cli_session_words(session, what);
    if (published->result == SPN_CONFLICT) {
        cli_error(what,
                  "the session has this id already, and data, type, closing or reason differ; "
                  "nothing was stored");
        return CLI_FAILURE;
    }
    if (published->result == SPN_REFUSED)
        return cli_fail(what, published->code, NULL);
    if (published->result == SPN_DUPLICATE)
        cli_warn(what, "the event was stored already");
    printf("%.*s\n", (int)published->id.size, (const char *)published->id.data);
    return CLI_OK;
}

static int publish_event(struct publish *publish, spn_client *client, struct spn_bytes session,
                         struct spn_bytes data)
{
    struct spn_event event = SPN_EVENT_INIT;
    const struct spn_published *published;
    event.id = publish->id;
    event.type = publish->type;
    event.note = publish->note;
    event.data = data;
    spn_err err = spn_publish_once_with(client, session, &event, &publish->options, SPN_DURABLE,
                                        cli_timeout_ms(&publish->common), &published);
    if (err == SPN_OK)
        return tell(session, published);
    if (err != SPN_E_TIMEOUT)
        return cli_fail_client("event", client, err);
    char why[CLI_TEXT_SIZE];
    snprintf(why, sizeof(why), "it may be stored: repeat it with --id %.*s",
             event.id.size < 256 ? (int)event.id.size : 256, (const char *)event.id.data);
    int exit_code = cli_fail("sidecar", err, why);
    cli_tell_trouble(client);
    return exit_code;
}

int verb_publish(int argc, char **argv)
{
    struct publish publish = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 2},
        .common = {.timeout_ms = -1},
        .options = {.size = sizeof(struct spn_publish_options)},
    };
    char id[2 * ID_BYTES + 1];
    char *input = NULL;
    spn_client *client;
    cli_parse(&argp, argc, argv, &publish);
    if (publish.options.reason.size > 0 && !publish.options.closes)
        cli_usage("--reason", "needs --close");
    struct spn_bytes session = cli_session(publish.words.at[0]);
    const char *word = publish.words.count > 1 ? publish.words.at[1] : "-";
    struct spn_bytes data = {word, strlen(word)};
    int exit_code = publish.id.size > 0 ? CLI_OK : make_id(id);
    if (exit_code != CLI_OK)
        return exit_code;
    if (publish.id.size == 0)
        publish.id = (struct spn_bytes){id, sizeof(id) - 1};
    exit_code = cli_connect(&publish.common, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    if (strcmp(word, "-") == 0) {
        exit_code = read_all(spn_client_data_max(client), &input, &data.size);
        data.data = input;
    }
    if (exit_code == CLI_OK)
        exit_code = publish_event(&publish, client, session, data);
    free(input);
    spn_client_close(client);
    return exit_code;
}
