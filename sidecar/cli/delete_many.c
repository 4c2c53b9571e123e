/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/delete_many.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/look.h"
#include "cli/progress.h"
#include "base/clock.h"
#include "base/text.h"
#include "wire.h"

struct run {
    const struct delete_many *many;
    spn_client *client;
    spn_producer *producer;
    struct session_order list;
    struct progress progress;
    uint64_t events;
    uint64_t bytes;
    uint64_t ended; /* sessions with a result */
    uint64_t deleted;
    uint64_t changed; /* got an event, or another life, since they were listed */
    int exit_code;
};

/* -- the list ---------------------------------------------------------------------------------- */

static int list(struct run *run)
{
    const struct delete_many *many = run->many;
    const struct spn_session *session;
    char after[WIRE_SESSION_MAX] = "";
    size_t after_size = 0;
    uint64_t now_ms = clock_wall_ms();
    int timeout_ms = cli_timeout_ms(many->common);
    spn_err err;
    while ((err = spn_next_session(run->client, (struct spn_bytes){after, after_size},
                                   many->pick.prefix, timeout_ms, &session)) == SPN_OK) {
        after_size = session->name.size;
        memcpy(after, session->name.data, after_size);
        if (!session_pick_takes(&many->pick, session, now_ms))
            continue;
        err = session_order_add(&run->list, session);
        if (err != SPN_OK)
            return cli_fail("sessions", err, NULL);
        run->events += session->seq - session->markers;
        run->bytes += session->bytes;
    }
    return err == SPN_E_END ? CLI_OK : cli_fail_client("sessions", run->client, err);
}

/* "3 sessions with 1,200 events, 5.2 MiB" */
static void put_words(const struct run *run, uint64_t sessions, char words[CLI_TEXT_SIZE])
{
    char count[LOOK_TEXT_SIZE];
    char events[LOOK_TEXT_SIZE];
    char bytes[LOOK_TEXT_SIZE];
    snprintf(words, CLI_TEXT_SIZE, "%s session%s with %s event%s, %s", look_count(sessions, count),
             sessions == 1 ? "" : "s", look_count(run->events, events), run->events == 1 ? "" : "s",
             look_bytes(run->bytes, bytes));
}

/* A name a line, for a pipe too. */
static int print_names(const struct run *run)
{
    struct out out;
    char words[CLI_TEXT_SIZE];
    char line[CLI_TEXT_SIZE + 32];
    out_init(&out, STDOUT_FILENO);
    for (size_t i = 0; i < run->list.count && out_settle(&out); i++) {
        struct spn_bytes name = run->list.kept[i].session.name;
        out_put(&out, name.data, name.size);
        out_text(&out, "\n");
    }
    int exit_code = cli_finish(&out, CLI_OK);
    put_words(run, run->list.count, words);
    snprintf(line, sizeof(line), "would delete %s", words);
    cli_say(line);
    return exit_code;
}

