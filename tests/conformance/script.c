/* SPDX-License-Identifier: Apache-2.0 */
#include "script.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

enum { SCRIPT_WORDS_MAX = 128, WITHIN_MS = 5000, TEXT_SIZE = 4096 };

struct script {
    struct fake *fake;
    char *words[SCRIPT_WORDS_MAX];
    size_t count;
    char *why;
};

static bool failed(struct script *script, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(script->why, WORDS_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

/* -- words ------------------------------------------------------------------------------------- */

/* `any` is the one that the type of message is for. */
static bool read_socket(struct script *script, size_t at, enum socket *ret_socket)
{
    const struct layout *type =
        at + 1 < script->count ? layout_by_name(script->words[at + 1]) : NULL;
    if (at < script->count && strcmp(script->words[at], "any") == 0 && type != NULL) {
        *ret_socket = type->on[INGEST] ? INGEST : READ;
        return true;
    }
    for (int i = 0; at < script->count && i < 2; i++)
        if (strcmp(script->words[at], socket_names[i]) == 0) {
            *ret_socket = (enum socket)i;
            return true;
        }
    return failed(script, "word %zu is none of ingest, read, any", at + 1);
}

/* NULL, with words: it is none. */
static const struct layout *read_type(struct script *script, size_t at)
{
    const struct layout *layout = at < script->count ? layout_by_name(script->words[at]) : NULL;
    if (layout == NULL)
        (void)failed(script, "word %zu is no type of message", at + 1);
    return layout;
}

static bool read_number(struct script *script, size_t at, uint64_t otherwise, uint64_t *ret_number)
{
    *ret_number = otherwise;
    if (at >= script->count || layout_number(NULL, script->words[at], ret_number))
        return true;
    return failed(script, "not a number: %s", script->words[at]);
}

/* $instance, $token, $database, $life, $TYPE.field, each with +N or -N after it. */
static bool resolve(struct script *script, const char *text, char ret_text[TEXT_SIZE])
{
    char name[TEXT_SIZE];
    const char *found = NULL;
    char number[24];
    snprintf(ret_text, TEXT_SIZE, "%s", text);
    if (*text != '$')
        return true;
    size_t size = strcspn(text, "+-");
    snprintf(name, sizeof(name), "%.*s", (int)(size - 1), text + 1);
    uint64_t value =
        strcmp(name, "instance") == 0 ? script->fake->instance : model_token(script->fake->model);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)value);
    char *dot = strchr(name, '.');
    if (strcmp(name, "instance") == 0 || strcmp(name, "token") == 0) {
        found = number;
    } else if (strcmp(name, "database") == 0) {
        found = model_database();
    } else if (strcmp(name, "life") == 0) {
        found = model_life();
    } else if (dot != NULL) {
        *dot = '\0';
        const struct layout *layout = layout_by_name(name);
        const struct value *of =
            layout != NULL ? message_find(&script->fake->last[layout->number], dot + 1) : NULL;
        found = of != NULL ? of->text : NULL;
    }
    if (found == NULL)
        return failed(script, "%s has no value", text);
    if (text[size] == '\0')
        snprintf(ret_text, TEXT_SIZE, "%s", found);
    else
        snprintf(ret_text, TEXT_SIZE, "%llu",
                 strtoull(found, NULL, 10) + (unsigned long long)strtoll(text + size, NULL, 10));
    return true;
}

/* name=text ... from a word on, with the prefix before each name. */
static bool read_values(struct script *script, size_t at, const char *prefix,
                        struct message *ret_message)
{
    char name[MESSAGE_NAME_SIZE];
    char text[TEXT_SIZE];
    for (; at < script->count; at++) {
        char *equals = strchr(script->words[at], '=');
        if (equals == NULL || equals == script->words[at])
            return failed(script, "not name=value: %s", script->words[at]);
        *equals = '\0';
        if (!resolve(script, equals + 1, text))
            return false;
        snprintf(name, sizeof(name), "%s%.40s", prefix, script->words[at]);
        message_set(ret_message, name, text);
    }
    return true;
}

/* -- expecting --------------------------------------------------------------------------------- */

