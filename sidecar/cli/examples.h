/* SPDX-License-Identifier: Apache-2.0 */
/* examples: of each verb, for its help.
 *
 * A test runs every line in a shell beside an empty sidecar: verb by verb, those that store first.
 * So each must work after those before it, and end.
 */
#ifndef SPN_CLI_EXAMPLES_H
#define SPN_CLI_EXAMPLES_H

/* X(verb, line, what it does) */
#define CLI_EXAMPLE_MAP(X)                                                                         \
    X("open", "sponson open chat/42 --ttl 7d --idle-close 10m",                                    \
      "a session that closes after ten silent minutes and is deleted after a week")                \
    X("publish", "sponson publish chat/42 'Hello, world'", "store an event; its id is printed")    \
    X("publish", "date | sponson publish chat/42 --type clock --id tick-1",                        \
      "data from a pipe, with an id of your own: a repetition is stored once")                     \
    X("record", "printf 'data: one\\n\\ndata: two\\n\\n' | sponson record chat/43",                \
      "store an event stream, as of `curl -fsSN URL`")                                             \
    X("record", "printf 'data: end\\n\\n' | sponson record chat/44 --ids prefix=x- --close",       \
      "ids that repeat elsewhere get a prefix; the session ends with the input")                   \
    X("replay", "sponson replay chat/42", "all events that are stored, a JSON object each")        \
    X("replay", "sponson replay chat/42 --after tick-1 --format sse",                              \
      "what came after an event, as an event stream")                                              \
    X("replay", "sponson replay chat/42 --since 10m", "what came in the last ten minutes")         \
    X("tail", "sponson tail chat/44 --earliest", "all events, then each as it comes")              \
    X("tail", "sponson tail --prefix chat/ --since 1h --exit-when-caught-up",                      \
      "what happened to sessions whose names begin so, in the last hour")                          \
    X("last", "sponson last chat/42", "the id after which an app continues")                       \
    X("info", "sponson info chat/42", "all that is known of a session")                            \
    X("sessions", "sponson sessions --sort bytes --limit 10", "the ten largest")                   \
    X("sessions", "sponson sessions --state live --older-than 30d",                                \
      "those still open that had no event for a month")                                            \
    X("sessions", "sponson sessions --prefix chat/ --json", "an object for each, for a script")    \
    X("touch", "sponson touch chat/42", "it is not idle, although no event comes")                 \
    X("close", "sponson close chat/42 --reason done", "it takes no more events")                   \
    X("delete", "sponson delete chat/43 --yes", "one session, without being asked")                \
    X("delete", "sponson delete --prefix chat/ --closed --older-than 30d --dry-run",               \
      "what would be deleted; without --dry-run it is, after a question")                          \
    X("token", "sponson token --new-key first > keys", "a key for the gateway's --key-file")       \
    X("token", "sponson token chat/42 --rights r --for 15m --key-file keys",                       \
      "a token to read a session over HTTP")                                                       \
    X("dump", "sponson dump --data-dir \"$SPONSON_DATA_DIR\" --since 1h",                          \
      "the last hour of the whole log, also while no sidecar runs")                                \
    X("clients", "sponson clients", "who publishes and reads, and how far behind")                 \
    X("top", "sponson top --once --sort bytes --limit 10",                                         \
      "rates, queue, and the ten largest sessions, for a pipe; without --once on the screen")      \
    X("backup", "sponson backup copy.mdb", "a copy of this moment, while the sidecar goes on")     \
    X("restore", "sponson restore copy.mdb --data-dir restored", "a database of a backup")         \
    X("verify", "sponson verify copy.mdb", "is every page and value of a backup whole?")           \
    X("salvage", "sponson salvage restored salvaged", "what is left of a damaged database")        \
    X("upgrade", "sponson upgrade", "has the database this version's format?")                     \
    X("health", "sponson health --wait 10", "wait until the sidecar serves")                       \
    X("stats", "sponson stats --json", "one object, for a script")                                 \
    X("bench", "sponson bench publish --count 1000", "how fast is this machine?")                  \
    X("bench", "sponson bench latency --count 1000 --rate 1000 --json",                            \
      "how long until an event is on disk, at a thousand a second?")

#endif
