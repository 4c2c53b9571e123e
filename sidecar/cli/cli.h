/* SPDX-License-Identifier: Apache-2.0 */
/* cli: shared by the verbs of `sponson`: their table, exit codes, errors, common options.
 *
 * A verb is one function in a file of its own: it parses its words, does its work, prints, and
 * returns an exit code. An error is printed once, where its cause is known, and the exit code is
 * returned up.
 *
 * Threads  one, except for the threads that `bench` starts.
 */
#ifndef SPN_CLI_H
#define SPN_CLI_H

#include <argp.h>
#include <jansson.h>

#include "sponson.h"

#include "cli/event_text.h"
#include "base/out.h"

#define CLI_EXIT_MAP(X)                                                                            \
    X(OK, 0, "done")                                                                               \
    X(FAILURE, 1, "failed; stderr has the reason")                                                 \
    X(USAGE, 2,                                                                                    \
      "the command line is wrong, a session or event id is invalid, or the sockets may not be "    \
      "opened")                                                                                    \
    X(NOT_FOUND, 3, "no such session, event id, file or database")                                 \
    X(TIMEOUT, 4, "a sidecar listens, but did not answer in time")                                 \
    X(NO_SIDECAR, 5, "no sidecar listens there")

enum cli_exit {
#define CLI_EXIT_ENUM(name, number, text) CLI_##name = (number),
    CLI_EXIT_MAP(CLI_EXIT_ENUM)
#undef CLI_EXIT_ENUM
};

/* X(function, name, words, text) */
#define CLI_VERB_MAP(X)                                                                            \
    X(publish, "publish", "SESSION [DATA]", "store one event")                                     \
    X(record, "record", "SESSION [FILE]", "store a text/event-stream")                             \
    X(replay, "replay", "SESSION", "print a session's events")                                     \
    X(tail, "tail", "SESSION", "print the events of a session, or of all, as they are stored")     \
    X(last, "last", "SESSION", "print a session's last event id")                                  \
    X(info, "info", "SESSION", "print what is known about a session")                              \
    X(sessions, "sessions", "", "list the sessions")                                               \
    X(open, "open", "SESSION", "open a session with attributes, or set those of one")              \
    X(touch, "touch", "SESSION", "keep a session from its idle close and its time to live")        \
    X(close, "close", "SESSION", "close a session: it accepts no more events")                     \
    X(delete, "delete", "SESSION", "delete a session with all its events")                         \
    X(token, "token", "SESSION", "make a token for a session, for use over HTTP")                  \
    X(dump, "dump", "", "print the whole log, read directly from the database")                    \
    X(clients, "clients", "", "list the processes that are connected to the sidecar")              \
    X(top, "top", "", "show what the sidecar does now, on the whole screen")                       \
    X(backup, "backup", "FILE", "copy the database, while the sidecar goes on")                    \
    X(restore, "restore", "FILE", "make a database of a backup, in an empty directory")            \
    X(verify, "verify", "[PATH]", "check every page and value of a database or a backup")          \
    X(salvage, "salvage", "OLD NEW", "make a database of what is left of a damaged one")           \
    X(upgrade, "upgrade", "", "bring a database to the format of this version")                    \
    X(health, "health", "", "print the sidecar's status")                                          \
    X(stats, "stats", "", "print the sidecar's counters")                                          \
    X(bench, "bench", "WHAT",                                                                      \
      "measure this machine: publish, latency, oneshot, replay, fanout, follow, sessions")

#define CLI_VERB_DECLARE(function, name, words, text) int verb_##function(int argc, char **argv);
CLI_VERB_MAP(CLI_VERB_DECLARE)
#undef CLI_VERB_DECLARE

/* -- errors ------------------------------------------------------------------------------------ */

/* Sets the verb that errors name; NULL: none yet. */
void cli_begin(const char *verb);
const char *cli_verb_name(void); /* "": none yet */

/* "sponson VERB: what: why", one line on stderr. why NULL: what is a whole sentence. */
void cli_error(const char *what, const char *why);
/* The same for a warning, which does not end the verb. */
void cli_warn(const char *what, const char *why);

/* Success, on standard output, and only if that is a terminal: a pipe gets results alone. */
void cli_say(const char *sentence);
void cli_say_done(const char *done, const char *what);

/* Room for a sentence that names something. */
enum { CLI_TEXT_SIZE = 512 };

