/* SPDX-License-Identifier: Apache-2.0 */
/* model_follow: subscriptions by number. What they deliver is the script's. */
#include <stdlib.h>
#include <string.h>

#include "model_base.h"

static const char life[] = "6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c";

const char *model_life(void)
{
    return life;
}

struct subscription *model_subscription(struct model *model, uint64_t number)
{
    for (size_t i = 0; i < model->subscription_count; i++)
        if (model->subscriptions[i].number == number)
            return &model->subscriptions[i];
    return NULL;
}

static void remove_subscription(struct model *model, uint64_t number)
{
    struct subscription *found = model_subscription(model, number);
    if (found != NULL)
        *found = model->subscriptions[--model->subscription_count];
}

void model_note_subscription(struct model *model, const struct message *message)
{
    uint64_t number = message_number(message, "subscription");
    bool begins = strcmp(message->layout->name, "SUBSCRIBE") == 0 ||
                  strcmp(message->layout->name, "FOLLOW") == 0;
    if (strcmp(message->layout->name, "UNSUBSCRIBE") == 0)
        remove_subscription(model, number);
    if (!begins)
        return;
    struct subscription *subscription = model_subscription(model, number);
    if (subscription == NULL) {
        if (model->subscription_count == SUBSCRIPTIONS_MAX) {
            fake_violation("more subscriptions than this sidecar keeps");
            return;
        }
        subscription = &model->subscriptions[model->subscription_count++];
    }
    bool log = strcmp(message->layout->name, "FOLLOW") == 0;
    *subscription = (struct subscription){.log = log,
                                          .number = number,
                                          .incarnation = message_number(message, "incarnation"),
                                          .credit = message_number(message, "credit")};
}

/* -- deliveries -------------------------------------------------------------------------------- */

static void default_number_at(struct message *message, const char *list, uint64_t index,
                              const char *field, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    message_default_at(message, list, index, field, text);
}

/* What a gap of the log counts for credit: its head and two positions. */
enum { LOG_GAP_BYTES = 48 + 16 };

/* The bytes of one delivery's items: those of the message as far as it is. */
static uint64_t size_items(struct message *message, uint64_t index)
{
    static const char *const names[] = {"items.size", "body.size"};
    char words[WORDS_SIZE];
    struct bytes bytes = {NULL, 0, 0};
    struct message read = {0};
    uint64_t size = 0;
    if (message_encode(message, &bytes, words) &&
        message_decode(&read, bytes.at, bytes.size, words))
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            size += message_number_at(&read, "deliveries", index, names[i]);
    bytes_release(&bytes);
    message_release(&read);
    return size;
}

static void complete_item(struct message *message, const char *items, uint64_t index, bool log)
{
    message_default_at(message, items, index, "retry", "4294967295");
    message_default_at(message, items, index, "kind", "event");
    if (!log)
        return;
    bool closes = strcmp(message_text_at(message, items, index, "kind"), "close") == 0;
    default_number_at(message, items, index, "flags", ENTRY_LIFE | (closes ? ENTRY_CLOSES : 0));
    if ((strtoull(message_text_at(message, items, index, "flags"), NULL, 10) & ENTRY_LIFE) != 0)
        message_default_at(message, items, index, "life", model_life());
}

/* The seq of the last item, of the log its position; seq if there is none. */
static uint64_t complete_items(struct message *message, const char *items, uint64_t seq, bool log)
{
    const char *place = log ? "position" : "seq";
    for (uint64_t i = 0; *message_text_at(message, items, i, place) != '\0'; i++) {
        seq = strtoull(message_text_at(message, items, i, place), NULL, 10);
        if (!log)
            default_number_at(message, items, i, "position", 100 + seq);
        complete_item(message, items, i, log);
    }
    return seq;
}

/* Of a gap of the log. */
static uint64_t last_gone(struct message *message, uint64_t index, uint64_t seq)
{
    char name[MESSAGE_NAME_SIZE];
    snprintf(name, sizeof(name), "deliveries.%llu.gone.0.last", (unsigned long long)index);
    const char *last = message_text(message, name);
    return *last != '\0' ? strtoull(last, NULL, 10) : seq;
}

