/* SPDX-License-Identifier: Apache-2.0 */
/* model_check: the rules for clients that one message, or two of them, can break. */
#include <stdlib.h>
#include <string.h>

#include "model_base.h"

enum { LIFE = 1, SEQ = 2, NEW = 4, CLOSES = 8, DEPENDS = 16, NOTE = 32 }; /* flags */

#define FIRST_MAX (UINT64_C(1) << 20) /* beyond it contents are not compared */

static void check_limits(const struct model *model, const struct message *batch)
{
    uint64_t count = message_number(batch, "entries.count");
    if (count == 0 || count > 4096)
        fake_violation("BATCH: %llu entries", (unsigned long long)count);
    if (model->batch_events_max > 0 && count > model->batch_events_max)
        fake_violation("BATCH: %llu entries, and WELCOME allows %llu", (unsigned long long)count,
                       (unsigned long long)model->batch_events_max);
    for (uint64_t i = 0; model->data_max > 0 && i < count; i++)
        if (message_number_at(batch, "entries", i, "data.size") > model->data_max)
            fake_violation("BATCH: entry %llu has more data than WELCOME allows",
                           (unsigned long long)i);
}

static void check_batch_head(struct producer *producer, const struct message *batch)
{
    uint64_t first = message_number(batch, "first");
    uint64_t base = message_number(batch, "base");
    int64_t round = (int64_t)message_number(batch, "round");
    if (first == 0 || base == 0 || base > first)
        fake_violation("BATCH: 1 <= base <= first does not hold: base %llu, first %llu",
                       (unsigned long long)base, (unsigned long long)first);
    if (base < producer->base)
        fake_violation("BATCH: base went back from %llu to %llu",
                       (unsigned long long)producer->base, (unsigned long long)base);
    if (round < producer->round)
        fake_violation("BATCH: round went back from %lld to %lld", (long long)producer->round,
                       (long long)round);
    producer->base = base;
    producer->round = round;
}

/* What an entry of this kind may have. */
struct kind_rule {
    const char *kind;
    bool id, type, data, retry; /* it may have these */
    uint64_t flags;             /* bits that it may have */
};

static const struct kind_rule *rule_of(const char *kind)
{
    static const struct kind_rule rules[] = {
        {"event", true, true, true, true, LIFE | SEQ | NEW | CLOSES | DEPENDS | NOTE},
        {"marker", true, false, false, true, LIFE | SEQ | NEW | DEPENDS | NOTE},
        {"reset", false, false, false, true, LIFE | SEQ | NEW | DEPENDS | NOTE},
        {"close", false, false, false, false, LIFE | SEQ | NEW | CLOSES | DEPENDS},
        {"delete", false, false, false, false, LIFE | SEQ | NEW | DEPENDS},
        {"attributes", false, false, true, false, LIFE | SEQ | NEW | DEPENDS},
        {"touch", false, false, false, false, LIFE | SEQ | NEW | DEPENDS},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strcmp(rules[i].kind, kind) == 0)
            return &rules[i];
    return NULL;
}

static void check_entry(const struct message *batch, uint64_t index)
{
    uint64_t flags = message_number_at(batch, "entries", index, "flags");
    const char *kind = message_text_at(batch, "entries", index, "kind");
    const struct kind_rule *rule = rule_of(kind);
    bool retry = message_number_at(batch, "entries", index, "retry") != UINT32_MAX;
    if (rule == NULL || (flags & ~rule->flags) != 0)
        fake_violation("BATCH: an entry of kind %s with the flags %llu", kind,
                       (unsigned long long)flags);
    if ((flags & NEW) != 0 && (flags & (LIFE | SEQ)) != 0)
        fake_violation("BATCH: NEW beside LIFE or SEQ");
    if (strcmp(kind, "close") == 0 && (flags & CLOSES) == 0)
        fake_violation("BATCH: a close without CLOSES");
    if (strcmp(kind, "event") == 0 && *message_text_at(batch, "entries", index, "id") == '\0')
        fake_violation("BATCH: an event without an id");
    if (*message_text_at(batch, "entries", index, "extra.rest") != '\0')
        fake_violation("BATCH: extra bytes that no flag is for");
    if (rule == NULL)
        return;
    if ((!rule->id && *message_text_at(batch, "entries", index, "id") != '\0') ||
        (!rule->type && *message_text_at(batch, "entries", index, "type") != '\0') ||
        (!rule->data && *message_text_at(batch, "entries", index, "data") != '\0') ||
        (!rule->retry && retry))
        fake_violation("BATCH: a %s has an id, a type, data or a retry that it may not have", kind);
}

