/* SPDX-License-Identifier: Apache-2.0 */
/* publish_once: one-shots: one entry, one answer, no producer.
 *
 * A one-shot is a question on ingest.sock. One that gets no answer is sent again, as every question
 * is. An entry with an id is then recognised by the sidecar, and answered as a duplicate if it was
 * stored before.
 */
#include <stdlib.h>

#include "client.h"
#include "err.h"
#include "event.h"
#include "inspect.h"
#include "producer_base.h"

/* -- what is asked ----------------------------------------------------------------------------- */

struct once {
    struct question_request request; /* its body is `out` */
    struct wire_out out;             /* malloced */
};

static spn_err encode(struct spn_client *client, struct once *once,
                      const struct wire_publish *publish)
{
    size_t size = WIRE_PUBLISH_HEAD_SIZE + wire_entry_size(&publish->entry);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        return client_fail(client, SPN_E_NOMEM, NULL);
    once->out = wire_out(bytes, size);
    once->request = (struct question_request){WIRE_PUBLISH, WIRE_PUBLISHED, &once->out};
    wire_put_publish(&once->out, publish);
    return SPN_OK;
}

static spn_err check_session(struct spn_client *client, struct spn_bytes session)
{
    spn_err err = wire_check_session(session);
    return err == SPN_OK ? SPN_OK : client_fail(client, err, NULL);
}

static spn_err take_options(struct spn_client *client, const struct spn_publish_options *options,
                            struct spn_publish_options *ret_with)
{
    spn_err err = prod_take_options(client, options, ret_with);
    if (err == SPN_OK && ret_with->dependent != 0)
        err = client_refuse(client, "a one-shot depends on no ticket");
    return err;
}

static spn_err encode_event(struct spn_client *client, struct once *once, struct spn_bytes session,
                            const struct spn_event *event,
                            const struct spn_publish_options *options, spn_level level)
{
    struct spn_publish_options with;
    spn_err err = take_options(client, options, &with);
    if (err == SPN_OK && event == NULL)
        err = client_refuse(client, "there is no event");
    if (err == SPN_OK && level != SPN_ACCEPTED && level != SPN_DURABLE)
        err = client_refuse(client, "a one-shot is of level accepted or durable");
    if (err == SPN_OK)
        err = check_session(client, session);
    if (err == SPN_OK)
        err = prod_check_event(client, event, client->data_max);
    if (err != SPN_OK)
        return err;
    if (event->kind == SPN_EVENT && event->id.size == 0)
        return client_fail(client, SPN_E_BAD_ID,
                           "a one-shot has an id, by which the sidecar recognises a repeat");
    struct wire_publish publish = {.level = (uint8_t)level, .entry = prod_entry_of(session, event)};
    err = prod_entry_with(client, event, &with, &publish.entry);
    return err == SPN_OK ? encode(client, once, &publish) : err;
}

