/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/question.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct session_question *session_question_new(enum message_kind kind, size_t count)
{
    struct session_question *question =
        calloc(1, sizeof(*question) + count * sizeof(question->sessions[0]));
    if (!question)
        return NULL;
    question->message.kind = kind;
    question->count = count;
    zmq_msg_init(&question->frame);
    return question;
}

void session_question_name(struct session_question *question, size_t i, struct spn_bytes name)
{
    assert(i < question->count && name.size <= WIRE_SESSION_MAX);
    struct session_asked *session = &question->sessions[i];
    if (name.size > 0)
        memcpy(session->name_bytes, name.data, name.size);
    session->name = (struct spn_bytes){session->name_bytes, name.size};
}

void session_question_free(struct session_question *question)
{
    if (!question)
        return;
    for (size_t i = 0; i < question->count; i++) {
        view_release(&question->sessions[i].view);
        view_release(&question->sessions[i].next);
    }
    zmq_msg_close(&question->frame);
    free(question);
}

struct generations_question *generations_question_new(const struct asker *asker)
{
    struct generations_question *question = calloc(1, sizeof(*question));
    if (!question)
        return NULL;
    question->message.kind = MESSAGE_GENERATIONS;
    question->asker = *asker;
    zmq_msg_init(&question->frame);
    return question;
}

void generations_question_free(struct generations_question *question)
{
    if (!question)
        return;
    view_release(&question->view);
    zmq_msg_close(&question->frame);
    free(question);
}

struct holder_question *holder_question_new(const struct asker *asker)
{
    struct holder_question *question = calloc(1, sizeof(*question));
    if (!question)
        return NULL;
    question->message.kind = MESSAGE_HOLDER;
    question->asker = *asker;
    return question;
}

void holder_question_free(struct holder_question *question)
{
    if (!question)
        return;
    free(question->runs);
    free(question);
}
