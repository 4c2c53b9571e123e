/* SPDX-License-Identifier: Apache-2.0 */
/* other_header: an app that was built against another version of sponson.h than the library's.
 *
 * Publishes and follows one event, with options of each kind, and asks what there is. OLDER: its
 * header lacks the last fields of options and of answers. LATER: its header has a field more in
 * each kind of options, which the library does not know: zeros are taken, anything else is refused.
 * Exit code 0: it went as it should; else the number of the step that did not. */
#include <string.h>

#include "sponson.h"

enum { WAIT_MS = 10000 };

#ifdef LATER
#define SET_UNKNOWN(options) (options).of_a_later_version[3] = 7
#define CLEAR_UNKNOWN(options) (options).of_a_later_version[3] = 0
#else
#define SET_UNKNOWN(options) (void)0
#define CLEAR_UNKNOWN(options) (void)0
#endif

static spn_err expected(void)
{
#ifdef LATER
    return SPN_E_INVALID;
#else
    return SPN_OK;
#endif
}

/* Tries what nobody knows yet, and then for good. */
static spn_client *open_client(void)
{
    spn_client *client = NULL;
    struct spn_client_options options = {.size = sizeof(options)};
    SET_UNKNOWN(options);
    if (spn_client_open(&client, &options, WAIT_MS, NULL, 0) != expected())
        return NULL;
    spn_client_close(client);
    client = NULL;
    CLEAR_UNKNOWN(options);
    return spn_client_open(&client, &options, WAIT_MS, NULL, 0) == SPN_OK ? client : NULL;
}

static spn_producer *open_producer(spn_client *client)
{
    spn_producer *producer = NULL;
    struct spn_producer_options options = spn_producer_defaults();
    SET_UNKNOWN(options);
    if (spn_producer_open(&producer, client, &options, WAIT_MS) != expected() ||
        spn_producer_close(producer, WAIT_MS, NULL) != SPN_OK)
        return NULL;
    CLEAR_UNKNOWN(options);
    return spn_producer_open(&producer, client, &options, WAIT_MS) == SPN_OK ? producer : NULL;
}

static spn_subscription *subscribe(spn_client *client)
{
    spn_subscription *subscription = NULL;
    struct spn_subscription_options options = {.size = sizeof(options), .start = SPN_EARLIEST};
    SET_UNKNOWN(options);
    if (spn_subscribe(&subscription, client, spn_text("s"), &options) != expected())
        return NULL;
    spn_unsubscribe(subscription);
    CLEAR_UNKNOWN(options);
    return spn_subscribe(&subscription, client, spn_text("s"), &options) == SPN_OK ? subscription
                                                                                   : NULL;
}

/* What an app of this header knows of the answers. An older app's structs are smaller: it has no
 * room for what the library knows. */
static int answers(spn_client *client)
{
    const struct spn_last *last;
    const struct spn_session_info *info;
    const struct spn_session *session;
    const struct spn_health *health;
    const struct spn_event *event;
    spn_replay *replay;
    if (spn_last_event(client, spn_text("s"), WAIT_MS, &last) != SPN_OK || last->seq != 1 ||
        last->id.size == 0)
        return 11;
    if (spn_get_session(client, spn_text("s"), WAIT_MS, &info) != SPN_OK || info->first_seq != 1 ||
        info->session->seq != 1 || info->session->name.size != 1)
        return 12;
    if (spn_next_session(client, spn_text(""), spn_text(""), WAIT_MS, &session) != SPN_OK ||
        session->seq != 1 || session->bytes != 5)
        return 13;
    if (spn_get_health(client, WAIT_MS, &health) != SPN_OK || health->status != SPN_HEALTHY ||
        health->pid == 0 || strcmp(health->version, spn_version()) != 0)
        return 14;
    if (spn_replay_open(&replay, client, spn_text("s"), spn_text(""), WAIT_MS) != SPN_OK)
        return 15;
    if (spn_replay_next(replay, WAIT_MS, &event) != SPN_OK || event->seq != 1 ||
        event->data.size != 5)
        return 16;
    spn_replay_close(replay);
    return 0;
}

int main(void)
{
    struct spn_event event = SPN_EVENT_INIT;
    const struct spn_item *item;
    spn_client *client = open_client();
    if (!client)
        return 1;
    spn_producer *producer = open_producer(client);
    if (!producer)
        return 2;
    event.data = spn_text("hello");
    SET_UNKNOWN(event);
    if (expected() != SPN_OK && spn_publish(producer, spn_text("s"), &event, NULL) != expected())
        return 8;
    CLEAR_UNKNOWN(event);
    if (spn_publish(producer, spn_text("s"), &event, NULL) != SPN_OK ||
        spn_producer_flush(producer, WAIT_MS) != SPN_OK)
        return 3;
    spn_subscription *subscription = subscribe(client);
    if (!subscription)
        return 4;
    if (spn_subscription_next(subscription, WAIT_MS, &item) != SPN_OK ||
        item->kind != SPN_ITEM_VERDICT || item->event || item->why != SPN_OK)
        return 5;
    while (item->kind != SPN_ITEM_EVENT)
        if (spn_subscription_next(subscription, WAIT_MS, &item) != SPN_OK)
            return 5;
    if (item->event->data.size != 5 || memcmp(item->event->data.data, "hello", 5) != 0 ||
        item->seq != 1 || item->missing != 0)
        return 6;
    spn_unsubscribe(subscription);
    int failed = answers(client);
    if (failed != 0)
        return failed;
    if (spn_producer_close(producer, WAIT_MS, NULL) != SPN_OK)
        return 7;
    spn_client_close(client);
    return 0;
}