static void complete_delivery(struct message *message, uint64_t index,
                              const struct subscription *of)
{
    char items[MESSAGE_NAME_SIZE];
    const char *kind = message_text_at(message, "deliveries", index, "kind");
    bool events = strcmp(kind, "events") == 0;
    bool gone = *message_text_at(message, "deliveries", index, "gone.0.first") != '\0';
    snprintf(items, sizeof(items), "deliveries.%llu.items", (unsigned long long)index);
    uint64_t seq = complete_items(message, items, of != NULL ? of->seq : 0, of != NULL && of->log);
    default_number_at(message, "deliveries", index, "seq", last_gone(message, index, seq));
    if (of == NULL)
        return;
    if (!events && strcmp(kind, "gap") != 0)
        message_default_at(message, "deliveries", index, "life",
                           of->log ? model_database() : model_life());
    default_number_at(message, "deliveries", index, "incarnation", of->incarnation);
    default_number_at(message, "deliveries", index, "bytes",
                      of->bytes + (events ? size_items(message, index)
                                   : gone ? LOG_GAP_BYTES
                                          : 0));
}

void model_complete(const struct model *model, struct message *message)
{
    if (strcmp(message->layout->name, "DELIVER") != 0)
        return;
    for (uint64_t i = 0; *message_text_at(message, "deliveries", i, "kind") != '\0'; i++) {
        const char *number = message_text_at(message, "deliveries", i, "subscription");
        complete_delivery(
            message, i,
            model_subscription((struct model *)(uintptr_t)model, strtoull(number, NULL, 10)));
    }
}

static void note_welcome(struct model *model, const struct message *welcome)
{
    model->batch_events_max = message_number(welcome, "batch_events_max");
    model->data_max = message_number(welcome, "data_max");
}

/* A subscription is over with its end. */
void model_note_sent(struct model *model, const struct message *message)
{
    if (strcmp(message->layout->name, "WELCOME") == 0)
        note_welcome(model, message);
    if (strcmp(message->layout->name, "DELIVER") != 0)
        return;
    for (uint64_t i = 0; *message_text_at(message, "deliveries", i, "kind") != '\0'; i++) {
        uint64_t number = message_number_at(message, "deliveries", i, "subscription");
        struct subscription *of = model_subscription(model, number);
        if (of == NULL ||
            of->incarnation != message_number_at(message, "deliveries", i, "incarnation"))
            continue;
        of->seq = message_number_at(message, "deliveries", i, "seq");
        of->bytes = message_number_at(message, "deliveries", i, "bytes");
        if (strcmp(message_text_at(message, "deliveries", i, "kind"), "end") == 0)
            remove_subscription(model, number);
    }
}

/* -- credit ------------------------------------------------------------------------------------ */

/* A grant for a subscription that is not there is answered with an end. */
static void end_unknown(struct fake *fake, struct received *received, uint64_t index)
{
    char words[WORDS_SIZE];
    struct message end = {.layout = layout_by_name("DELIVER")};
    const struct message *credit = &received->message;
    message_set(&end, "request", "0");
    message_set_number(&end, "deliveries.0.subscription",
                       message_number_at(credit, "grants", index, "subscription"));
    message_set_number(&end, "deliveries.0.incarnation",
                       message_number_at(credit, "grants", index, "incarnation"));
    message_set(&end, "deliveries.0.kind", "end");
    message_set(&end, "deliveries.0.verdict", "unsubscribed");
    if (!fake_send(fake, received->socket, &received->peer, &end, words))
        fake_violation("the model's end cannot be sent: %s", words);
    message_release(&end);
}

void model_take_credit(struct model *model, struct fake *fake, struct received *received)
{
    char words[WORDS_SIZE];
    uint64_t count = message_number(&received->message, "grants.count");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = message_number_at(&received->message, "grants", i, "subscription");
        if (model_subscription(model, number) == NULL)
            end_unknown(fake, received, i);
    }
    struct message alive = {.layout = layout_by_name("ALIVE")};
    if (alive.layout == NULL)
        return;
    message_set_number(&alive, "instance", fake->instance);
    message_set_number(&alive, "subscriptions", model->subscription_count);
    if (!fake_answer(fake, received, &alive, words))
        fake_violation("the model's ALIVE cannot be sent: %s", words);
    message_release(&alive);
}
