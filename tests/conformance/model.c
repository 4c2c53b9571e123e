/* SPDX-License-Identifier: Apache-2.0 */
/* model: producers. model_session.c has sessions, model_follow.c subscriptions, model_check.c the
 * rules. */
#include <stdlib.h>
#include <string.h>

#include "model_base.h"

enum { LEVEL_NONE, LEVEL_ACCEPTED, LEVEL_DURABLE };
enum { CODE_STALE_TOKEN = 19, CODE_FENCED = 20, CODE_LIMIT = 71 };
enum { NUMBERS_MAX = 1 << 20 };

static const char database[] = "6162636465666768696a6b6c6d6e6f70";

struct model *model_new(void)
{
    struct model *model = calloc(1, sizeof(*model));
    if (model == NULL)
        abort();
    model->commits = true;
    model->next_token = UINT64_C(0x7001);
    return model;
}

void model_free(struct model *model)
{
    for (size_t i = 0; i < model->producer_count; i++) {
        for (size_t j = 0; j < model->producers[i].count; j++)
            free(model->producers[i].numbers[j].key);
        free(model->producers[i].numbers);
        free(model->producers[i].id);
    }
    model_free_sessions(model);
    free(model);
}

const char *model_database(void)
{
    return database;
}

uint64_t model_token(const struct model *model)
{
    return model->opened != NULL ? model->opened->token : 0;
}

struct producer *model_producer(struct model *model, uint64_t token)
{
    for (size_t i = 0; i < model->producer_count; i++)
        if (model->producers[i].token == token)
            return &model->producers[i];
    return NULL;
}

struct number *model_number(struct producer *producer, uint64_t number)
{
    static const struct number none;
    while (producer->count < number) {
        if (producer->count == producer->room) {
            producer->room = (producer->room + 64) * 2;
            producer->numbers =
                realloc(producer->numbers, producer->room * sizeof(*producer->numbers));
            if (producer->numbers == NULL)
                abort();
        }
        producer->numbers[producer->count++] = none;
    }
    return &producer->numbers[number - 1];
}

void model_restart(struct model *model)
{
    for (size_t i = 0; i < model->producer_count; i++) {
        struct producer *producer = &model->producers[i];
        producer->live = false;
        producer->accepted = producer->acked = producer->durable;
    }
    model->subscription_count = 0;
}

void model_fence(struct model *model)
{
    for (size_t i = 0; i < model->producer_count; i++) {
        model->producers[i].live = false;
        model->producers[i].fenced = true;
    }
}

void model_refuse(struct model *model, uint32_t code, unsigned count)
{
    model->refuse_code = code;
    model->refuse_count = count;
}

void model_forget_subscriptions(struct model *model)
{
    model->subscription_count = 0;
}

bool model_answers(uint8_t type)
{
    static const char *const names[] = {"HELLO",  "OPEN",  "STATE",  "BATCH",
                                        "CREDIT", "LEAVE", "PUBLISH"};
    const struct layout *layout = layout_by_number(type);
    for (size_t i = 0; layout != NULL && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], layout->name) == 0)
            return true;
    return false;
}

/* -- answers ----------------------------------------------------------------------------------- */

static void add_run(struct message *message, uint64_t runs, uint64_t first,
                    const struct number *number, uint64_t count)
{
    message_set_number_at(message, "runs", runs, "first", first);
    message_set_number_at(message, "runs", runs, "count", count);
    message_set_number_at(message, "runs", runs, "result", number->result);
    if (number->code != 0)
        message_set_number_at(message, "runs", runs, "code", number->code);
}

/* The results of from .. up_to that are not stored; at level none those that are refused. How many
 * runs they are. */
static uint64_t add_runs(struct message *message, struct producer *producer, uint64_t from,
                         uint64_t up_to)
{
    uint64_t runs = 0;
    for (uint64_t at = from > 0 ? from : 1; at <= up_to && at <= producer->count;) {
        const struct number *number = &producer->numbers[at - 1];
        uint64_t end = at + 1;
        while (end <= up_to && end <= producer->count &&
               producer->numbers[end - 1].result == number->result &&
               producer->numbers[end - 1].code == number->code)
            end++;
        bool none = producer->level == LEVEL_NONE;
        if (none ? number->result == REFUSED : number->result != STORED)
            add_run(message, runs++, at, number, end - at);
        at = end;
    }
    return runs;
}

static void answer(struct fake *fake, struct received *to, struct message *message)
{
    char words[WORDS_SIZE];
    if (!fake_answer(fake, to, message, words))
        fake_violation("the model's %s cannot be sent: %s", message->layout->name, words);
    message_release(message);
}

static void answer_error(struct fake *fake, struct received *to, uint32_t code)
{
    struct message error = {.layout = layout_by_name("ERROR")};
    message_set_number(&error, "code", code);
    message_set(&error, "detail", "refused%20by%20the%20fake%20sidecar");
    if (strcmp(to->message.layout->name, "BATCH") == 0)
        message_set(&error, "token", message_text(&to->message, "token"));
    answer(fake, to, &error);
}