/* What a number stands for never changes. */
static void check_entries(struct producer *producer, const struct message *batch)
{
    static const char *const fields[] = {"kind",  "id",   "type",   "data", "retry",
                                         "flags", "life", "reason", "note"};
    uint64_t first = message_number(batch, "first");
    const char *session = "";
    for (uint64_t i = 0; i < message_number(batch, "entries.count"); i++) {
        char key[1024];
        const char *named = message_text_at(batch, "entries", i, "session");
        if (*named != '\0')
            session = named;
        int size = snprintf(key, sizeof(key), "%.200s", session);
        for (size_t j = 0; j < sizeof(fields) / sizeof(fields[0]); j++)
            size += snprintf(key + size, sizeof(key) - (size_t)size, " %.120s",
                             message_text_at(batch, "entries", i, fields[j]));
        if (*session == '\0')
            fake_violation("BATCH: entry %llu has no session", (unsigned long long)i);
        uint64_t at = first + i;
        check_entry(batch, i);
        struct number *number = model_number(producer, at);
        if (number->key != NULL && strcmp(number->key, key) != 0)
            fake_violation("BATCH: number %llu was \"%s\" and is now \"%s\"",
                           (unsigned long long)at, number->key, key);
        free(number->key);
        number->key = strdup(key);
    }
}

static void check_batch(struct model *model, const struct message *batch)
{
    struct producer *producer = model_producer(model, message_number(batch, "token"));
    if (producer == NULL) {
        fake_violation("BATCH: token %s was never given", message_text(batch, "token"));
        return;
    }
    uint64_t first = message_number(batch, "first");
    check_limits(model, batch);
    check_batch_head(producer, batch);
    if (first > 0 && first < FIRST_MAX)
        check_entries(producer, batch);
}

static void check_open(struct model *model, const struct message *open)
{
    uint64_t token = message_number(open, "token");
    if (message_number(open, "base") == 0)
        fake_violation("OPEN: base is 0");
    if (message_number(open, "kept") > 1)
        fake_violation("OPEN: kept is %s", message_text(open, "kept"));
    if (token != 0 && model_producer(model, token) == NULL)
        fake_violation("OPEN: token %llu was never given", (unsigned long long)token);
}

static void check_subscribe(struct model *model, const struct message *subscribe)
{
    const struct subscription *before =
        model_subscription(model, message_number(subscribe, "subscription"));
    if (before != NULL && message_number(subscribe, "incarnation") <= before->incarnation)
        fake_violation("SUBSCRIBE: incarnation %s does not rise",
                       message_text(subscribe, "incarnation"));
    if (*message_text(subscribe, "session") == '\0' &&
        strcmp(subscribe->layout->name, "SUBSCRIBE") == 0)
        fake_violation("SUBSCRIBE: there is no session");
    if (strcmp(message_text(subscribe, "start"), "id") == 0 &&
        *message_text(subscribe, "id") == '\0')
        fake_violation("SUBSCRIBE: there is no id to begin after");
}

static void check_credit(struct model *model, const struct message *credit)
{
    uint64_t count = message_number(credit, "grants.count");
    if (count > 4096)
        fake_violation("CREDIT: %llu grants", (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++) {
        struct subscription *subscription =
            model_subscription(model, message_number_at(credit, "grants", i, "subscription"));
        uint64_t granted = message_number_at(credit, "grants", i, "credit");
        if (subscription == NULL ||
            subscription->incarnation != message_number_at(credit, "grants", i, "incarnation"))
            continue;
        if (granted < subscription->credit)
            fake_violation("CREDIT: went back from %llu to %llu",
                           (unsigned long long)subscription->credit, (unsigned long long)granted);
        subscription->credit = granted;
    }
}

/* A request has a number that its answer can echo. */
static void check_request(const struct message *message)
{
    static const char *const plain[] = {"BATCH",  "LEAVE",  "SUBSCRIBE",
                                        "FOLLOW", "CREDIT", "UNSUBSCRIBE"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (strcmp(plain[i], message->layout->name) == 0)
            return;
    if (message_number(message, "request") == 0)
        fake_violation("%s: a request without a number", message->layout->name);
}

void model_check(struct model *model, const struct message *message)
{
    static const struct {
        const char *type;
        void (*check)(struct model *, const struct message *);
    } checks[] = {
        {"BATCH", check_batch},      {"OPEN", check_open},     {"SUBSCRIBE", check_subscribe},
        {"FOLLOW", check_subscribe}, {"CREDIT", check_credit},
    };
    check_request(message);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        if (strcmp(checks[i].type, message->layout->name) == 0)
            checks[i].check(model, message);
}
