/* SPDX-License-Identifier: Apache-2.0 */
#include "http/info.h"

#include "http/answer.h"
#include "http/asking.h"
#include "http/names.h"

static spn_err answer(struct asking *asking)
{
    const struct spn_session_info *info;
    spn_err err = spn_answer_session(asking->question, &info);
    if (err != SPN_OK)
        return err;
    const struct spn_session *session = info->session;
    struct exchange *exchange = asking->exchange;
    answer_add_session(exchange, &session->life, session->seq, session->state);
    answer_add_last_id(exchange, session->last_id);
    answer_add_number(exchange, name_EPOCH, session->epoch);
    answer_add_number(exchange, name_TTL, session->ttl_ms);
    answer_add_number(exchange, name_IDLE_CLOSE, session->idle_close_ms);
    answer_add_number(exchange, name_MISSING, info->first_seq - info->life_first_seq);
    exchange_add(exchange, "Cache-Control", "no-store");
    exchange_answer(exchange, 200, NULL, 0);
    return SPN_OK;
}

void info_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session)
{
    struct asking *asking = asking_begin(gateway, exchange, answer);
    if (asking != NULL)
        asking_asked(asking, spn_ask_session(&asking->question, gateway->client, session));
}
