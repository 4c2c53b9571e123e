/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/remove.h"

#include "http/ds/answer.h"
#include "http/ds/writing.h"

static void look(struct ds_writing *writing, enum ds_presence presence)
{
    const struct spn_publish_options options = {.size = sizeof(options),
                                                .life = &writing->stream.life};
    if (ds_writing_is_gone(writing, presence)) /* it was there, and somebody deleted it */
        exchange_answer(writing->exchange, 204, NULL, 0);
    else if (presence != DS_THERE)
        ds_answer_absent(writing->exchange);
    else
        ds_writing_asked(writing, spn_ask_delete_with(&writing->change, writing->gateway->client,
                                                      writing->session, &options));
}

static void done(struct ds_writing *writing, const struct spn_published *published)
{
    if (published->result == SPN_REFUSED)
        ds_writing_again(writing, published->code);
    else
        exchange_answer(writing->exchange, 204, NULL, 0);
}

static const struct ds_writing_calls calls = {.look = look, .done = done};

void ds_remove_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session)
{
    (void)ds_writing_begin(gateway, exchange, session, &calls);
}
