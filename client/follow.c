/* SPDX-License-Identifier: Apache-2.0 */
/* follow: spn_follow, a subscription of the log. */
#include <string.h>

#include "sized.h"
#include "subscription_base.h"

static bool is_database(const struct spn_follow_options *options)
{
    static const uint8_t none[SPN_DATABASE_ID_SIZE];
    return memcmp(options->database, none, sizeof(none)) != 0;
}

static spn_err check_options(const struct spn_follow_options *options)
{
    bool after = options->start == SPN_AFTER_POSITION;
    if (!after && options->start != SPN_EARLIEST && options->start != SPN_NOW)
        return SPN_E_INVALID;
    if (after && !is_database(options))
        return SPN_E_INVALID;
    return wire_check_prefix(options->prefix);
}

static uint8_t start_of(spn_start start)
{
    return start == SPN_EARLIEST ? WIRE_LOG_EARLIEST
           : start == SPN_NOW    ? WIRE_LOG_NOW
                                 : WIRE_LOG_AFTER;
}

spn_err spn_follow(spn_subscription **ret_subscription, spn_client *client,
                   const struct spn_follow_options *options)
{
    struct spn_follow_options chosen = {.size = sizeof(chosen)};
    struct spn_subscription *subscription;
    spn_err err = client_check_for(client, ret_subscription);
    if (err != SPN_OK)
        return err;
    if (options != NULL && !sized_take(&chosen, sizeof(chosen),
                                       SIZED_THROUGH(struct spn_follow_options, position), options))
        err = SPN_E_INVALID;
    if (err == SPN_OK)
        err = check_options(&chosen);
    if (err != SPN_OK)
        return client_fail(client, err, NULL);
    err = sub_make(client, chosen.prefix,
                   &(struct spn_subscription_options){.window_bytes = chosen.window_bytes},
                   &subscription);
    if (err != SPN_OK)
        return err;
    subscription->log = true;
    subscription->touches = chosen.touches;
    subscription->asked = (uint8_t)chosen.start;
    subscription->start = start_of(chosen.start);
    memcpy(subscription->after_life.bytes, chosen.database, SPN_DATABASE_ID_SIZE);
    subscription->after_seq = chosen.position;
    err = sub_start(subscription);
    if (err == SPN_OK)
        *ret_subscription = subscription;
    return err;
}
