/* SPDX-License-Identifier: Apache-2.0 */
/* producer_base: what the files of the producer share.
 *
 * producer.c opens, waits and closes. producer_publish.c takes events from the app. producer_turn.c
 * is the producer's part of the client's turn: it sends batches and takes the answers. given_id.c
 * makes ids for events that are published without one.
 *
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_PRODUCER_BASE_H
#define SPN_CLIENT_PRODUCER_BASE_H

#include "producer.h"

enum {
    WINDOW_BYTES_DEFAULT = 4 * 1024 * 1024,
    WINDOW_EVENTS_DEFAULT = 65536,
    LINGER_MS = 100,  /* for what ZeroMQ has not written at the close */
    DECIMAL_MAX = 20, /* digits of UINT64_MAX */
};

/* given_id.c */

/* RFC 4648, section 5, without padding: 16 bytes give 22 characters. */
void prod_encode_prefix(const uint8_t id[WIRE_PRODUCER_ID_SIZE], char out[PRODUCER_PREFIX_SIZE]);

/* Written without a NUL; returns its length. */
size_t prod_write_given_id(const struct spn_producer *producer, uint64_t number,
                           char out[SPN_GIVEN_ID_MAX]);

/* producer_turn.c */

extern const struct client_part_ops prod_part_ops;

/* Puts a checked entry into the window under the next number; an event without an id is given one.
 * false: there is no room for it. */
bool prod_put(struct spn_producer *producer, struct wire_entry *entry, uint64_t *ret_ticket);

/* producer_publish.c */

struct spn_client *prod_client_of(const struct spn_producer *producer);
/* Whether the event may be published at all, with data of up to data_max bytes (0: the sidecar's
 * limit is not known yet); the client's words say why not. */
spn_err prod_check_event(struct spn_client *client, const struct spn_event *event,
                         size_t data_max) SPN_MUST_USE;

/* The largest event data that the producer takes, in bytes. */
size_t prod_data_max(const struct spn_producer *producer);
/* The entry of an event that was checked. */
struct wire_entry prod_entry_of(struct spn_bytes session, const struct spn_event *event);
spn_err prod_check_usable(struct spn_producer *producer);
/* prod_check_usable, and waits until the producer is open. */
spn_err prod_check_open(struct spn_producer *producer) SPN_MUST_USE;
/* Checks the entry's session, and takes the entry into the window, or what waits for it. */
spn_err prod_take(struct spn_producer *producer, struct wire_entry *entry,
                  uint64_t *ret_ticket) SPN_MUST_USE;

/* publish_with.c: what a producer's entries and one-shots have in common. */

/* given: NULL: none of them. */
spn_err prod_take_options(struct spn_client *client, const struct spn_publish_options *given,
                          struct spn_publish_options *ret_options) SPN_MUST_USE;
spn_err prod_set_conditions(struct spn_client *client, struct wire_entry *entry,
                            const struct spn_publish_options *options) SPN_MUST_USE;
spn_err prod_set_reason(struct spn_client *client, struct wire_entry *entry,
                        struct spn_bytes reason) SPN_MUST_USE;
/* Both, for the entry of this event. */
spn_err prod_entry_with(struct spn_client *client, const struct spn_event *event,
                        const struct spn_publish_options *with,
                        struct wire_entry *entry) SPN_MUST_USE;
/* out has room for WIRE_ATTRIBUTES_MAX bytes. */
spn_err prod_put_attributes(struct spn_client *client, const struct spn_attributes *attributes,
                            struct wire_out *out) SPN_MUST_USE;

#endif
