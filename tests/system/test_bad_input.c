/* SPDX-License-Identifier: Apache-2.0 */
/* test_bad_input: what is wrong is named, with a stated exit code, and nothing is harmed.
 *
 * The tables are command lines. In them `@` at the beginning of a word, or behind a `=`, is the
 * stage's directory. Beside all of it a sidecar with a session in it goes on serving. */
#include <grp.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "store/record_meta.h"
#include "sponson.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    WORDS_MAX = 10,
    PATH_LIMIT = 107, /* of sun_path, without its NUL */
    NOBODY = 65534,
    ASK_MS = 10000,
};

struct row {
    const char *name;
    const char *words[WORDS_MAX];
    int code;
    const char *says[3]; /* all of them are in its message */
};

/* -- running a row ----------------------------------------------------------------------------- */

static const char *expand(struct stage *stage, const char *word)
{
    const char *at = strchr(word, '@');
    if (!at || (at > word && at[-1] != '='))
        return word;
    return stage_format(stage, "%.*s%s%s", (int)(at - word), word, stage->dir, at + 1);
}

static struct outcome run_program(struct stage *stage, const char *program,
                                  const char *const *given, void (*prepare)(void))
{
    const char *words[WORDS_MAX + 2] = {program};
    for (size_t i = 0; i < WORDS_MAX && given[i]; i++)
        words[i + 1] = expand(stage, given[i]);
    struct process_options options = {.argv = words, .prepare = prepare};
    return stage_end(stage, stage_process(stage, &options), until_in(STAGE_WAIT_MS));
}

static void expect_row(struct stage *stage, const struct row *row, const struct outcome *done)
{
    if (done->code != row->code)
        fail_msg("%s: exit code %d, not %d; it said: %s", row->name, done->code, row->code,
                 done->err);
    assert_int_equal(done->output.size, 0);
    for (size_t i = 0; i < COUNT(row->says) && row->says[i]; i++)
        if (!strstr(done->err, expand(stage, row->says[i])))
            fail_msg("%s: no \"%s\" in: %s", row->name, row->says[i], done->err);
}

static void expect_rows(struct stage *stage, const char *program, const struct row *rows,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct outcome done = run_program(stage, program, rows[i].words, NULL);
        expect_row(stage, &rows[i], &done);
    }
}

/* -- the bystander ----------------------------------------------------------------------------- */

static const char stream[] = "id: 1\ndata: one\n\nid: 2\ndata: two\n\n";

static void record(struct stage *stage, const char *session)
{
    const char *words[] = {"record", session, NULL};
    struct outcome done =
        stage_run_words(stage, words, (struct spn_bytes){stream, sizeof(stream) - 1});
    stage_expect_code(&done, 0);
}

static struct process *start_bystander(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record(stage, "bystander");
    return daemon;
}

