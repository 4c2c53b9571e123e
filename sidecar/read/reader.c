/* SPDX-License-Identifier: Apache-2.0 */
#include "read/reader.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "read/reader_base.h"

/* -- the loop ---------------------------------------------------------------------------------- */

static void take_message(struct reader *reader, struct message *message)
{
    switch ((enum message_kind)message->kind) {
    case MESSAGE_SESSION:
        reader_finish_session(reader, (struct session_question *)message);
        break;
    case MESSAGE_SUBSCRIPTION:
        reader_finish_subscription(reader, (struct session_question *)message);
        break;
    case MESSAGE_GENERATIONS:
        reader_finish_generations(reader, (struct generations_question *)message);
        break;
    case MESSAGE_HOLDER:
        reader_finish_holder(reader, (struct holder_question *)message);
        break;
    case MESSAGE_LOAD:
        reader_load(reader, (struct load *)message);
        break;
    case MESSAGE_ONE_SHOT:
        reader_seek(reader, (struct one_shot *)message);
        break;
    case MESSAGE_BATCH:
    case MESSAGE_GENERATION:
    case MESSAGE_SETTINGS:
    case MESSAGE_STOP:
    case MESSAGE_IDLE:
        assert(false); /* they are not sent to the reader */
    }
}

static void take_mail(struct reader *reader)
{
    struct message *message = mailbox_take(reader->options.mailbox);
    while (message) {
        struct message *next = message->next;
        take_message(reader, message);
        message = next;
    }
}

/* True: there was a message. */
static bool receive_one(struct reader *reader)
{
    struct peer peer;
    zmq_msg_t frame;
    size_t frames;
    if (!router_receive(&reader->router, &peer, &frame, &frames))
        return false;
    struct outbox_peer *from = outbox_meet(reader->outbox, &peer, &frame);
    size_t unanswered = reader->unanswered;
    if (from && frames == 1)
        reader_take_request(reader, from, &frame);
    else if (from)
        reader_send_words(reader, (struct caller){.peer = from}, SPN_E_PROTOCOL,
                          "a message is one frame");
    if (from && reader->unanswered == unanswered &&
        !outbox_has_room(reader->outbox, from, ANSWER_MIN))
        reader->unanswered++;
    zmq_msg_close(&frame);
    return true;
}