/* One condition, such as id=a1 or credit>=100. False, with words: it does not hold. */
static bool holds(struct script *script, const char *word, const struct message *message)
{
    char name[MESSAGE_NAME_SIZE];
    char wanted[TEXT_SIZE];
    size_t size = strcspn(word, "=!<>");
    size_t sign = strspn(word + size, "=!<>");
    uint64_t number;
    if (sign == 0 || sign > 2 || size >= sizeof(name))
        return failed(script, "not a condition: %s", word);
    snprintf(name, sizeof(name), "%.*s", (int)size, word);
    if (!resolve(script, word + size + sign, wanted))
        return false;
    const struct value *value = message_find(message, name);
    if (value == NULL)
        return failed(script, "%s has no %s", message->layout->name, name);
    bool is_number = value->field != NULL && value->field->kind <= LAYOUT_NUMBER &&
                     layout_number(value->field->words, wanted, &number);
    if (!is_number)
        (void)layout_number(NULL, wanted, &number);
    bool same = is_number ? value->number == number : strcmp(value->text, wanted) == 0;
    bool good = word[size] == '='   ? same
                : word[size] == '!' ? !same
                : word[size] == '>' ? value->number >= number
                                    : value->number <= number;
    return good ? true : failed(script, "%s is %.100s", name, value->text);
}

static bool all_hold(struct script *script, size_t from, size_t to, const struct message *message)
{
    for (size_t i = from; i < to; i++)
        if (!holds(script, script->words[i], message))
            return false;
    return true;
}

static void consume(struct fake *fake, struct received *received)
{
    struct message *last = &fake->last[received->message.layout->number];
    received->consumed = true;
    message_release(last);
    for (size_t i = 0; i < received->message.count; i++)
        message_set(last, received->message.values[i].name, received->message.values[i].text);
    last->layout = received->message.layout;
    if (strcmp(last->layout->name, "SUBSCRIBE") == 0 || strcmp(last->layout->name, "FOLLOW") == 0)
        fake->subscribed = last->layout->number;
}

/* The oldest of this type that was not consumed. */
static struct received *oldest(struct fake *fake, enum socket socket, const struct layout *type)
{
    for (size_t i = 0; i < fake->received_count; i++)
        if (!fake->received[i].consumed && fake->received[i].socket == socket &&
            fake->received[i].message.layout == type)
            return &fake->received[i];
    return NULL;
}

/* `within MS` at the end of the line. */
static bool cut_time(struct script *script, const char *word, uint64_t otherwise, uint64_t *ret_ms)
{
    *ret_ms = otherwise;
    if (script->count < 2 || strcmp(script->words[script->count - 2], word) != 0)
        return true;
    bool good = read_number(script, script->count - 1, otherwise, ret_ms);
    script->count -= 2;
    return good;
}

/* expect takes the next message of the type, which must fit; await drops those that do not. */
static bool expect(struct script *script, bool skips)
{
    enum socket socket = INGEST;
    const struct layout *type = NULL;
    uint64_t within_ms;
    if (!cut_time(script, "within", WITHIN_MS, &within_ms) || !read_socket(script, 1, &socket) ||
        (type = read_type(script, 2)) == NULL)
        return false;
    uint64_t due_ms = fake_now_ms() + within_ms;
    snprintf(script->why, WORDS_SIZE, "no %s on %s.sock within %llu ms", type->name,
             socket_names[socket], (unsigned long long)within_ms);
    for (;;) {
        struct received *received = oldest(script->fake, socket, type);
        uint64_t now_ms = fake_now_ms();
        if (received != NULL) {
            bool good = all_hold(script, 3, script->count, &received->message);
            consume(script->fake, received);
            if (good || !skips)
                return good;
        } else if (now_ms >= due_ms) {
            return false;
        } else {
            fake_step(script->fake, -1, (int)(due_ms - now_ms));
        }
    }
}

static bool run_expect(struct script *script)
{
    return expect(script, false);
}

static bool run_await(struct script *script)
{
    return expect(script, true);
}