static void answer_hello(struct fake *fake, struct received *to)
{
    static const char *const welcome[] = {
        "data_max=4194304",  "batch_bytes_max=1048576", "batch_events_max=4096", "window=128",
        "frame_max=2100308", "heartbeat_ms=5000",       "lease_ms=30000",        "version=0.1.0",
    };
    struct message message = {.layout = layout_by_name("WELCOME")};
    message_default(&message, &fake->defaults[message.layout->number]);
    message_set_number(&message, "instance", fake->instance);
    for (size_t i = 0; i < sizeof(welcome) / sizeof(welcome[0]); i++) {
        char name[MESSAGE_NAME_SIZE];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(welcome[i], "="), welcome[i]);
        if (message_find(&message, name) == NULL && layout_has(message.layout, name))
            message_assign(&message, welcome[i]);
    }
    if (layout_has(message.layout, "database"))
        message_set(&message, "database", database);
    answer(fake, to, &message);
}

static void answer_state(struct model *model, struct fake *fake, struct received *to,
                         struct producer *producer, const char *type)
{
    struct message state = {.layout = layout_by_name(type)};
    message_set_number(&state, "token", producer->token);
    message_set_number(&state, "instance", fake->instance);
    message_set_number(&state, "accepted", producer->accepted);
    message_set_number(&state, "durable", producer->durable);
    message_set(&state, "database", database);
    message_set_number(&state, "position", model->position);
    add_runs(&state, producer, message_number(&to->message, "base"), producer->durable);
    answer(fake, to, &state);
}

/* -- requests ---------------------------------------------------------------------------------- */

static struct producer *find_id(struct model *model, const char *id)
{
    for (size_t i = 0; i < model->producer_count; i++)
        if (strcmp(model->producers[i].id, id) == 0)
            return &model->producers[i];
    return NULL;
}

static void take_open(struct model *model, struct fake *fake, struct received *received)
{
    uint64_t token = message_number(&received->message, "token");
    struct producer *producer = find_id(model, message_text(&received->message, "producer"));
    if (token != 0 && producer != NULL && (producer->fenced || producer->token != token)) {
        answer_error(fake, received, CODE_FENCED);
        return;
    }
    if (producer == NULL) {
        if (model->producer_count == PRODUCERS_MAX) {
            answer_error(fake, received, CODE_LIMIT);
            return;
        }
        producer = &model->producers[model->producer_count++];
        producer->id = model_copy(message_text(&received->message, "producer"));
        producer->answered = -1;
        producer->round = -1;
    }
    if (token == 0) {
        producer->token = model->next_token++;
        producer->base = 0;
        producer->answered = producer->round = -1;
    }
    producer->live = true;
    producer->fenced = false;
    model->opened = producer;
    answer_state(model, fake, received, producer, "OPENED");
}

/* At level none an ACK has refusals only, and is not sent without any. */
static void acknowledge(struct model *model, struct fake *fake, struct received *to,
                        struct producer *producer, uint64_t from)
{
    struct message ack = {.layout = layout_by_name("ACK")};
    uint64_t up_to = producer->level == LEVEL_DURABLE ? producer->durable : producer->accepted;
    if (up_to <= from)
        return;
    uint64_t runs = add_runs(&ack, producer, from + 1, up_to);
    producer->acked = up_to;
    if (producer->level == LEVEL_NONE && runs == 0)
        return;
    message_set_number(&ack, "request", 0);
    message_set_number(&ack, "token", producer->token);
    message_set_number(&ack, "from", from);
    message_set_number(&ack, "up_to", up_to);
    message_set_number(&ack, "level", producer->level);
    message_set_number(&ack, "position", model->position);
    answer(fake, to, &ack);
}

void model_commit(struct model *model, struct fake *fake, bool on)
{
    model->commits = on;
    for (size_t i = 0; on && i < model->producer_count; i++) {
        struct producer *producer = &model->producers[i];
        struct received to = {.socket = INGEST, .peer = fake->peers[INGEST]};
        to.message.layout = layout_by_name("BATCH");
        producer->durable = producer->accepted;
        if (producer->live && producer->level == LEVEL_DURABLE)
            acknowledge(model, fake, &to, producer, producer->acked);
    }
}

/* A round is answered once. */
static void answer_hole(struct fake *fake, struct received *to, struct producer *producer)
{
    struct message expect = {.layout = layout_by_name("EXPECT")};
    int64_t round = (int64_t)message_number(&to->message, "round");
    if (round <= producer->answered)
        return;
    producer->answered = round;
    message_set_number(&expect, "request", 0);
    message_set_number(&expect, "token", producer->token);
    message_set_number(&expect, "number", producer->accepted + 1);
    message_set_number(&expect, "round", (uint64_t)round);
    answer(fake, to, &expect);
}