/* cli_error, for an error that the library or the journal returned. detail: text that adds to the
 * code's own, or NULL or "". Returns the exit code. */
int cli_fail(const char *what, spn_err err, const char *detail);
int cli_fail_errno(const char *what);
/* cli_fail, for an error of a call on this client. After a timeout it requests the sidecar's
 * health, which may show the reason. */
int cli_fail_client(const char *what, spn_client *client, spn_err err);
/* Prints a warning if the sidecar reports that it is degraded. */
void cli_tell_trouble(spn_client *client);

/* "session 'name'", for `what`. Returns ret_text. */
const char *cli_session_words(struct spn_bytes session, char ret_text[CLI_TEXT_SIZE]);
/* cli_fail for a session that was named on the command line. */
int cli_fail_session(struct spn_bytes session, spn_err err);
/* cli_fail_client for it: a call that asks about the session, and may fail for its socket. */
int cli_fail_asking(struct spn_bytes session, spn_client *client, spn_err err);

/* cli_error, then exits with CLI_USAGE: for option parsers, which have nothing to clean up. */
_Noreturn void cli_usage(const char *what, const char *why);

/* -- options ----------------------------------------------------------------------------------- */

enum { CLI_TIMEOUT_MS = 5000 };

/* The first keys of options. They are above the characters, so that no option has a one-letter
 * form. Otherwise every verb would have to keep that letter free, or use it for the same option. */
enum { CLI_KEY = 1000, CLI_COMMON_KEY = 2000 };

/* Options of the verbs that connect to a sidecar, and the child parser that fills them. */
struct cli_common {
    const char *socket_dir;   /* NULL: the library's search */
    int timeout_ms;           /* -1: not given */
    bool at_once;             /* do not wait for a sidecar that is not there */
    const char *timeout_help; /* NULL: the usual text: how long to wait for an answer */
};

extern const struct argp cli_common_argp;

/* The words of a command line that are not options. */
struct cli_words {
    const char *name; /* of the first word, for the error when it is missing */
    const char *at[2];
    size_t count;
    size_t count_min;
    size_t count_max;
};

/* Runs a verb's parser. Its errors are one line each and end the process. */
void cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/* Every verb's parser calls this for keys that it does not know itself. words: NULL: none allowed.
 * common: NULL: no child parser. */
error_t cli_parse_rest(int key, char *arg, struct argp_state *state, struct cli_words *words,
                       struct cli_common *common);

/* The argument of an option that takes a life. Another text is a usage error. */
struct spn_life cli_life(const char *option, const char *text);

/* How long to wait, and a span of a session. Another text is a usage error. */
int cli_wait_ms(const char *option, const char *text);
uint64_t cli_span_ms(const char *option, const char *text);
/* The argument of --since, in milliseconds since 1970. Another text is a usage error. */
uint64_t cli_since_ms(const char *text);
uint64_t cli_count(const char *option, const char *text, uint64_t min, uint64_t max);
enum event_format cli_format(const char *text);

/* Words of an event, from the command line. Another text is a usage error, which names `what`. */
typedef spn_err cli_check(struct spn_bytes bytes);
struct spn_bytes cli_text(const char *what, const char *text, cli_check *check);
struct spn_bytes cli_session(const char *text);
struct spn_bytes cli_event_id(const char *text);

/* Part of a session id, or a place between two: any bytes, but at most as many as an id can have.
 */
struct spn_bytes cli_name_part(const char *option, const char *text);

/* -- the sidecar ------------------------------------------------------------------------------- */

int cli_timeout_ms(const struct cli_common *common);

/* Prints what went wrong; returns an exit code. */
int cli_connect(const struct cli_common *common, spn_client **ret_client);

/* -- output ------------------------------------------------------------------------------------ */

/* Flushes, and prints an error if that fails. Returns the worse of both exit codes. */
int cli_finish(struct out *out, int exit_code);

/* Puts one compact line. Takes the reference. NULL, which jansson returns when out of memory, is
 * reported. */
int cli_put_json(struct out *out, json_t *json);

/* A string. Bytes that are not UTF-8 become base64. Then cli_json_encoding of the same bytes is the
 * string "base64"; otherwise it is NULL. It is for a second key, which json_pack leaves out with
 * "s:o*" if NULL. */
json_t *cli_json_bytes(struct spn_bytes bytes);
json_t *cli_json_encoding(struct spn_bytes bytes);
json_t *cli_json_time(uint64_t time_ms);

#endif