static bool run_none(struct script *script)
{
    enum socket socket = INGEST;
    const struct layout *type = NULL;
    uint64_t for_ms;
    if (!cut_time(script, "for", 0, &for_ms) || !read_socket(script, 1, &socket) ||
        (type = read_type(script, 2)) == NULL)
        return false;
    uint64_t due_ms = fake_now_ms() + for_ms;
    do {
        uint64_t now_ms = fake_now_ms();
        fake_step(script->fake, -1, now_ms < due_ms ? (int)(due_ms - now_ms) : 0);
    } while (fake_now_ms() < due_ms);
    for (size_t i = 0; i < script->fake->received_count; i++) {
        struct received *received = &script->fake->received[i];
        if (!received->consumed && received->socket == socket && received->message.layout == type &&
            all_hold(script, 3, script->count, &received->message))
            return failed(script, "there was a %s", type->name);
    }
    return true;
}

/* Takes what has arrived. */
static bool run_step(struct script *script)
{
    fake_step(script->fake, -1, 0);
    return true;
}

/* What was received so far is not looked at any more. */
static bool run_clear(struct script *script)
{
    for (size_t i = 0; i < script->fake->received_count; i++)
        script->fake->received[i].consumed = true;
    return true;
}

/* -- sending ----------------------------------------------------------------------------------- */

/* To the message of the type that was consumed last, of all types. */
static struct received *newest_consumed(struct fake *fake)
{
    for (size_t i = fake->received_count; i > 0; i--)
        if (fake->received[i - 1].consumed)
            return &fake->received[i - 1];
    return NULL;
}

static bool run_answer(struct script *script)
{
    struct message message = {0};
    struct received *to = newest_consumed(script->fake);
    if (to == NULL)
        return failed(script, "nothing was received that could be answered");
    message.layout = read_type(script, 1);
    bool good = message.layout != NULL && read_values(script, 2, "", &message) &&
                fake_answer(script->fake, to, &message, script->why);
    message_release(&message);
    return good;
}

static bool run_send(struct script *script)
{
    enum socket socket = INGEST;
    struct message message = {0};
    bool good =
        read_socket(script, 1, &socket) && (message.layout = read_type(script, 2)) != NULL &&
        read_values(script, 3, "", &message) &&
        fake_send(script->fake, socket, &script->fake->peers[socket], &message, script->why);
    message_release(&message);
    return good;
}

/* One delivery, to the subscription of the last SUBSCRIBE unless another is named. */
static bool run_deliver(struct script *script)
{
    struct fake *fake = script->fake;
    struct message message = {.layout = layout_by_name("DELIVER")};
    const struct message *to = &fake->last[fake->subscribed];
    message_set(&message, "deliveries.0.subscription", message_text(to, "subscription"));
    bool good = read_values(script, 1, "deliveries.0.", &message) &&
                fake_send(fake, READ, &fake->peers[READ], &message, script->why);
    message_release(&message);
    return good;
}

static bool run_raw(struct script *script)
{
    enum socket socket = INGEST;
    struct bytes bytes = {NULL, 0, 0};
    if (!read_socket(script, 1, &socket))
        return false;
    bool good = true;
    for (size_t i = 2; good && i < script->count; i++)
        good = bytes_from_hex(&bytes, script->words[i]);
    if (good)
        fake_send_bytes(script->fake, socket, &script->fake->peers[socket], bytes.at, bytes.size);
    bytes_release(&bytes);
    return good ? true : failed(script, "not hexadecimal");
}

static bool run_default(struct script *script)
{
    const struct layout *type = NULL;
    return (type = read_type(script, 1)) != NULL &&
           read_values(script, 2, "", &script->fake->defaults[type->number]);
}

/* -- faults and states ------------------------------------------------------------------------- */

static bool add_fault(struct script *script, enum fault_kind kind)
{
    const struct layout *type = NULL;
    uint64_t count;
    if ((type = read_type(script, 1)) == NULL || !read_number(script, 2, 1, &count))
        return false;
    fake_add_fault(script->fake,
                   (struct fault){.kind = kind, .type = type->number, .count = (unsigned)count});
    return true;
}

static bool run_drop(struct script *script)
{
    return add_fault(script, FAULT_DROP);
}

