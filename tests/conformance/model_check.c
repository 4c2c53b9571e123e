/* SPDX-License-Identifier: Apache-2.0 */
/* model_check: the rules for clients that one message, or two of them, can break. */
#include <stdlib.h>
#include <string.h>

#include "model_base.h"

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
    uint64_t flags;             /* bits that it may have, beside conditions */
};

enum { CONDITIONS = ENTRY_LIFE | ENTRY_SEQ | ENTRY_NEW | ENTRY_DEPENDS };

static const struct kind_rule *rule_of(const char *kind)
{
    static const struct kind_rule rules[] = {
        {"event", true, true, true, true, ENTRY_CLOSES | ENTRY_NOTE},
        {"marker", true, false, false, true, ENTRY_NOTE},
        {"reset", false, false, false, true, ENTRY_NOTE},
        {"close", false, false, false, false, ENTRY_CLOSES},
        {"delete", false, false, false, false, 0},
        {"attributes", false, false, true, false, 0},
        {"touch", false, false, false, false, 0},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strcmp(rules[i].kind, kind) == 0)
            return &rules[i];
    return NULL;
}

/* An entry of a BATCH, or the one of a PUBLISH, whose index is ONE. */
#define ONE UINT64_MAX

static const char *text_of(const struct message *message, uint64_t index, const char *field)
{
    return index == ONE ? message_text(message, field)
                        : message_text_at(message, "entries", index, field);
}

static uint64_t number_of(const struct message *message, uint64_t index, const char *field)
{
    return index == ONE ? message_number(message, field)
                        : message_number_at(message, "entries", index, field);
}

static bool has(const struct message *message, uint64_t index, const char *field)
{
    return *text_of(message, index, field) != '\0';
}

static void check_entry(const struct message *message, uint64_t index)
{
    const char *type = message->layout->name;
    uint64_t flags = number_of(message, index, "flags");
    const char *kind = text_of(message, index, "kind");
    const struct kind_rule *rule = rule_of(kind);
    bool retry = number_of(message, index, "retry") != UINT32_MAX;
    if (rule == NULL || (flags & ~(rule->flags | CONDITIONS)) != 0)
        fake_violation("%s: an entry of kind %s with the flags %llu", type, kind,
                       (unsigned long long)flags);
    if ((flags & ENTRY_NEW) != 0 && (flags & (ENTRY_LIFE | ENTRY_SEQ)) != 0)
        fake_violation("%s: NEW beside LIFE or SEQ", type);
    if (strcmp(kind, "close") == 0 && (flags & ENTRY_CLOSES) == 0)
        fake_violation("%s: a close without CLOSES", type);
    if (strcmp(kind, "event") == 0 && !has(message, index, "id"))
        fake_violation("%s: an event without an id", type);
    if ((flags & ENTRY_NOTE) != 0 && !has(message, index, "note"))
        fake_violation("%s: an empty note", type);
    if (has(message, index, "extra.rest"))
        fake_violation("%s: extra bytes that no flag is for", type);
    if (rule == NULL)
        return;
    if ((!rule->id && has(message, index, "id")) || (!rule->type && has(message, index, "type")) ||
        (!rule->data && has(message, index, "data")) || (!rule->retry && retry))
        fake_violation("%s: a %s has an id, a type, data or a retry that it may not have", type,
                       kind);
}

static void check_publish(struct model *model, const struct message *publish)
{
    (void)model;
    if (message_number(publish, "level") == 0)
        fake_violation("PUBLISH: level none");
    if (!has(publish, ONE, "session"))
        fake_violation("PUBLISH: there is no session");
    if ((message_number(publish, "flags") & ENTRY_DEPENDS) != 0)
        fake_violation("PUBLISH: it depends on a number");
    check_entry(publish, ONE);
}

/* It depends on an earlier number. */
static void check_depends(const struct message *batch, uint64_t index, uint64_t number)
{
    uint64_t depends = number_of(batch, index, "depends");
    if ((number_of(batch, index, "flags") & ENTRY_DEPENDS) != 0 &&
        (depends == 0 || depends >= number))
        fake_violation("BATCH: number %llu depends on %llu", (unsigned long long)number,
                       (unsigned long long)depends);
}

/* What a number stands for never changes. */
static void check_entries(struct producer *producer, const struct message *batch)
{
    static const char *const fields[] = {"kind", "id",     "type", "data",      "retry",  "flags",
                                         "life", "reason", "note", "after_seq", "depends"};
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
        check_depends(batch, i, at);
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

static void check_incarnation(struct model *model, const struct message *message)
{
    const struct subscription *before =
        model_subscription(model, message_number(message, "subscription"));
    if (before != NULL && message_number(message, "incarnation") <= before->incarnation)
        fake_violation("%s: incarnation %s does not rise", message->layout->name,
                       message_text(message, "incarnation"));
}

static void check_follow(struct model *model, const struct message *follow)
{
    check_incarnation(model, follow);
    if (message_number(follow, "start") > 2)
        fake_violation("FOLLOW: start %s", message_text(follow, "start"));
    if (message_number(follow, "flags") > 1)
        fake_violation("FOLLOW: flags %s", message_text(follow, "flags"));
}

static void check_subscribe(struct model *model, const struct message *subscribe)
{
    check_incarnation(model, subscribe);
    if (*message_text(subscribe, "session") == '\0')
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
        {"BATCH", check_batch},   {"OPEN", check_open},       {"SUBSCRIBE", check_subscribe},
        {"FOLLOW", check_follow}, {"PUBLISH", check_publish}, {"CREDIT", check_credit},
    };
    check_request(message);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        if (strcmp(checks[i].type, message->layout->name) == 0)
            checks[i].check(model, message);
}