static long sooner_ms(long a_ms, long b_ms)
{
    return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

static long give_back(struct reader *reader, bool happened)
{
    uint64_t now_ns = reader->options.clock->monotonic_ns();
    uint64_t due_ns = slack_tick(&reader->slack, now_ns, happened);
    return due_ns == UINT64_MAX ? -1 : (long)((due_ns - now_ns) / 1000000) + 1;
}

/* Returns in how many ms to call again; -1: never. Packed deliveries are sent first. */
static long tick(struct reader *reader, bool happened)
{
    long wait_ms = sooner_ms(subscriptions_tick(reader->subscriptions), fetch_tick(&reader->fetch));
    wait_ms = sooner_ms(wait_ms, listing_tick(&reader->listing));
    outbox_flush(reader->outbox);
    return sooner_ms(sooner_ms(wait_ms, outbox_tick(reader->outbox)), give_back(reader, happened));
}

/* A client may send requests without end and read no answers. ZeroMQ keeps receiving from it as
 * long as the reader takes its requests, so the reader pauses. */
static bool pauses(struct reader *reader)
{
    if (reader->unanswered < UNANSWERED_MAX)
        return false;
    uint64_t now_ns = reader->options.clock->monotonic_ns();
    if (reader->pause_ns == 0)
        reader->pause_ns = now_ns + PAUSE_MS * UINT64_C(1000000);
    if (now_ns < reader->pause_ns)
        return true;
    reader->unanswered = 0;
    reader->pause_ns = 0;
    return false;
}

/* Receives some of the messages that are there, and nothing more after a page of clients. */
static void receive(struct reader *reader)
{
    reader->listed = false;
    for (int i = 0; i < RECEIVE_PER_TURN && !reader->listed; i++)
        if (reader->asked >= ASKED_MAX || reader->unanswered >= UNANSWERED_MAX ||
            !receive_one(reader))
            return;
}

static void *run(void *argument)
{
    struct reader *reader = argument;
    (void)prctl(PR_SET_NAME, "spn-reader");
    pulse_begin(reader->options.pulse, "reader");
    long wait_ms = -1;
    bool more = false;
    while (!atomic_load(&reader->stop)) {
        pulse_turn(reader->options.pulse);
        zmq_pollitem_t items[] = {
            {.fd = reader->options.mailbox->event_fd, .events = ZMQ_POLLIN},
            {.socket = reader->router.socket, .events = ZMQ_POLLIN},
        };
        bool ahead = fetch_wants(&reader->fetch);
        bool paused = pauses(reader);
        bool listens = reader->asked < ASKED_MAX && !paused;
        if (paused)
            wait_ms = sooner_ms(wait_ms, PAUSE_MS);
        int ready = zmq_poll(items, listens ? 2 : 1, ahead || more ? 0 : wait_ms);
        if (ready == 0 && ahead && !more)
            fetch_ahead(&reader->fetch);
        take_mail(reader);
        endpoint_bind_wanted(reader->options.endpoint);
        receive(reader);
        more = subscriptions_scan(reader->subscriptions);
        more = subscriptions_read_log(reader->subscriptions) || more;
        wait_ms = tick(reader, ready > 0);
    }
    pulse_end(reader->options.pulse);
    return NULL;
}

static spn_err send_message(void *router, const struct peer *peer, zmq_msg_t *message)
{
    return router_send_message(router, peer, message);
}

static spn_err new_outbox(struct reader *reader)
{
    return outbox_new(&reader->outbox,
                      &(struct outbox_options){.send = send_message,
                                               .socket = &reader->router,
                                               .clock = reader->options.clock,
                                               .metrics = reader->options.metrics,
                                               .stalled_uid = reader->options.stalled_uid});
}

static struct pump_source source_of(struct reader *reader)
{
    return (struct pump_source){.journal = reader->journal,
                                .clock = reader->options.clock,
                                .secret = reader->options.secret,
                                .slice = &reader->slice};
}

static spn_err new_subscriptions(struct reader *reader)
{
    return subscriptions_new(&reader->subscriptions,
                             &(struct subscriptions_options){.outbox = reader->outbox,
                                                             .source = source_of(reader),
                                                             .commits = reader->options.commits,
                                                             .broker = reader->options.broker,
                                                             .metrics = reader->options.metrics});
}

spn_err reader_start(struct reader **ret_reader, const struct reader_options *options)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return SPN_E_NOMEM;
    reader->options = *options;
    reader->started_ns = options->clock->monotonic_ns();
    spn_err err = journal_reader_open(&reader->journal, options->journal);
    listing_init(&reader->listing, options->clock);
    fetch_init(&reader->fetch,
               &(struct fetch_options){.source = source_of(reader), .metrics = options->metrics});
    if (err == SPN_OK)
        err = router_init(&reader->router, options->socket);
    if (err == SPN_OK)
        err = new_outbox(reader);
    if (err == SPN_OK)
        err = new_subscriptions(reader);
    if (err == SPN_OK && pthread_create(&reader->thread, NULL, run, reader) != 0)
        err = SPN_E_SYSTEM;
    if (err != SPN_OK) {
        subscriptions_free(reader->subscriptions);
        outbox_free(reader->outbox);
        journal_reader_close(reader->journal);
        free(reader);
        return err;
    }
    *ret_reader = reader;
    return SPN_OK;
}

void reader_stop(struct reader *reader)
{
    if (!reader)
        return;
    atomic_store(&reader->stop, true);
    mailbox_nudge(reader->options.mailbox);
    pthread_join(reader->thread, NULL);
    fetch_release(&reader->fetch);
    listing_release(&reader->listing);
    subscriptions_free(reader->subscriptions);
    outbox_free(reader->outbox);
    journal_reader_close(reader->journal);
    free(reader);
}
