/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "feeder.h"

#include "until.h"

enum { OPEN_MS = 10000, SEND_MS = 30000, SETTLE_MS = 60000 };

void feeder_open(struct feeder *feeder)
{
    char detail[256] = "";
    struct spn_producer_options options = spn_producer_defaults();
    options.send_timeout_ms = SEND_MS;
    *feeder = (struct feeder){.client = NULL};
    spn_err err = spn_client_open(&feeder->client, NULL, OPEN_MS, detail, sizeof(detail));
    if (err != SPN_OK)
        fail_msg("client: %s: %s", spn_err_name(err), detail);
    err = spn_producer_open(&feeder->producer, feeder->client, &options, OPEN_MS);
    if (err != SPN_OK)
        fail_msg("producer: %s", spn_err_name(err));
}

void feeder_close(struct feeder *feeder)
{
    spn_err err = spn_producer_close(feeder->producer, 0, NULL);
    (void)err; /* a test that wants everything acknowledged settles first */
    spn_client_close(feeder->client);
}

void feeder_put(struct feeder *feeder, const char *session, const char *id, const char *data)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.id = spn_text(id);
    event.data = spn_text(data);
    spn_err err = spn_publish(feeder->producer, spn_text(session), &event, NULL);
    if (err != SPN_OK)
        fail_msg("publish %s %s: %s: %s", session, id, spn_err_name(err),
                 spn_client_detail(feeder->client));
}

struct spn_counters feeder_settle(struct feeder *feeder)
{
    int ms = until_left_ms(until_in(SETTLE_MS));
    spn_err err = spn_producer_flush(feeder->producer, ms);
    if (err != SPN_OK)
        fail_msg("flush: %s: %s", spn_err_name(err), spn_client_detail(feeder->client));
    struct spn_counters now = *spn_producer_counters(feeder->producer);
    struct spn_counters before = feeder->settled;
    assert_int_equal(now.unacknowledged, 0);
    assert_int_equal(now.refused, 0);
    assert_int_equal(now.lost, 0);
    feeder->settled = now;
    return (struct spn_counters){
        .taken = now.taken - before.taken,
        .stored = now.stored - before.stored,
        .duplicates = now.duplicates - before.duplicates,
        .conflicts = now.conflicts - before.conflicts,
    };
}