/* An earlier number that was refused, or whose result the client knows. */
static bool depends_on_refused(struct producer *producer, const struct message *batch,
                               uint64_t index)
{
    uint64_t depends = message_number_at(batch, "entries", index, "depends");
    if (depends < message_number(batch, "base"))
        return true;
    return depends <= producer->count && producer->numbers[depends - 1].result == REFUSED;
}

static void take_entries(struct model *model, struct producer *producer,
                         const struct message *batch)
{
    uint64_t first = message_number(batch, "first");
    const char *session = "";
    for (uint64_t i = 0; i < message_number(batch, "entries.count"); i++) {
        const char *named = message_text_at(batch, "entries", i, "session");
        if (*named != '\0')
            session = named;
        if (first + i <= producer->accepted)
            continue;
        struct number *number = model_number(producer, first + i);
        struct decided decided = {0};
        struct entry entry = {.kind = message_text_at(batch, "entries", i, "kind"),
                              .session = session,
                              .id = message_text_at(batch, "entries", i, "id"),
                              .type = message_text_at(batch, "entries", i, "type"),
                              .data = message_text_at(batch, "entries", i, "data"),
                              .life = message_text_at(batch, "entries", i, "life"),
                              .reason = message_text_at(batch, "entries", i, "reason"),
                              .flags = message_number_at(batch, "entries", i, "flags"),
                              .seq = message_number_at(batch, "entries", i, "after_seq"),
                              .depends_on_refused = depends_on_refused(producer, batch, i)};
        number->result = model_decide(model, &entry, &decided);
        number->code = decided.code;
        producer->accepted = first + i;
    }
    if (model->commits)
        producer->durable = producer->accepted;
}

static void take_batch(struct model *model, struct fake *fake, struct received *received)
{
    const struct message *batch = &received->message;
    struct producer *producer = model_producer(model, message_number(batch, "token"));
    uint64_t first = message_number(batch, "first");
    uint64_t base = message_number(batch, "base");
    if (producer == NULL || !producer->live) {
        answer_error(fake, received, CODE_STALE_TOKEN);
        return;
    }
    producer->level = (uint8_t)message_number(batch, "level");
    if (base > producer->accepted + NUMBERS_MAX) {
        fake_violation("BATCH: base %llu is beyond what this sidecar keeps",
                       (unsigned long long)base);
        return;
    }
    if (base > producer->accepted + 1) {
        (void)model_number(producer, base - 1);
        producer->accepted = base - 1;
    }
    if (first > producer->accepted + 1) {
        answer_hole(fake, received, producer);
        return;
    }
    take_entries(model, producer, batch);
    acknowledge(model, fake, received, producer,
                first - 1 < producer->acked ? first - 1 : producer->acked);
}

/* One question with one answer. A duplicate has the seq of what is stored, a refusal the last one.
 */
static void take_publish(struct model *model, struct fake *fake, struct received *received)
{
    const struct message *publish = &received->message;
    struct message published = {.layout = layout_by_name("PUBLISHED")};
    struct decided decided = {0};
    struct entry entry = {.kind = message_text(publish, "kind"),
                          .session = message_text(publish, "session"),
                          .id = message_text(publish, "id"),
                          .type = message_text(publish, "type"),
                          .data = message_text(publish, "data"),
                          .life = message_text(publish, "life"),
                          .reason = message_text(publish, "reason"),
                          .flags = message_number(publish, "flags"),
                          .seq = message_number(publish, "after_seq")};
    uint8_t result = model_decide(model, &entry, &decided);
    message_set_number(&published, "result", result);
    message_set_number(&published, "code", decided.code);
    message_set_number(&published, "state", decided.closed);
    message_set(&published, "life", decided.life);
    message_set_number(&published, "seq", decided.seq);
    message_set_number(&published, "position", result == REFUSED ? 0 : model->position);
    message_set(&published, "id", entry.id);
    answer(fake, received, &published);
}

static void take_state(struct model *model, struct fake *fake, struct received *received)
{
    struct producer *producer = model_producer(model, message_number(&received->message, "token"));
    if (producer == NULL || !producer->live)
        answer_error(fake, received, CODE_STALE_TOKEN);
    else
        answer_state(model, fake, received, producer, "STATE_IS");
}

void model_take(struct model *model, struct fake *fake, struct received *received, bool answers)
{
    const char *type = received->message.layout->name;
    struct fault refused;
    model_note_subscription(model, &received->message);
    if (fake->silent)
        return;
    if (fake_take_fault(fake, FAULT_REFUSE, received->message.layout->number, &refused)) {
        answer_error(fake, received, refused.code);
        return;
    }
    if (!answers)
        return;
    if (strcmp(type, "HELLO") == 0)
        answer_hello(fake, received);
    else if (strcmp(type, "OPEN") == 0)
        take_open(model, fake, received);
    else if (strcmp(type, "STATE") == 0)
        take_state(model, fake, received);
    else if (strcmp(type, "BATCH") == 0)
        take_batch(model, fake, received);
    else if (strcmp(type, "PUBLISH") == 0)
        take_publish(model, fake, received);
    else if (strcmp(type, "CREDIT") == 0)
        model_take_credit(model, fake, received);
}
