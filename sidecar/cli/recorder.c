/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/recorder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "base/text.h"

#define USE_IDS "use --ids new or --ids prefix=TEXT"

enum {
    PROGRESS_EVERY_MS = 250,
    STILL_MS = 2000, /* without an acknowledgement; then the reason is printed */
    ANSWER_MS = 500, /* to wait for the sidecar's health */
    TOLD_MAX = 100,  /* events printed one by one; further ones are only counted */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void recorder_init(struct recorder *recorder, size_t data_size_max)
{
    /* The parser's limit includes type and id, so their limits are added. They are checked
     * separately. */
    sse_parser_init(&recorder->parser, data_size_max + WIRE_ID_MAX + WIRE_TYPE_MAX);
    id_queue_init(&recorder->in_flight);
}

void recorder_release(struct recorder *recorder)
{
    sse_parser_release(&recorder->parser);
    id_queue_release(&recorder->in_flight);
}

/* -- messages on stderr ------------------------------------------------------------------------ */

static void clear_progress(struct recorder *recorder)
{
    progress_clear(&recorder->shown);
}

/* Of a file, in bytes; of a stream, which has no end that is known, in events on disk. */
static void show_progress(struct recorder *recorder)
{
    bool is_file = recorder->input_size > 0;
    progress_set(&recorder->shown,
                 is_file ? recorder->bytes_read : recorder->stored + recorder->duplicates);
}

/* Reports an event, or the marker after it, that is not in the session as it was given. */
static void tell_event(struct recorder *recorder, uint64_t number, const struct spn_event *event,
                       const char *why)
{
    struct spn_bytes id = event->id;
    const char *what_it_is = event->kind == SPN_EVENT ? "event" : "marker after event";
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    if (recorder->told == TOLD_MAX) {
        cli_warn("events", "more were not stored; from here on they are only counted");
        recorder->told++;
    }
    if (recorder->told > TOLD_MAX)
        return;
    recorder->told++;
    clear_progress(recorder);
    if (id.size > 0)
        snprintf(what, sizeof(what), "%s %llu with id %s", what_it_is, (unsigned long long)number,
                 text_quote(id, quoted));
    else
        snprintf(what, sizeof(what), "%s %llu", what_it_is, (unsigned long long)number);
    cli_warn(what, why);
}

/* Adds details to the code's own text, if there are any. */
static void refusal_text(const struct recorder *recorder, const struct spn_event *event,
                         spn_err err, char why[CLI_TEXT_SIZE])
{
    if (err == SPN_E_EVENT_TOO_LARGE)
        snprintf(why, CLI_TEXT_SIZE,
                 "not stored: larger than the limit of %zu bytes of data (sponsond's "
                 "--event-data-max)",
                 spn_client_data_max(recorder->client));
    else if (err == SPN_E_BAD_ID && event->id.size > WIRE_ID_MAX)
        snprintf(why, CLI_TEXT_SIZE, "not stored: its id has %zu bytes, the limit is %d",
                 event->id.size, (int)WIRE_ID_MAX);
    else if (err == SPN_E_BAD_TYPE && event->type.size > WIRE_TYPE_MAX)
        snprintf(why, CLI_TEXT_SIZE, "not stored: its type has %zu bytes, the limit is %d",
                 event->type.size, (int)WIRE_TYPE_MAX);
    else
        snprintf(why, CLI_TEXT_SIZE, "not stored: %s", spn_err_text(err));
}

/* event: its fields that are still known. A marker has the number of the event before it. */
static void refuse(struct recorder *recorder, uint64_t number, const struct spn_event *event,
                   spn_err err)
{
    char why[CLI_TEXT_SIZE];
    if (event->kind == SPN_EVENT)
        recorder->refused++;
    else
        recorder->markers_refused++;
    refusal_text(recorder, event, err, why);
    tell_event(recorder, number, event, why);
}

/* -- results ----------------------------------------------------------------------------------- */

/* Markers are not in the acknowledgement log: a marker's number is that of an event. */
static void keep_durable(struct recorder *recorder, uint64_t number, const struct spn_event *event)
{
    if (event->kind == SPN_EVENT)
        ack_log_add(recorder->ack_log, number, event->id);
    else
        recorder->markers++;
}

/* Some upstreams number their events from the start again, within a response or after a restart.
 * Then the first id comes again, for another event. */
static void look_for_restart(struct recorder *recorder, uint64_t number,
                             const struct spn_event *event)
{
    char quoted[TEXT_QUOTED_SIZE];
    char what[CLI_TEXT_SIZE];
    struct spn_bytes id = event->id;
    if (number == recorder->first_number || recorder->restart_is_told || event->kind != SPN_EVENT ||
        id.size == 0 || id.size != recorder->first_id_size ||
        memcmp(id.data, recorder->first_id, id.size) != 0)
        return;
    recorder->restart_is_told = true;
    clear_progress(recorder);
    snprintf(what, sizeof(what), "the ids of the input restart at event %llu",
             (unsigned long long)number);
    char why[CLI_TEXT_SIZE];
    snprintf(why, sizeof(why), "%s came before, for another event%s", text_quote(id, quoted),
             recorder->ids == RECORDER_IDS_KEEP ? "; " USE_IDS : "");
    cli_warn(what, why);
}

/* Then nothing can be stored in it under other ids. */
static bool is_closed(const struct recorder *recorder)
{
    const struct spn_last *last;
    return recorder->is_closed ||
           (spn_last_event(recorder->client, recorder->session, ANSWER_MS, &last) == SPN_OK &&
            last->state == SPN_CLOSED);
}

/* If ids did not restart, the input of an earlier run may have had the same ids. Or it is the same
 * input, and only the close differs: then other ids are no help, and the session is closed, by now
 * or since that run. */
static void tell_conflicts(const struct recorder *recorder)
{
    char what[CLI_TEXT_SIZE];
    if (recorder->conflicts == 0 || recorder->restart_is_told || recorder->ids != RECORDER_IDS_KEEP)
        return;
    snprintf(what, sizeof(what), "%llu events not stored", (unsigned long long)recorder->conflicts);
    cli_warn(what, is_closed(recorder) ? "the session has events with their ids, and is closed"
                                       : "the session has other events with their ids; " USE_IDS);
}

/* event: its kind, and its id in the session. */
static void count_result(struct recorder *recorder, const struct spn_ack *ack, uint64_t number,
                         const struct spn_event *event)
{
    switch (ack->result) {
    case SPN_STORED:
        recorder->stored += event->kind == SPN_EVENT;
        look_for_restart(recorder, number, event);
        keep_durable(recorder, number, event);
        break;
    case SPN_DUPLICATE:
        recorder->duplicates += event->kind == SPN_EVENT;
        keep_durable(recorder, number, event);
        break;
    case SPN_CONFLICT:
        recorder->conflicts++;
        look_for_restart(recorder, number, event);
        tell_event(recorder, number, event,
                   "not stored: the session has this id already, and data, type, closing or reason "
                   "differ");
        break;
    case SPN_REFUSED:
        refuse(recorder, number, event, ack->code);
        break;
    case SPN_LOST:
        refuse(recorder, number, event, SPN_E_LOST);
        break;
    }
}

/* The result of the entry that has to open the session. */
static int note_new(struct recorder *recorder, const struct spn_ack *ack)
{
    char what[CLI_TEXT_SIZE];
    recorder->new_ticket = 0;
    recorder->if_new = false;
    if (ack->result == SPN_STORED)
        return CLI_OK;
    cli_error(cli_session_words(recorder->session, what),
              "is not new, or the first event was refused: nothing was stored");
    return CLI_FAILURE;
}

static int take_ack(struct recorder *recorder, const struct spn_ack *ack)
{
    char given[SPN_GIVEN_ID_MAX];
    struct queued queued;
    if (ack->ticket != ++recorder->ticket || !id_queue_pop(&recorder->in_flight, &queued)) {
        cli_error("acknowledgements", "they do not match what was sent");
        return CLI_FAILURE;
    }
    if (recorder->closes_alone) /* it comes after all others */
        return recorder_note_closed(recorder, ack);
    struct spn_event event = {.kind = (spn_event_kind)queued.kind, .id = queued.id};
    if (event.kind == SPN_EVENT && event.id.size == 0)
        event.id = (struct spn_bytes){given, spn_given_id(recorder->producer, ack->ticket, given)};
    count_result(recorder, ack, queued.number, &event);
    int exit_code = CLI_OK;
    if (ack->ticket == recorder->close_ticket)
        exit_code = recorder_note_closed(recorder, ack);
    if (ack->ticket == recorder->new_ticket)
        exit_code = note_new(recorder, ack);
    return exit_code;
}

static int take_acks(struct recorder *recorder)
{
    const struct spn_ack *ack;
    int exit_code = CLI_OK;
    spn_err err = spn_client_step(recorder->client);
    if (err != SPN_OK)
        return cli_fail_client("sidecar", recorder->client, err);
    while (exit_code == CLI_OK) {
        err = spn_producer_next_ack(recorder->producer, 0, &ack);
        if (err != SPN_OK)
            break;
        exit_code = take_ack(recorder, ack);
        recorder->progress_ms = now_ms();
    }
    if (ack_log_write(recorder->ack_log) != SPN_OK)
        return cli_fail_errno(recorder->ack_log_name);
    if (err != SPN_OK && err != SPN_E_TIMEOUT && err != SPN_E_END)
        return cli_fail_client("sidecar", recorder->client, err);
    return exit_code;
}

/* -- events ------------------------------------------------------------------------------------ */

static bool is_refusal(spn_err err)
{
    return err == SPN_E_BAD_ID || err == SPN_E_BAD_TYPE || err == SPN_E_BAD_DATA ||
           err == SPN_E_EVENT_TOO_LARGE;
}

static spn_event_kind kind_of(const struct sse_event *parsed)
{
    if (!parsed->marker)
        return SPN_EVENT;
    return parsed->id.data != NULL && parsed->id.size == 0 ? SPN_RESET : SPN_MARKER;
}

static void put_prefix(struct recorder *recorder, struct spn_event *event)
{
    struct spn_bytes prefix = recorder->prefix;
    if (event->id.size == 0 || event->id.size > sizeof(recorder->id) - prefix.size)
        return; /* no id, or an id that is refused anyway */
    memcpy(recorder->id, prefix.data, prefix.size);
    memcpy(recorder->id + prefix.size, event->id.data, event->id.size);
    event->id = (struct spn_bytes){recorder->id, prefix.size + event->id.size};
}

/* Changes an id of the input as requested. False: nothing is left of a marker. */
static bool choose_id(struct recorder *recorder, struct spn_event *event)
{
    if (recorder->ids == RECORDER_IDS_PREFIX)
        put_prefix(recorder, event);
    if (recorder->ids != RECORDER_IDS_NEW)
        return true;
    event->id = (struct spn_bytes){NULL, 0};
    if (event->kind == SPN_RESET)
        event->kind = SPN_MARKER;
    return event->kind == SPN_EVENT || event->retry_ms != SPN_RETRY_NONE;
}

static void note_first_id(struct recorder *recorder, const struct spn_event *event)
{
    if (recorder->first_number > 0 || event->kind != SPN_EVENT || event->id.size == 0)
        return;
    recorder->first_number = recorder->events;
    recorder->first_id_size = event->id.size;
    memcpy(recorder->first_id, event->id.data, event->id.size);
}

/* The event's id is only an id that its own block set. An id of an earlier block stays in force for
 * a browser that resumes, but here it would make this event a duplicate of the earlier one. */
static int publish(struct recorder *recorder, const struct sse_event *parsed)
{
    struct spn_publish_options options = {.size = sizeof(options), .if_new = recorder->if_new};
    uint64_t ticket;
    struct spn_event event = {
        .size = sizeof(event),
        .kind = kind_of(parsed),
        .id = parsed->id,
        .type = parsed->type,
        .data = parsed->data,
        .retry_ms = parsed->has_retry ? parsed->retry_ms : SPN_RETRY_NONE,
        .note = recorder->note,
    };
    recorder->has_waiting = false;
    if (!choose_id(recorder, &event))
        return CLI_OK;
    recorder->is_held = recorder_holds(recorder, &event);
    recorder->has_waiting =
        recorder->is_held || recorder->in_flight.count == RECORDER_IN_FLIGHT_MAX;
    if (recorder->has_waiting)
        return CLI_OK;
    options.closes = recorder_closes_with(recorder, &event);
    if (options.closes)
        options.reason = recorder->reason;
    spn_err err =
        spn_publish_with(recorder->producer, recorder->session, &event, &options, &ticket);
    recorder->has_waiting = err == SPN_E_BACKPRESSURE;
    if (recorder->has_waiting)
        return CLI_OK;
    if (is_refusal(err)) {
        refuse(recorder, recorder->events, &event, err);
        return CLI_OK;
    }
    if (err != SPN_OK)
        return cli_fail_client("sidecar", recorder->client, err);
    if (recorder->in_flight.count == 0)
        recorder->progress_ms = now_ms();
    if (options.closes)
        recorder->close_ticket = ticket;
    if (options.if_new)
        recorder->new_ticket = ticket;
    note_first_id(recorder, &event);
    err = id_queue_push(
        &recorder->in_flight,
        &(struct queued){.number = recorder->events, .kind = (uint8_t)event.kind, .id = event.id});
    return err == SPN_OK ? CLI_OK : cli_fail("events in flight", err, NULL);
}

static int parse_next(struct recorder *recorder)
{
    bool ready = false;
    size_t used = 0;
    spn_err err = sse_parser_feed(&recorder->parser, recorder->buffer + recorder->buffer_used,
                                  recorder->buffer_size - recorder->buffer_used, &used, &ready,
                                  &recorder->waiting);
    recorder->buffer_used += used;
    if (err == SPN_E_EVENT_TOO_LARGE) {
        const struct spn_event unknown = SPN_EVENT_INIT;
        refuse(recorder, ++recorder->events, &unknown, err);
        return CLI_OK;
    }
    if (err != SPN_OK)
        return cli_fail(recorder->input_name, err, NULL);
    if (!ready)
        return CLI_OK;
    recorder->events += !recorder->waiting.marker;
    return publish(recorder, &recorder->waiting);
}

static bool is_done(const struct recorder *recorder)
{
    return recorder->input_ended && !recorder->has_waiting && recorder->in_flight.count == 0 &&
           recorder->buffer_used == recorder->buffer_size;
}

/* Publishes the content of the buffer, as far as there is room, and at last the close. While it is
 * open whether the session is new, nothing more is published. */
static int publish_buffer(struct recorder *recorder)
{
    int exit_code = CLI_OK;
    if (recorder->has_waiting && recorder->new_ticket == 0)
        exit_code = publish(recorder, &recorder->waiting);
    while (exit_code == CLI_OK && !recorder->has_waiting && recorder->new_ticket == 0 &&
           recorder->buffer_used < recorder->buffer_size)
        exit_code = parse_next(recorder);
    if (exit_code == CLI_OK && is_done(recorder))
        exit_code = recorder_close_alone(recorder);
    return exit_code;
}

static int read_input(struct recorder *recorder)
{
    ssize_t size = read(recorder->input_fd, recorder->buffer, sizeof(recorder->buffer));
    if (size < 0 && (errno == EINTR || errno == EAGAIN))
        return CLI_OK;
    if (size < 0) {
        clear_progress(recorder);
        cli_fail_errno(recorder->input_name);
        return CLI_FAILURE;
    }
    recorder->buffer_used = 0;
    recorder->buffer_size = (size_t)size;
    recorder->bytes_read += (uint64_t)size;
    if (size > 0)
        return CLI_OK;
    recorder->input_ended = true;
    if (sse_parser_pending(&recorder->parser)) {
        recorder->input_cut = true;
        clear_progress(recorder);
        cli_warn(recorder->input_name,
                 "the last block is unfinished, no blank line ends it: not stored");
    }
    return CLI_OK;
}

/* -- the loop ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void note_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* The signals are delivered only while the recorder waits. The second one of a kind kills. */
static sigset_t catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigset_t set;
    sigset_t before;
    sigemptyset(&action.sa_mask);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return before;
}