static bool run_double(struct script *script)
{
    return add_fault(script, FAULT_DOUBLE);
}

static bool run_delay(struct script *script)
{
    return add_fault(script, FAULT_DELAY);
}

/* refuse CODE [TIMES]: entries; refuse CODE TYPE [TIMES]: requests. */
static bool run_refuse(struct script *script)
{
    uint64_t code;
    uint64_t count;
    const struct layout *type = script->count > 2 ? layout_by_name(script->words[2]) : NULL;
    if (script->count < 2)
        return failed(script, "which code?");
    if (!read_number(script, 1, 0, &code) || !read_number(script, type != NULL ? 3 : 2, 1, &count))
        return false;
    if (type == NULL)
        model_refuse(script->fake->model, (uint32_t)code, (unsigned)count);
    else
        fake_add_fault(script->fake, (struct fault){.kind = FAULT_REFUSE,
                                                    .type = type->number,
                                                    .count = (unsigned)count,
                                                    .code = (uint32_t)code});
    return true;
}

static bool set_manual(struct script *script, bool manual)
{
    const struct layout *type = NULL;
    for (size_t i = 1; i < script->count; i++) {
        if ((type = read_type(script, i)) == NULL)
            return false;
        if (!manual && !model_answers(type->number))
            return failed(script, "the model has no answer to %s", type->name);
        script->fake->manual[type->number] = manual;
    }
    return true;
}

static bool run_manual(struct script *script)
{
    return set_manual(script, true);
}

static bool run_auto(struct script *script)
{
    return set_manual(script, false);
}

static bool run_down(struct script *script)
{
    fake_down(script->fake);
    return true;
}

static bool run_up(struct script *script)
{
    fake_up(script->fake);
    return true;
}

static bool run_restart(struct script *script)
{
    return run_down(script) && run_up(script);
}

static bool run_silent(struct script *script)
{
    script->fake->silent = true;
    return true;
}

static bool run_speak(struct script *script)
{
    script->fake->silent = false;
    return true;
}

static bool run_commit(struct script *script)
{
    if (script->count != 2)
        return failed(script, "on or off?");
    model_commit(script->fake->model, script->fake, strcmp(script->words[1], "on") == 0);
    return true;
}

static bool run_fence(struct script *script)
{
    model_fence(script->fake->model);
    return true;
}

static bool run_forget(struct script *script)
{
    model_forget_subscriptions(script->fake->model);
    return true;
}

/* -- a line ------------------------------------------------------------------------------------ */

static const struct {
    const char *word;
    bool (*run)(struct script *);
} commands[] = {
    {"expect", run_expect},   {"await", run_await},     {"none", run_none},
    {"clear", run_clear},     {"answer", run_answer},   {"send", run_send},
    {"raw", run_raw},         {"default", run_default}, {"drop", run_drop},
    {"double", run_double},   {"delay", run_delay},     {"refuse", run_refuse},
    {"manual", run_manual},   {"auto", run_auto},       {"down", run_down},
    {"up", run_up},           {"silent", run_silent},   {"speak", run_speak},
    {"restart", run_restart}, {"commit", run_commit},   {"fence", run_fence},
    {"forget", run_forget},   {"step", run_step},       {"deliver", run_deliver},
};

enum script_outcome script_run(struct fake *fake, char *line, char ret_words[WORDS_SIZE])
{
    struct script script = {.fake = fake, .why = ret_words};
    ret_words[0] = '\0';
    for (char *word = strtok(line, " \t\r\n"); word != NULL; word = strtok(NULL, " \t\r\n")) {
        if (*word == '#' || script.count == SCRIPT_WORDS_MAX)
            break;
        script.words[script.count++] = word;
    }
    if (script.count == 0)
        return SCRIPT_OK;
    if (strcmp(script.words[0], "quit") == 0)
        return SCRIPT_QUIT;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].word, script.words[0]) == 0)
            return commands[i].run(&script) ? SCRIPT_OK : SCRIPT_FAILED;
    failed(&script, "there is no command %s", script.words[0]);
    return SCRIPT_FAILED;
}
