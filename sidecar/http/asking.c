/* SPDX-License-Identifier: Apache-2.0 */
#include "http/asking.h"

#include <stdlib.h>

#include "http/answer.h"

static void refuse(struct asking *asking, spn_err err)
{
    if (asking->give_up != NULL)
        asking->give_up(asking, err);
    else
        answer_err(asking->exchange, err);
}

static void on_answer(struct waiter *waiter, spn_question *question)
{
    (void)question;
    struct asking *asking = LINK_OWNER(waiter, struct asking, waiter);
    gateway_wait(asking->gateway, waiter, 0);
    if (exchange_is_answered(asking->exchange))
        return;
    spn_err err = asking->answer(asking);
    spn_question_close(asking->question); /* its peer may take long to read the answer */
    asking->question = NULL;
    if (err != SPN_OK)
        refuse(asking, err);
}

static void on_due(struct waiter *waiter)
{
    struct asking *asking = LINK_OWNER(waiter, struct asking, waiter);
    if (!exchange_is_answered(asking->exchange))
        refuse(asking, SPN_E_UNAVAILABLE);
}

static void over(struct exchange *exchange)
{
    struct asking *asking = exchange_state(exchange);
    gateway_wait(asking->gateway, &asking->waiter, 0);
    spn_question_close(asking->question);
    memory_release(&asking->share);
    free(asking);
}

static const struct exchange_calls calls = {.take = exchange_ignore, .over = over};

struct asking *asking_begin(struct gateway *gateway, struct exchange *exchange,
                            spn_err (*answer)(struct asking *asking))
{
    struct asking *asking = calloc(1, sizeof(*asking));
    if (asking == NULL) {
        answer_err(exchange, SPN_E_NOMEM);
        return NULL;
    }
    *asking = (struct asking){
        .waiter = {.deadline = DEADLINE_INIT, .on_due = on_due, .on_answer = on_answer},
        .gateway = gateway,
        .exchange = exchange,
        .answer = answer,
    };
    memory_share_init(&asking->share, &gateway->memory[MEMORY_ANSWERS], NULL);
    exchange_set(exchange, &calls, asking);
    return asking;
}

void asking_asked(struct asking *asking, spn_err err)
{
    if (err != SPN_OK) {
        refuse(asking, err);
        return;
    }
    spn_question_set_context(asking->question, &asking->waiter);
    gateway_wait(asking->gateway, &asking->waiter, asking->gateway->options->ask_ns);
}