static bool wants_input(const struct recorder *recorder)
{
    return !recorder->input_ended && (!recorder->has_waiting || recorder->is_held) &&
           recorder->new_ticket == 0;
}

/* When to request the reason for the lack of progress. */
static int64_t look_at_ms(const struct recorder *recorder)
{
    int64_t since = recorder->progress_ms;
    if (recorder->looked_ms > since)
        since = recorder->looked_ms;
    return since + STILL_MS;
}

static int64_t sooner(int64_t wait, int64_t left)
{
    left = left > 0 ? left : 0;
    return wait < 0 || left < wait ? left : wait;
}

/* How long nothing needs a check; -1: until something happens. */
static int wait_ms(const struct recorder *recorder, int64_t now)
{
    int64_t wait = recorder->shown.on ? PROGRESS_EVERY_MS : -1;
    if (recorder->in_flight.count == 0)
        return (int)wait;
    if (recorder->stall_ms >= 0)
        wait = sooner(wait, recorder->progress_ms + recorder->stall_ms - now);
    if (!recorder->wait_is_told)
        wait = sooner(wait, look_at_ms(recorder) - now);
    return (int)wait;
}

static int wait_for_something(struct recorder *recorder, const sigset_t *mask)
{
    int64_t now = now_ms();
    struct pollfd fds[] = {
        {.fd = spn_client_fd(recorder->client), .events = POLLIN},
        {.fd = wants_input(recorder) ? recorder->input_fd : -1, .events = POLLIN},
    };
    show_progress(recorder);
    int ms = wait_ms(recorder, now);
    struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    int ready = ppoll(fds, 2, ms < 0 ? NULL : &timeout, mask);
    if (ready < 0 && errno != EINTR)
        return cli_fail_errno("poll");
    if (interrupted && !recorder->input_ended)
        recorder->input_ended = recorder->input_cut = true;
    if (ready > 0 && fds[1].revents != 0 && !recorder->input_ended)
        return read_input(recorder);
    return CLI_OK;
}

