/* SPDX-License-Identifier: Apache-2.0 */
/* recorder_close: closes the session with the end of the input.
 *
 * The last event closes it, so that nobody finds that event without the close. Which event is the
 * last shows only when the input ends. So an event after which there is nothing yet is held, but
 * only if the input can be read at once: then it has more, or its end. If it can not, the event is
 * published as always, since readers wait for it, and the end of the input brings a close alone.
 *
 * An input that a signal or its source cut short closes nothing: a close cannot be taken back. */
#include <poll.h>

#include "cli/cli.h"
#include "cli/recorder.h"

/* Line ends after an event mean nothing. The one after a CR is part of its line end. */
static bool rest_is_blank(const struct recorder *recorder)
{
    for (size_t at = recorder->buffer_used; at < recorder->buffer_size; at++)
        if (recorder->buffer[at] != '\n' && recorder->buffer[at] != '\r')
            return false;
    return true;
}

static bool may_close_with(const struct recorder *recorder, const struct spn_event *event)
{
    return recorder->closes && event->kind == SPN_EVENT && !recorder->input_cut;
}

bool recorder_holds(struct recorder *recorder, const struct spn_event *event)
{
    struct pollfd input = {.fd = recorder->input_fd, .events = POLLIN};
    if (!may_close_with(recorder, event) || recorder->input_ended || !rest_is_blank(recorder) ||
        poll(&input, 1, 0) <= 0)
        return false;
    recorder->buffer_used = recorder->buffer_size;
    return true;
}

bool recorder_closes_with(const struct recorder *recorder, const struct spn_event *event)
{
    return may_close_with(recorder, event) && recorder->input_ended;
}

/* A session that is to be new stays as it is if nothing was sent that could have opened it. */
static bool stays_open(const struct recorder *recorder)
{
    return !recorder->closes || recorder->is_closed || recorder->if_new ||
           sse_parser_is_foreign(&recorder->parser);
}

int recorder_close_alone(struct recorder *recorder)
{
    const struct spn_publish_options options = {.size = sizeof(options),
                                                .reason = recorder->reason};
    if (stays_open(recorder) || recorder->input_cut || recorder->closes_alone)
        return CLI_OK;
    spn_err err = spn_session_close_with(recorder->producer, recorder->session, &options,
                                         &recorder->close_ticket);
    if (err != SPN_OK)
        return cli_fail_client("sidecar", recorder->client, err);
    recorder->closes_alone = true;
    err = id_queue_push(&recorder->in_flight, &(struct queued){.number = recorder->events});
    return err == SPN_OK ? CLI_OK : cli_fail("events in flight", err, NULL);
}

int recorder_note_closed(struct recorder *recorder, const struct spn_ack *ack)
{
    char what[CLI_TEXT_SIZE];
    recorder->close_ticket = 0;
    recorder->is_closed = ack->result == SPN_STORED || ack->result == SPN_DUPLICATE;
    if (!recorder->closes_alone) /* of an event that is not stored, the close comes alone */
        return CLI_OK;
    if (ack->result == SPN_DUPLICATE)
        cli_warn(cli_session_words(recorder->session, what), "was already closed");
    return recorder->is_closed ? CLI_OK : cli_fail_session(recorder->session, ack->code);
}

int recorder_check_closed(const struct recorder *recorder)
{
    char what[CLI_TEXT_SIZE];
    if (stays_open(recorder))
        return CLI_OK;
    cli_error(cli_session_words(recorder->session, what),
              "not closed: the input did not end by itself");
    return CLI_FAILURE;
}