static void expect_bystander_well(struct stage *stage, struct process *daemon)
{
    assert_true(process_runs(daemon));
    struct outcome done = stage_run(stage, "replay", "bystander", "--format", "sse");
    stage_expect_code(&done, 0);
    assert_string_equal(done.out, stream);
    record(stage, "afterwards");
    done = stage_run(stage, "sessions", "--json");
    assert_int_equal(done.code, 0);
    size_t sessions = 0;
    for (const char *at = done.out; *at; at++)
        sessions += *at == '\n';
    assert_int_equal(sessions, 2); /* nothing else got in */
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- the daemon's command line ----------------------------------------------------------------- */

#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

static const struct row daemon_rows[] = {
    {"unknown option", {"--frobnicate"}, 2, {"--frobnicate"}},
    {"argument too many", {"extra"}, 2, {"extra"}},
    {"option without its value", {"--data-dir"}, 2, {"--data-dir"}},
    {"empty directory", {"--data-dir="}, 2, {"--data-dir"}},
    {"window of 0", {"--window=0"}, 2, {"--window", "0"}},
    {"window of words", {"--window=many"}, 2, {"--window", "many"}},
    {"window too large", {"--window=16385"}, 2, {"--window", "16385", "16384"}},
    {"negative number", {"--queue-events=-1"}, 2, {"--queue-events", "-1"}},
    {"number out of all bounds", {"--quota=99999999999999999999"}, 2, {"--quota", "too large"}},
    {"unit out of all bounds", {"--quota=99999999999G"}, 2, {"--quota", "too large"}},
    {"time out of all bounds", {"--session-ttl=99999999999999999999"}, 2, {"is too long"}},
    {"event data over the hard limit", {"--event-data-max=17M"}, 2, {"--event-data-max", "17M"}},
    {"mode that is not octal", {"--socket-mode=0899"}, 2, {"--socket-mode", "0899"}},
    {"mode of writers that is too large", {"--ingest-mode=1777"}, 2, {"--ingest-mode", "1777"}},
    {"mode of readers that is negative", {"--read-mode=-1"}, 2, {"--read-mode", "-1"}},
    {"group of writers that is none", {"--ingest-group=no-such-group"}, 2, {"--ingest-group"}},
    {"group of readers that is empty", {"--read-group="}, 2, {"--read-group"}},
    {"group that is no number", {"--read-group=4294967295"}, 2, {"--read-group", "4294967295"}},
    {"missing data directory",
     {"--data-dir=@/nowhere", "--socket-dir=@/run2"},
     1,
     {"@/nowhere", "No such file"}},
    {"missing socket directory",
     {"--data-dir=@/data2", "--socket-dir=@/nowhere"},
     1,
     {"@/nowhere", "No such file"}},
    {"file in place of the data directory",
     {"--data-dir=@/file", "--socket-dir=@/run2"},
     1,
     {"@/file", "not a directory"}},
    {"file in place of the socket directory",
     {"--data-dir=@/data2", "--socket-dir=@/file"},
     1,
     {"@/file", "not a directory"}},
    {"unknown group",
     {"--data-dir=@/data2", "--socket-dir=@/run2", "--socket-group=no-such-group"},
     2,
     {"no-such-group"}},
    {"data directory in use", {"--data-dir=@/data", "--socket-dir=@/run2"}, 1, {"@/data", "pid="}},
    {"socket directory in use", {"--data-dir=@/data2", "--socket-dir=@/run"}, 1, {"@/run", "pid="}},
    {"socket path too long",
     {"--data-dir=@/data2", "--socket-dir=@/" X100},
     1,
     {"length=", "limit=107", X100}},
};

static void daemon_names_what_is_wrong(struct stage *stage)
{
    struct process *bystander = start_bystander(stage);
    stage_make_dir(stage, "data2");
    stage_make_dir(stage, "run2");
    stage_make_dir(stage, X100);
    stage_write_file(stage, "file", (struct spn_bytes){"not a directory", 15});
    expect_rows(stage, stage_sponsond(), daemon_rows, COUNT(daemon_rows));
    expect_bystander_well(stage, bystander);
}

/* The longest path that fits is taken, one more is not. */
static void socket_path_limit_is_exact(struct stage *stage)
{
    size_t room = PATH_LIMIT - strlen(stage->dir) - strlen("/") - strlen("/ingest.sock");
    char name[PATH_LIMIT + 2];
    memset(name, 'd', sizeof(name));
    name[room + 1] = '\0';
    const char *too_long = stage_make_dir(stage, name);
    struct stage_daemon options = {.socket_dir = too_long};
    assert_int_equal(process_wait(stage_begin(stage, &options, NULL), until_in(STAGE_WAIT_MS)), 1);
    assert_non_null(strstr(stage_log(stage), "length=108 limit=107"));
    name[room] = '\0';
    options.socket_dir = stage_make_dir(stage, name);
    stage_start(stage, &options);
    struct outcome health = stage_run(stage, "health", "--socket-dir", options.socket_dir);
    stage_expect_code(&health, 0);
}

static void become_nobody(void)
{
    gid_t group = NOBODY;
    if (setgroups(1, &group) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) != 0)
        _exit(PROCESS_CANNOT_RUN);
}

static const struct row unwritable_rows[] = {
    {"unwritable data directory",
     {"--data-dir=@/locked", "--socket-dir=@/open"},
     1,
     {"@/locked", "not writable"}},
    {"unwritable socket directory",
     {"--data-dir=@/open", "--socket-dir=@/locked"},
     1,
     {"@/locked", "not writable"}},
};

