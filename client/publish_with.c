/* SPDX-License-Identifier: Apache-2.0 */
/* publish_with: entries with conditions, and what an app says about a session beside its events. */
#include <string.h>

#include "event.h"
#include "producer_base.h"
#include "sized.h"

static spn_err check_life(struct spn_client *client, const struct spn_publish_options *options)
{
    if (options->life != NULL && !wire_has_life(*options->life))
        return client_refuse(client, "a life of zeros is none");
    if (options->if_new && (options->life != NULL || options->has_if_seq))
        return client_refuse(client, "a new session has neither a life nor a seq yet");
    return SPN_OK;
}

/* What is not sent because the app can know better. */
static spn_err check_dependent(struct spn_producer *producer, uint64_t ticket)
{
    const struct delivery *delivery = &producer->delivery;
    uint64_t next = delivery->window.next;
    if (ticket == 0)
        return SPN_OK;
    if (delivery->options.level == SPN_NONE || producer->options.latest_only)
        return client_refuse(producer->client,
                             "with level none or latest only nothing can depend on a ticket");
    if (ticket >= next || next - ticket > DEPENDS_DISTANCE_MAX)
        return client_refuse(producer->client,
                             "what it depends on is no ticket, or is more than 2,048 before it");
    if (ticket < delivery->window.base && !results_has(&delivery->results, ticket))
        return client_refuse(producer->client,
                             "the result of what it depends on was fetched already");
    return SPN_OK;
}

spn_err prod_set_conditions(struct spn_client *client, struct wire_entry *entry,
                            const struct spn_publish_options *options)
{
    spn_err err = check_life(client, options);
    if (err != SPN_OK)
        return err;
    entry->flags |= (options->if_new ? WIRE_FLAG_NEW : 0) |
                    (options->has_if_seq ? WIRE_FLAG_SEQ : 0) |
                    (options->life != NULL ? WIRE_FLAG_LIFE : 0) |
                    (options->dependent != 0 ? WIRE_FLAG_DEPENDS : 0);
    entry->seq = options->if_seq;
    entry->depends = options->dependent;
    if (options->life != NULL)
        entry->life = *options->life;
    return SPN_OK;
}

spn_err prod_set_reason(struct spn_client *client, struct wire_entry *entry,
                        struct spn_bytes reason)
{
    spn_err err = wire_check_reason(reason);
    if (err != SPN_OK)
        return client_fail(client, err, NULL);
    entry->flags |= WIRE_FLAG_CLOSES;
    entry->reason = reason;
    return SPN_OK;
}

spn_err prod_take_options(struct spn_client *client, const struct spn_publish_options *given,
                          struct spn_publish_options *ret_options)
{
    *ret_options = (struct spn_publish_options){.size = sizeof(*ret_options)};
    if (given != NULL && !sized_take(ret_options, sizeof(*ret_options),
                                     SIZED_THROUGH(struct spn_publish_options, reason), given))
        return client_refuse(client, "options of another size, or with unknown fields");
    return SPN_OK;
}

spn_err prod_entry_with(struct spn_client *client, const struct spn_event *event,
                        const struct spn_publish_options *with, struct wire_entry *entry)
{
    spn_err err = prod_set_conditions(client, entry, with);
    if (err == SPN_OK && with->closes && event->kind != SPN_EVENT)
        err = client_refuse(client, "a marker cannot close its session");
    return err == SPN_OK && with->closes ? prod_set_reason(client, entry, with->reason) : err;
}

spn_err spn_publish_with(spn_producer *producer, struct spn_bytes session,
                         const struct spn_event *given, const struct spn_publish_options *options,
                         uint64_t *ret_ticket)
{
    struct spn_publish_options with;
    struct spn_event copy;
    const struct spn_event *event = NULL;
    struct wire_entry entry;
    spn_err err = prod_check_open(producer);
    if (err == SPN_OK && given == NULL)
        err = client_refuse(producer->client, "there is no event");
    if (err == SPN_OK && (event = event_given(given, &copy)) == NULL)
        err = client_refuse(producer->client, EVENT_WITHOUT_SIZE);
    if (err == SPN_OK)
        err = prod_take_options(producer->client, options, &with);
    if (err == SPN_OK)
        err = prod_check_event(producer->client, event, prod_data_max(producer));
    if (err != SPN_OK)
        return err;
    entry = prod_entry_of(session, event);
    err = prod_entry_with(producer->client, event, &with, &entry);
    if (err == SPN_OK)
        err = check_dependent(producer, with.dependent);
    return err == SPN_OK ? prod_take(producer, &entry, ret_ticket) : err;
}