static void tell_wait(struct recorder *recorder, const char *state, const char *reason)
{
    char why[CLI_TEXT_SIZE];
    snprintf(why, sizeof(why), "%s%swaiting; %zu events wait for their acknowledgement", reason,
             *reason ? "; " : "", recorder->in_flight.count);
    clear_progress(recorder);
    cli_warn(state, why);
    recorder->wait_is_told = true;
}

/* Prints one line each time that progress stops, unless the sidecar is well: then it is only
 * slow. */
static void check_wait(struct recorder *recorder)
{
    const struct spn_health *health;
    if (recorder->progress_ms > recorder->looked_ms)
        recorder->wait_is_told = false;
    if (recorder->in_flight.count == 0 || recorder->wait_is_told || now_ms() < look_at_ms(recorder))
        return;
    spn_err err = spn_get_health(recorder->client, ANSWER_MS, &health);
    if (err == SPN_E_UNAVAILABLE)
        tell_wait(recorder, "the sidecar is gone", "");
    else if (err == SPN_E_TIMEOUT)
        tell_wait(recorder, "the sidecar does not answer", "");
    else if (err == SPN_OK && health->status == SPN_DEGRADED)
        tell_wait(recorder, "the sidecar is degraded", health->reason);
    recorder->looked_ms = now_ms();
}