/* For root every directory is writable: the daemon is run as somebody else then. */
static void unwritable_directory_is_named(struct stage *stage)
{
    void (*prepare)(void) = geteuid() == 0 ? become_nobody : NULL;
    assert_int_equal(chmod(stage->dir, 0755), 0);
    assert_int_equal(chmod(stage_make_dir(stage, "locked"), 0555), 0);
    assert_int_equal(chmod(stage_make_dir(stage, "open"), 0777), 0);
    for (size_t i = 0; i < COUNT(unwritable_rows); i++) {
        struct outcome done =
            run_program(stage, stage_sponsond(), unwritable_rows[i].words, prepare);
        if (done.code == PROCESS_CANNOT_RUN) {
            print_message("skipped: nobody but root can run %s\n", stage_sponsond());
            skip();
        }
        expect_row(stage, &unwritable_rows[i], &done);
    }
}

/* -- databases --------------------------------------------------------------------------------- */

static void put_foreign(MDB_txn *txn, const char *table, unsigned flags)
{
    MDB_dbi dbi;
    MDB_val key = {5, "hello"};
    MDB_val value = {5, "world"};
    uint64_t number = 7;
    if (flags & MDB_INTEGERKEY)
        key = (MDB_val){sizeof(number), &number};
    assert_int_equal(mdb_dbi_open(txn, table, flags | MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

/* A database of LMDB that another program made, perhaps with tables that are named like ours. */
static void make_foreign(const char *dir, bool like_ours)
{
    MDB_env *env;
    MDB_txn *txn;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    put_foreign(txn, like_ours ? "log" : "users", like_ours ? MDB_INTEGERKEY : 0);
    put_foreign(txn, like_ours ? "meta" : "orders", 0);
    if (!like_ours)
        put_foreign(txn, NULL, 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

/* Our own database, as a later version would leave it. */
static void make_newer(struct stage *stage, const char *dir)
{
    static const char key_text[] = "sponson";
    struct stage_daemon options = {.data_dir = dir, .socket_dir = stage_path(stage, "run2")};
    assert_int_equal(stage_stop(stage_start(stage, &options)), 0);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    MDB_val key = {sizeof(key_text), (void *)(uintptr_t)key_text};
    MDB_val value;
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    struct record_meta meta;
    struct spn_bytes bytes = {value.mv_data, value.mv_size};
    assert_int_equal(record_get_meta(bytes, &meta), SPN_OK);
    meta.format = RECORD_FORMAT + 1;
    uint8_t newer[RECORD_META_SIZE];
    record_put_meta(newer, &meta);
    value = (MDB_val){sizeof(newer), newer};
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static const char text_file[] = "Dear diary,\n\nthis is no database at all.\n";

static void make_databases(struct stage *stage)
{
    stage_make_dir(stage, "run2");
    stage_make_dir(stage, "text");
    stage_write_file(stage, "text/data.mdb", (struct spn_bytes){text_file, sizeof(text_file) - 1});
    char *page = stage_keep(stage, calloc(1, 65536));
    stage_make_dir(stage, "empty");
    stage_write_file(stage, "empty/data.mdb", (struct spn_bytes){text_file, 0});
    stage_make_dir(stage, "zeros");
    stage_write_file(stage, "zeros/data.mdb", (struct spn_bytes){page, 65536});
    make_foreign(stage_make_dir(stage, "foreign"), false);
    make_foreign(stage_make_dir(stage, "alike"), true);
    make_newer(stage, stage_make_dir(stage, "newer"));
}

struct database_row {
    const char *name;
    const char *code;
    const char *says;
};

static const struct database_row databases[] = {
    {"text", "SPN_E_CORRUPT", "not a database of this program"},
    {"zeros", "SPN_E_CORRUPT", "not a database of this program"},
    {"foreign", "SPN_E_CORRUPT", "not a database of this program"},
    {"alike", "SPN_E_CORRUPT", "not a database of this program"},
    {"newer", "SPN_E_NEWER_FORMAT", "newer format"},
    {"empty", "SPN_E_CORRUPT", "data.mdb: empty: "},
};

/* Neither the daemon nor the command line takes it, and both leave it as it is. */
static void expect_database_refused(struct stage *stage, const struct database_row *row)
{
    const char *dir = stage_path(stage, row->name);
    const char *file = stage_format(stage, "%s/data.mdb", dir);
    struct spn_bytes before = stage_read_file(stage, file);
    const char *words[WORDS_MAX] = {"--data-dir", dir, "--socket-dir", stage_path(stage, "run2")};
    struct row daemon = {.name = row->name, .code = 1, .says = {dir, row->code, row->says}};
    struct outcome done = run_program(stage, stage_sponsond(), words, NULL);
    expect_row(stage, &daemon, &done);
    struct row dump = {.name = row->name, .code = 1, .says = {dir, row->says}};
    done = stage_run(stage, "dump", "--data-dir", dir);
    expect_row(stage, &dump, &done);
    done = stage_run(stage, "sessions", "--data-dir", dir);
    expect_row(stage, &dump, &done);
    if (strstr(done.err, "damaged"))
        fail_msg("%s is called damaged: %s", row->name, done.err);
    if (!event_bytes_same(stage_read_file(stage, file), before))
        fail_msg("%s was changed", file);
}

static void strange_databases_are_left_alone(struct stage *stage)
{
    struct process *bystander = start_bystander(stage);
    make_databases(stage);
    for (size_t i = 0; i < COUNT(databases); i++)
        expect_database_refused(stage, &databases[i]);
    expect_bystander_well(stage, bystander);
}

/* What is no file may not even be waited for. */
static void a_pipe_is_no_database(struct stage *stage)
{
    const char *dir = stage_make_dir(stage, "pipe");
    const char *file = stage_format(stage, "%s/data.mdb", dir);
    const char *says = stage_format(stage, "sponson dump: %s: not a regular file\n", file);
    assert_int_equal(mkfifo(file, 0600), 0);
    struct outcome done = stage_run(stage, "dump", "--data-dir", dir);
    stage_expect_code(&done, 1);
    assert_string_equal(done.err, says);
}

/* -- the command line -------------------------------------------------------------------------- */

#define X256 X100 X100 X10 X10 X10 X10 X10 "xxxxxx"
#define X1024 X256 X256 X256 X256
#define X4097 X1024 X1024 X1024 X1024 "x"

static const struct row cli_rows[] = {
    {"no verb", {NULL}, 2, {"sponson"}},
    {"unknown verb", {"frobnicate"}, 2, {"frobnicate"}},
    {"unknown option", {"last", "s", "--frobnicate"}, 2, {"--frobnicate"}},
    {"session missing", {"last"}, 2, {"SESSION"}},
    {"session empty", {"record", ""}, 2, {"session", "1-255 bytes"}},
    {"session too long", {"record", X256}, 2, {"session", X100, "1-255 bytes"}},
    {"session with a line end", {"record", "a\nb"}, 2, {"a\\x0ab", "control characters"}},
    {"session with an escape", {"last", "a\033[2J"}, 2, {"a\\x1b[2J", "control characters"}},
    {"session with a C1 character", {"replay", "a\xc2\x9b"}, 2, {"control characters"}},
    {"session that is no UTF-8", {"replay", "a\xff"}, 2, {"a\\xff", "UTF-8"}},
    {"session empty in a dump", {"dump", "--session", ""}, 2, {"session"}},
    {"event id too long",
     {"replay", "bystander", "--after", X4097},
     2,
     {"event id", X10, "too long"}},
    {"event id with an LF", {"replay", "bystander", "--after", "a\nb"}, 2, {"event id", "a\\x0ab"}},
    {"event id with a CR", {"replay", "bystander", "--after", "a\rb"}, 2, {"event id", "a\\x0db"}},
    {"unknown session", {"last", "nobody"}, 3, {"nobody", "no such session"}},
    {"unknown session replayed", {"replay", "nobody"}, 3, {"nobody", "no such session"}},
    {"unknown event id", {"replay", "bystander", "--after", "9"}, 3, {"'9'", "no such event id"}},
    {"missing input", {"record", "s", "@/nowhere"}, 3, {"@/nowhere"}},
    {"input that is a directory", {"record", "s", "@"}, 1, {"@", "directory"}},
    {"missing data directory", {"dump", "--data-dir=@/nowhere"}, 3, {"@/nowhere"}},
    {"data directory without a database", {"dump", "--data-dir=@/run"}, 3, {"@/run"}},
    {"socket path too long", {"health", "--socket-dir=@/" X100}, 2, {"107", X100}},
};

static void command_line_names_what_is_wrong(struct stage *stage)
{
    struct process *bystander = start_bystander(stage);
    expect_rows(stage, stage_sponson(), cli_rows, 1);
    for (size_t i = 1; i < COUNT(cli_rows); i++) {
        struct outcome done = run_program(stage, stage_sponson(), cli_rows[i].words, NULL);
        /* A recorder says what became of its input all the same. */
        if (strcmp(cli_rows[i].words[0], "record") == 0)
            done.output.size = 0;
        expect_row(stage, &cli_rows[i], &done);
    }
    expect_bystander_well(stage, bystander);
}

static const struct row lonely_rows[] = {
    {"record", {"record", "s", "/dev/null", "--timeout=0.3"}, 5, {"@/run", "no sidecar"}},
    {"replay", {"replay", "s", "--timeout=0.3"}, 5, {"@/run", "no sidecar"}},
    {"last", {"last", "s", "--timeout=0.3"}, 5, {"@/run", "no sidecar"}},
    {"sessions", {"sessions", "--timeout=0.3"}, 5, {"@/run", "no sidecar"}},
    {"health", {"health", "--timeout=0.3"}, 5, {"@/run", "no sidecar"}},
    {"health --wait", {"health", "--wait=0.3"}, 5, {"@/run", "no sidecar"}},
    {"stats", {"stats", "--timeout=0.3"}, 5, {"@/run", "no sidecar"}},
    {"directory that is not there",
     {"last", "s", "--socket-dir=@/nowhere", "--timeout=0.3"},
     5,
     {"@/nowhere", "no sidecar"}},
};

static void no_sidecar_is_told(struct stage *stage)
{
    expect_rows(stage, stage_sponson(), lonely_rows, COUNT(lonely_rows));
    /* Sockets that a killed one left behind are nobody's. */
    process_kill(stage_start(stage, NULL));
    expect_rows(stage, stage_sponson(), lonely_rows, COUNT(lonely_rows));
}

/* -- events ------------------------------------------------------------------------------------ */

struct event_row {
    const char *name;
    const char *session;
    const char *id;
    size_t id_size;
    const char *type;
    const char *data;
    size_t data_size;
    spn_err err;
};

static char data_over[(4 << 20) + 1];

static const struct event_row event_rows[] = {
    {"session empty", "", "1", 1, "", "d", 1, SPN_E_BAD_SESSION},
    {"session too long", X256, "1", 1, "", "d", 1, SPN_E_BAD_SESSION},
    {"session with a control character", "a\001", "1", 1, "", "d", 1, SPN_E_BAD_SESSION},
    {"id with a NUL", "s", "a\0b", 3, "", "d", 1, SPN_E_BAD_ID},
    {"id with a CR", "s", "a\rb", 3, "", "d", 1, SPN_E_BAD_ID},
    {"id with an LF", "s", "a\nb", 3, "", "d", 1, SPN_E_BAD_ID},
    {"id too long", "s", X4097, 4097, "", "d", 1, SPN_E_BAD_ID},
    {"type too long", "s", "1", 1, X256, "d", 1, SPN_E_BAD_TYPE},
    {"type with an LF", "s", "1", 1, "a\nb", "d", 1, SPN_E_BAD_TYPE},
    {"data with a CR", "s", "1", 1, "", "a\rb", 3, SPN_E_BAD_DATA},
    {"data over the limit", "s", "1", 1, "", data_over, sizeof(data_over), SPN_E_EVENT_TOO_LARGE},
};

static uint64_t batches_taken(struct stage *stage)
{
    return event_stat(stage, "sponson_batches_total");
}

/* Told by the library at once: no ticket is used and nothing is sent. */
static void library_refuses_before_it_sends(struct stage *stage)
{
    spn_client *client;
    spn_producer *producer;
    struct process *bystander = start_bystander(stage);
    uint64_t batches = batches_taken(stage);
    memset(data_over, 'x', sizeof(data_over));
    assert_int_equal(spn_client_open(&client, NULL, ASK_MS, NULL, 0), SPN_OK);
    assert_int_equal(spn_client_data_max(client), sizeof(data_over) - 1);
    assert_int_equal(spn_producer_open(&producer, client, NULL, ASK_MS), SPN_OK);
    for (size_t i = 0; i < COUNT(event_rows); i++) {
        const struct event_row *row = &event_rows[i];
        struct spn_event event = SPN_EVENT_INIT;
        event.id = (struct spn_bytes){row->id, row->id_size};
        event.type = spn_text(row->type);
        event.data = (struct spn_bytes){row->data, row->data_size};
        spn_err err = spn_publish(producer, spn_text(row->session), &event, NULL);
        if (err != row->err)
            fail_msg("%s: %s", row->name, spn_err_name(err));
        if (spn_client_detail(client)[0] == '\0')
            fail_msg("%s: no words about it", row->name);
    }
    assert_int_equal(spn_producer_counters(producer)->taken, 0);
    assert_int_equal(spn_producer_close(producer, ASK_MS, NULL), SPN_OK);
    spn_client_close(client);
    assert_int_equal(batches_taken(stage), batches);
    expect_bystander_well(stage, bystander);
}

/* A recorder tells which event it was, stores the others, and fails in the end. */
static void recorder_tells_of_what_is_too_large(struct stage *stage)
{
    struct stage_daemon options = {.more = {"--event-data-max", "1000"}};
    struct event_list got = EVENT_LIST_INIT;
    stage_start(stage, &options);
    char *text = stage_keep(stage, malloc(4096));
    int size = snprintf(
        text, 4096, "id: 1\ndata: small\n\nid: 2\ndata: %01001d\n\nid: 3\ndata: %01000d\n\n", 0, 0);
    const char *words[] = {"record", "s", NULL};
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){text, (size_t)size});
    stage_expect_code(&done, 1);
    assert_int_equal(event_json_number(done.out, "events"), 3);
    assert_int_equal(event_json_number(done.out, "stored"), 2);
    assert_int_equal(event_json_number(done.out, "refused"), 1);
    if (!strstr(done.err, "event 2") || !strstr(done.err, "1000 bytes"))
        fail_msg("which event, and which limit? %s", done.err);
    done = stage_run(stage, "dump", "--session", "s");
    event_list_add_json(&got, done.output, NULL);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.items[1].data.size, 1000);
    event_list_release(&got);
}

/* The quota keeps room for two events of the largest size. */
static void quota_limits_the_size_of_events(struct stage *stage)
{
    struct stage_daemon options = {.more = {"--quota", "4M"}};
    char text[] = "id: 1\ndata: small\n\n";
    const char *words[] = {"record", "s", NULL};
    enum { LIMIT = 1 << 20 };
    char *large = stage_keep(stage, malloc(LIMIT + 64));
    int head = snprintf(large, 64, "id: 2\ndata: ");
    memset(large + head, '.', LIMIT + 1);
    memset(large + head + LIMIT + 1, '\n', 2);
    stage_start(stage, &options);
    spn_client *client;
    assert_int_equal(spn_client_open(&client, NULL, ASK_MS, NULL, 0), SPN_OK);
    assert_int_equal(spn_client_data_max(client), LIMIT);
    spn_client_close(client);
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){text, sizeof(text) - 1});
    stage_expect_code(&done, 0);
    done = stage_run_words(stage, words, (struct spn_bytes){large, (size_t)head + LIMIT + 3});
    stage_expect_code(&done, 1);
    if (!strstr(done.err, "1048576 bytes"))
        fail_msg("which limit? %s", done.err);
    done = stage_run(stage, "info", "s", NULL);
    if (!strstr(done.out, "1, from seq 1"))
        fail_msg("the small one was stored, and nothing else: %s", done.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(daemon_names_what_is_wrong),
        STAGE_TEST(socket_path_limit_is_exact),
        STAGE_TEST(unwritable_directory_is_named),
        STAGE_TEST(strange_databases_are_left_alone),
        STAGE_TEST(a_pipe_is_no_database),
        STAGE_TEST(command_line_names_what_is_wrong),
        STAGE_TEST(no_sidecar_is_told),
        STAGE_TEST(library_refuses_before_it_sends),
        STAGE_TEST(recorder_tells_of_what_is_too_large),
        STAGE_TEST(quota_limits_the_size_of_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