/* An entry that has a session, options and perhaps data. */
static spn_err change_session(struct spn_producer *producer, enum wire_kind kind,
                              struct spn_bytes session, struct spn_bytes data,
                              const struct spn_publish_options *options, uint64_t *ret_ticket)
{
    struct spn_publish_options with;
    struct wire_entry entry = {
        .kind = (uint8_t)kind, .session = session, .data = data, .retry_ms = WIRE_RETRY_NONE};
    spn_err err = prod_take_options(producer->client, options, &with);
    if (err == SPN_OK)
        err = prod_set_conditions(producer->client, &entry, &with);
    if (err == SPN_OK)
        err = check_dependent(producer, with.dependent);
    if (err == SPN_OK && kind == WIRE_CLOSE)
        err = prod_set_reason(producer->client, &entry, with.reason);
    return err == SPN_OK ? prod_take(producer, &entry, ret_ticket) : err;
}

spn_err spn_session_close_with(spn_producer *producer, struct spn_bytes session,
                               const struct spn_publish_options *options, uint64_t *ret_ticket)
{
    static const struct spn_bytes none = {NULL, 0};
    spn_err err = prod_check_open(producer);
    return err == SPN_OK ? change_session(producer, WIRE_CLOSE, session, none, options, ret_ticket)
                         : err;
}

spn_err spn_session_delete_with(spn_producer *producer, struct spn_bytes session,
                                const struct spn_publish_options *options, uint64_t *ret_ticket)
{
    static const struct spn_bytes none = {NULL, 0};
    spn_err err = prod_check_open(producer);
    return err == SPN_OK ? change_session(producer, WIRE_DELETE, session, none, options, ret_ticket)
                         : err;
}

spn_err spn_session_touch(spn_producer *producer, struct spn_bytes session,
                          const struct spn_publish_options *options, uint64_t *ret_ticket)
{
    static const struct spn_bytes none = {NULL, 0};
    spn_err err = prod_check_open(producer);
    return err == SPN_OK ? change_session(producer, WIRE_TOUCH, session, none, options, ret_ticket)
                         : err;
}

static bool are_good(const struct spn_attributes *attributes)
{
    bool typed = attributes->content_type.size > 0;
    bool nowhere = (typed && attributes->content_type.data == NULL) ||
                   (attributes->note.size > 0 && attributes->note.data == NULL);
    return !nowhere && attributes->note.size <= WIRE_SESSION_NOTE_MAX &&
           (!typed || wire_check_session(attributes->content_type) == SPN_OK) &&
           attributes->ttl_ms <= SPN_SPAN_MS_MAX && attributes->idle_close_ms <= SPN_SPAN_MS_MAX;
}

spn_err prod_put_attributes(struct spn_client *client, const struct spn_attributes *attributes,
                            struct wire_out *out)
{
    struct spn_attributes set;
    if (attributes == NULL ||
        !sized_take(&set, sizeof(set), SIZED_THROUGH(struct spn_attributes, note), attributes))
        return client_refuse(client, "no attributes, or of another size");
    if (!are_good(&set))
        return client_fail(client, SPN_E_BAD_ATTRIBUTES, NULL);
    wire_put_attributes(out, &(struct wire_attributes){.ttl_ms = set.ttl_ms,
                                                       .idle_close_ms = set.idle_close_ms,
                                                       .content_type = set.content_type,
                                                       .note = set.note});
    return SPN_OK;
}

spn_err spn_session_set(spn_producer *producer, struct spn_bytes session,
                        const struct spn_attributes *attributes,
                        const struct spn_publish_options *options, uint64_t *ret_ticket)
{
    uint8_t bytes[WIRE_ATTRIBUTES_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    spn_err err = prod_check_open(producer);
    if (err == SPN_OK)
        err = prod_put_attributes(producer->client, attributes, &out);
    if (err != SPN_OK)
        return err;
    const struct spn_bytes data = {bytes, wire_out_size(&out)};
    return change_session(producer, WIRE_ATTRIBUTES, session, data, options, ret_ticket);
}

static struct spn_publish_options of_life(const struct spn_life *life)
{
    return (struct spn_publish_options){.size = sizeof(struct spn_publish_options), .life = life};
}

spn_err spn_session_close(spn_producer *producer, struct spn_bytes session,
                          const struct spn_life *life, uint64_t *ret_ticket)
{
    const struct spn_publish_options options = of_life(life);
    return spn_session_close_with(producer, session, &options, ret_ticket);
}

spn_err spn_session_delete(spn_producer *producer, struct spn_bytes session,
                           const struct spn_life *life, uint64_t *ret_ticket)
{
    const struct spn_publish_options options = of_life(life);
    return spn_session_delete_with(producer, session, &options, ret_ticket);
}