static int check_stall(struct recorder *recorder)
{
    char why[CLI_TEXT_SIZE];
    if (recorder->stall_ms < 0 || recorder->in_flight.count == 0 ||
        now_ms() - recorder->progress_ms < recorder->stall_ms)
        return CLI_OK;
    snprintf(why, sizeof(why), "no acknowledgement for %.1f s, %zu events are not acknowledged",
             recorder->stall_ms / 1000.0, recorder->in_flight.count);
    clear_progress(recorder);
    cli_error("sidecar", why);
    if (!recorder->wait_is_told)
        cli_tell_trouble(recorder->client);
    return CLI_TIMEOUT;
}

/* Reports events that had their results already, but are gone. */
static int check_lost(struct recorder *recorder)
{
    char why[CLI_TEXT_SIZE];
    uint64_t lost = spn_producer_counters(recorder->producer)->lost;
    if (lost == 0)
        return CLI_OK;
    snprintf(why, sizeof(why),
             "%llu acknowledged events are no longer in its database: it is an older copy, or "
             "another database",
             (unsigned long long)lost);
    cli_error("sidecar", why);
    return CLI_FAILURE;
}

int recorder_run(struct recorder *recorder)
{
    sigset_t mask = catch_interrupts();
    progress_init(&recorder->shown, recorder->input_size > 0 ? NULL : "events on disk",
                  recorder->input_size, false);
    if (isatty(recorder->input_fd))
        recorder->shown.on = false; /* a person types on that line */
    int exit_code = publish_buffer(recorder);
    while (exit_code == CLI_OK && !is_done(recorder)) {
        exit_code = wait_for_something(recorder, &mask);
        if (exit_code == CLI_OK)
            exit_code = take_acks(recorder);
        if (exit_code == CLI_OK)
            exit_code = publish_buffer(recorder);
        if (exit_code == CLI_OK)
            exit_code = check_stall(recorder);
        if (exit_code == CLI_OK)
            check_wait(recorder);
    }
    clear_progress(recorder);
    tell_conflicts(recorder);
    if (exit_code == CLI_OK)
        exit_code = check_lost(recorder);
    if (exit_code == CLI_OK)
        exit_code = recorder_check_closed(recorder);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return exit_code;
}