/* attributes: for that kind. */
static spn_err encode_change(struct spn_client *client, struct once *once, enum wire_kind kind,
                             struct spn_bytes session, const struct spn_attributes *attributes,
                             const struct spn_publish_options *options)
{
    struct spn_publish_options with;
    uint8_t bytes[WIRE_ATTRIBUTES_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct wire_publish publish = {
        .level = WIRE_DURABLE,
        .entry = {.kind = (uint8_t)kind, .session = session, .retry_ms = WIRE_RETRY_NONE}};
    spn_err err = take_options(client, options, &with);
    if (err == SPN_OK)
        err = prod_set_conditions(client, &publish.entry, &with);
    if (err == SPN_OK && kind == WIRE_CLOSE)
        err = prod_set_reason(client, &publish.entry, with.reason);
    if (err == SPN_OK && kind == WIRE_ATTRIBUTES)
        err = prod_put_attributes(client, attributes, &out);
    if (err == SPN_OK)
        err = check_session(client, session);
    if (err != SPN_OK)
        return err;
    publish.entry.data = (struct spn_bytes){bytes, wire_out_size(&out)};
    return encode(client, once, &publish);
}

static struct spn_publish_options of_life(const struct spn_life *life)
{
    return (struct spn_publish_options){.size = sizeof(struct spn_publish_options), .life = life};
}

/* -- asking ------------------------------------------------------------------------------------ */

static spn_err ask(spn_question **ret_question, struct spn_client *client, struct once *once)
{
    spn_err err = question_ask(ret_question, client, &once->request);
    free(once->out.start);
    return err;
}

spn_err spn_ask_publish_with(spn_question **ret_question, spn_client *client,
                             struct spn_bytes session, const struct spn_event *event,
                             const struct spn_publish_options *options, spn_level level)
{
    struct once once;
    spn_err err = client_check_for(client, ret_question);
    if (err == SPN_OK)
        err = encode_event(client, &once, session, event, options, level);
    return err == SPN_OK ? ask(ret_question, client, &once) : err;
}

spn_err spn_ask_publish(spn_question **ret_question, spn_client *client, struct spn_bytes session,
                        const struct spn_event *event, spn_level level)
{
    return spn_ask_publish_with(ret_question, client, session, event, NULL, level);
}

static spn_err ask_change(spn_question **ret_question, spn_client *client, enum wire_kind kind,
                          struct spn_bytes session, const struct spn_attributes *attributes,
                          const struct spn_publish_options *options)
{
    struct once once;
    spn_err err = client_check_for(client, ret_question);
    if (err == SPN_OK)
        err = encode_change(client, &once, kind, session, attributes, options);
    return err == SPN_OK ? ask(ret_question, client, &once) : err;
}

spn_err spn_ask_close_with(spn_question **ret_question, spn_client *client,
                           struct spn_bytes session, const struct spn_publish_options *options)
{
    return ask_change(ret_question, client, WIRE_CLOSE, session, NULL, options);
}

spn_err spn_ask_close(spn_question **ret_question, spn_client *client, struct spn_bytes session,
                      const struct spn_life *life)
{
    const struct spn_publish_options options = of_life(life);
    return ask_change(ret_question, client, WIRE_CLOSE, session, NULL, &options);
}

spn_err spn_ask_delete_with(spn_question **ret_question, spn_client *client,
                            struct spn_bytes session, const struct spn_publish_options *options)
{
    return ask_change(ret_question, client, WIRE_DELETE, session, NULL, options);
}

spn_err spn_ask_delete(spn_question **ret_question, spn_client *client, struct spn_bytes session,
                       const struct spn_life *life)
{
    const struct spn_publish_options options = of_life(life);
    return ask_change(ret_question, client, WIRE_DELETE, session, NULL, &options);
}

spn_err spn_ask_touch(spn_question **ret_question, spn_client *client, struct spn_bytes session,
                      const struct spn_publish_options *options)
{
    return ask_change(ret_question, client, WIRE_TOUCH, session, NULL, options);
}

spn_err spn_ask_set(spn_question **ret_question, spn_client *client, struct spn_bytes session,
                    const struct spn_attributes *attributes,
                    const struct spn_publish_options *options)
{
    return ask_change(ret_question, client, WIRE_ATTRIBUTES, session, attributes, options);
}

spn_err spn_answer_published(spn_question *question, const struct spn_published **ret_published)
{
    struct wire_in in;
    struct wire_published answer;
    spn_err err = question_open(question, WIRE_PUBLISH, ret_published, &in);
    if (err != SPN_OK)
        return err;
    wire_get_published(&in, &answer);
    if (!wire_in_done(&in))
        return question_bad_answer(question);
    struct spn_published *made = question_room(question, sizeof(*made));
    if (made == NULL)
        return SPN_E_NOMEM;
    *made = (struct spn_published){
        .result = (spn_result)answer.result,
        .code = err_from_wire(answer.code),
        .state = (spn_session_state)answer.state,
        .life = answer.life,
        .seq = answer.seq,
        .position = answer.position,
        .id = answer.id,
    };
    *ret_published = made;
    return SPN_OK;
}

/* -- waiting ----------------------------------------------------------------------------------- */

/* ret_published was checked. */
static spn_err ask_and_wait(struct spn_client *client, struct once *once, int timeout_ms,
                            const struct spn_published **ret_published)
{
    spn_question *question;
    spn_err err = inspect_ask(client, &once->request, timeout_ms, &question);
    free(once->out.start);
    return err == SPN_OK ? spn_answer_published(question, ret_published) : err;
}

spn_err spn_publish_once_with(spn_client *client, struct spn_bytes session,
                              const struct spn_event *event,
                              const struct spn_publish_options *options, spn_level level,
                              int timeout_ms, const struct spn_published **ret_published)
{
    struct once once;
    spn_err err = client_check_for(client, ret_published);
    if (err == SPN_OK)
        err = encode_event(client, &once, session, event, options, level);
    return err == SPN_OK ? ask_and_wait(client, &once, timeout_ms, ret_published) : err;
}

spn_err spn_publish_once(spn_client *client, struct spn_bytes session,
                         const struct spn_event *event, spn_level level, int timeout_ms,
                         const struct spn_published **ret_published)
{
    return spn_publish_once_with(client, session, event, NULL, level, timeout_ms, ret_published);
}

static spn_err change_once(spn_client *client, enum wire_kind kind, struct spn_bytes session,
                           const struct spn_attributes *attributes,
                           const struct spn_publish_options *options, int timeout_ms,
                           const struct spn_published **ret_published)
{
    struct once once;
    spn_err err = client_check_for(client, ret_published);
    if (err == SPN_OK)
        err = encode_change(client, &once, kind, session, attributes, options);
    return err == SPN_OK ? ask_and_wait(client, &once, timeout_ms, ret_published) : err;
}

spn_err spn_close_once_with(spn_client *client, struct spn_bytes session,
                            const struct spn_publish_options *options, int timeout_ms,
                            const struct spn_published **ret_published)
{
    return change_once(client, WIRE_CLOSE, session, NULL, options, timeout_ms, ret_published);
}

spn_err spn_close_once(spn_client *client, struct spn_bytes session, const struct spn_life *life,
                       int timeout_ms, const struct spn_published **ret_published)
{
    const struct spn_publish_options options = of_life(life);
    return change_once(client, WIRE_CLOSE, session, NULL, &options, timeout_ms, ret_published);
}

spn_err spn_delete_once_with(spn_client *client, struct spn_bytes session,
                             const struct spn_publish_options *options, int timeout_ms,
                             const struct spn_published **ret_published)
{
    return change_once(client, WIRE_DELETE, session, NULL, options, timeout_ms, ret_published);
}

spn_err spn_delete_once(spn_client *client, struct spn_bytes session, const struct spn_life *life,
                        int timeout_ms, const struct spn_published **ret_published)
{
    const struct spn_publish_options options = of_life(life);
    return change_once(client, WIRE_DELETE, session, NULL, &options, timeout_ms, ret_published);
}

spn_err spn_touch_once(spn_client *client, struct spn_bytes session,
                       const struct spn_publish_options *options, int timeout_ms,
                       const struct spn_published **ret_published)
{
    return change_once(client, WIRE_TOUCH, session, NULL, options, timeout_ms, ret_published);
}

spn_err spn_set_once(spn_client *client, struct spn_bytes session,
                     const struct spn_attributes *attributes,
                     const struct spn_publish_options *options, int timeout_ms,
                     const struct spn_published **ret_published)
{
    return change_once(client, WIRE_ATTRIBUTES, session, attributes, options, timeout_ms,
                       ret_published);
}