bool delete_asked(const char *question)
{
    char answer[16] = "";
    fprintf(stderr, "%s [y/N] ", question);
    if (!fgets(answer, sizeof(answer), stdin))
        fputs("\n", stderr); /* end of input: no answer has ended the line */
    return strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

static int ask(const struct run *run)
{
    char words[CLI_TEXT_SIZE];
    char question[CLI_TEXT_SIZE + 32];
    put_words(run, run->list.count, words);
    snprintf(question, sizeof(question), "delete %s?", words);
    if (delete_asked(question))
        return CLI_OK;
    cli_error("nothing was deleted", NULL);
    return CLI_FAILURE;
}

/* -- deleting ---------------------------------------------------------------------------------- */

static void take_result(struct run *run, const struct spn_ack *ack)
{
    uint64_t index = ack->ticket - spn_producer_committed(run->producer) - 1;
    run->ended++;
    if (ack->result != SPN_REFUSED) {
        run->deleted++;
    } else if (ack->code == SPN_E_UNKNOWN_SESSION || ack->code == SPN_E_OTHER_LIFE ||
               ack->code == SPN_E_CONDITION) {
        run->changed++;
    } else {
        progress_clear(&run->progress);
        run->exit_code = cli_fail_session(run->list.kept[index].session.name, ack->code);
    }
}

/* Takes the results that are there. With timeout_ms, waits for one. SPN_E_END: none is missing. */
static spn_err take_results(struct run *run, int timeout_ms)
{
    const struct spn_ack *ack;
    spn_err err;
    while ((err = spn_producer_next_ack(run->producer, timeout_ms, &ack)) == SPN_OK) {
        take_result(run, ack);
        timeout_ms = 0;
    }
    progress_set(&run->progress, run->ended);
    return err;
}

static spn_err send_one(struct run *run, const struct spn_session *session)
{
    struct spn_publish_options options = {
        .size = sizeof(options),
        .life = wire_has_life(session->life) ? &session->life : NULL,
        .has_if_seq = run->many->pick.older_than_ms > 0,
        .if_seq = session->seq,
    };
    return spn_session_delete_with(run->producer, session->name, &options, NULL);
}

static spn_err delete_all(struct run *run)
{
    int timeout_ms = cli_timeout_ms(run->many->common);
    spn_err err = SPN_OK;
    for (size_t i = 0; i < run->list.count; i++) {
        err = send_one(run, &run->list.kept[i].session);
        if (err != SPN_OK)
            return err;
        err = take_results(run, 0);
        if (err != SPN_E_TIMEOUT && err != SPN_E_END)
            return err;
    }
    uint64_t ended;
    do {
        ended = run->ended;
        err = take_results(run, timeout_ms);
    } while (err == SPN_E_TIMEOUT && run->ended > ended);
    return err == SPN_E_END ? SPN_OK : err;
}

static void tell(const struct run *run)
{
    char count[LOOK_TEXT_SIZE];
    char line[CLI_TEXT_SIZE];
    snprintf(line, sizeof(line), "deleted %s session%s", look_count(run->deleted, count),
             run->deleted == 1 ? "" : "s");
    cli_say(line);
    if (run->changed == 0)
        return;
    snprintf(line, sizeof(line), "%s session%s, which changed meanwhile",
             look_count(run->changed, count), run->changed == 1 ? "" : "s");
    cli_warn("kept", line);
}

static int delete_listed(struct run *run)
{
    struct spn_producer_options options = spn_producer_defaults();
    int timeout_ms = cli_timeout_ms(run->many->common);
    options.send_timeout_ms = timeout_ms;
    spn_err err = spn_producer_open(&run->producer, run->client, &options, timeout_ms);
    progress_init(&run->progress, "sessions", run->list.count, false);
    if (err == SPN_OK)
        err = delete_all(run);
    progress_clear(&run->progress);
    if (err != SPN_OK)
        run->exit_code = cli_fail_client("sidecar", run->client, err);
    if (run->producer)
        tell(run);
    err = spn_producer_close(run->producer, 0, NULL);
    (void)err;
    return run->exit_code;
}

static int pick_and_delete(struct run *run)
{
    const struct delete_many *many = run->many;
    int exit_code = list(run);
    if (exit_code != CLI_OK)
        return exit_code;
    session_order_end(&run->list);
    if (run->list.count == 0) {
        cli_warn("no session", "nothing is to be deleted");
        return CLI_OK;
    }
    if (many->dry_run)
        return print_names(run);
    exit_code = many->yes ? CLI_OK : ask(run);
    return exit_code == CLI_OK ? delete_listed(run) : exit_code;
}

int delete_many_run(const struct delete_many *many)
{
    struct run run = {.many = many};
    if (!many->yes && !many->dry_run && !isatty(STDIN_FILENO))
        cli_usage("--yes", "missing, and there is no terminal to ask on");
    int exit_code = cli_connect(many->common, &run.client);
    if (exit_code != CLI_OK)
        return exit_code;
    exit_code = pick_and_delete(&run);
    session_order_release(&run.list);
    spn_client_close(run.client);
    return exit_code;
}
