/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/mail.h"

#include <stdlib.h>

#include "index/idle.h"
#include "mail/batch.h"
#include "mail/load.h"
#include "mail/one_shot.h"
#include "mail/question.h"
#include "mail/settings.h"

static void drop(struct message *message)
{
    switch ((enum message_kind)message->kind) {
    case MESSAGE_BATCH:
        batch_free((struct batch *)message);
        break;
    case MESSAGE_IDLE:
        free((struct idle_sessions *)message);
        break;
    case MESSAGE_SESSION:
    case MESSAGE_SUBSCRIPTION:
        session_question_free((struct session_question *)message);
        break;
    case MESSAGE_GENERATIONS:
        generations_question_free((struct generations_question *)message);
        break;
    case MESSAGE_HOLDER:
        holder_question_free((struct holder_question *)message);
        break;
    case MESSAGE_ONE_SHOT:
        one_shot_free((struct one_shot *)message);
        break;
    case MESSAGE_LOAD:
        load_free((struct load *)message);
        break;
    case MESSAGE_SETTINGS:
        free((struct settings *)message);
        break;
    case MESSAGE_GENERATION:
    case MESSAGE_STOP:
        break; /* the broker's state owns them */
    }
}

void mail_drop(struct mailbox *mailbox)
{
    struct message *message = mailbox_take(mailbox);
    while (message) {
        struct message *next = message->next;
        drop(message);
        message = next;
    }
    mailbox_release(mailbox);
}

void mail_note_damage(struct metrics *metrics, struct mailbox *broker)
{
    metrics_count(&metrics->damaged_reads);
    mailbox_nudge(broker);
}
