/* SPDX-License-Identifier: Apache-2.0 */
/* message: names and values. message_bytes.c has decoding and encoding. */
#include "message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* -- bytes ------------------------------------------------------------------------------------- */

static void *grow(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (memory == NULL)
        abort();
    return memory;
}

void bytes_put(struct bytes *bytes, const void *from, size_t size)
{
    if (bytes->room - bytes->size < size || bytes->at == NULL) {
        bytes->room = (bytes->size + size + 32) * 2;
        bytes->at = grow(bytes->at, bytes->room);
    }
    if (size > 0)
        memcpy(bytes->at + bytes->size, from, size);
    bytes->size += size;
}

void bytes_release(struct bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct bytes){NULL, 0, 0};
}

static int digit(char letter)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = letter != '\0' ? strchr(digits, letter | (letter >= 'A' ? 0x20 : 0)) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

bool bytes_from_hex(struct bytes *bytes, const char *hex)
{
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ')
            continue;
        int high = digit(hex[0]);
        int low = high >= 0 ? digit(hex[1]) : -1;
        if (low < 0)
            return false;
        uint8_t byte = (uint8_t)(high << 4 | low);
        bytes_put(bytes, &byte, 1);
        hex++;
    }
    return true;
}

/* -- values ------------------------------------------------------------------------------------ */

void message_release(struct message *message)
{
    for (size_t i = 0; i < message->count; i++)
        free(message->values[i].text);
    free(message->values);
    free(message->slots);
    *message = (struct message){0};
}

/* A batch has tens of thousands of values, each looked up by its name. Returns its slot, or the
 * free one where it would be. */
static uint32_t *slot_of(const struct message *message, const char *name)
{
    size_t size = 2 * message->room;
    assert(size > 0);
    size_t hash = 5381;
    for (const char *at = name; *at != '\0'; at++)
        hash = hash * 33 + (unsigned char)*at;
    for (size_t slot = hash % size;; slot = (slot + 1) % size) {
        uint32_t index = message->slots[slot];
        if (index == 0 || strcmp(message->values[index - 1].name, name) == 0)
            return &message->slots[slot];
    }
}

const struct value *message_find(const struct message *message, const char *name)
{
    uint32_t index = message->room > 0 ? *slot_of(message, name) : 0;
    return index > 0 ? &message->values[index - 1] : NULL;
}

static void make_room(struct message *message)
{
    message->room = (message->room + 8) * 2;
    message->values = grow(message->values, message->room * sizeof(*message->values));
    free(message->slots);
    message->slots = calloc(2 * message->room, sizeof(*message->slots));
    if (message->slots == NULL)
        abort();
    for (size_t i = 0; i < message->count; i++)
        *slot_of(message, message->values[i].name) = (uint32_t)i + 1;
}

void message_set(struct message *message, const char *name, const char *text)
{
    struct value *value = (struct value *)(uintptr_t)message_find(message, name);
    char *copy = strdup(text);
    if (copy == NULL || strlen(name) >= MESSAGE_NAME_SIZE)
        abort();
    if (value == NULL) {
        if (message->count == message->room)
            make_room(message);
        assert(message->values != NULL);
        uint32_t *slot = slot_of(message, name);
        value = &message->values[message->count];
        *value = (struct value){0};
        memcpy(value->name, name, strlen(name) + 1);
        *slot = (uint32_t)++message->count;
    }
    free(value->text);
    value->text = copy;
}

bool message_assign(struct message *message, const char *assignment)
{
    char name[MESSAGE_NAME_SIZE];
    size_t size = strcspn(assignment, "=");
    if (assignment[size] != '=' || size == 0 || size >= sizeof(name))
        return false;
    memcpy(name, assignment, size);
    name[size] = '\0';
    message_set(message, name, assignment + size + 1);
    return true;
}

void message_default(struct message *message, const struct message *defaults)
{
    for (size_t i = 0; i < defaults->count; i++)
        if (message_find(message, defaults->values[i].name) == NULL)
            message_set(message, defaults->values[i].name, defaults->values[i].text);
}

const char *message_text(const struct message *message, const char *name)
{
    const struct value *value = message_find(message, name);
    return value != NULL ? value->text : "";
}

uint64_t message_number(const struct message *message, const char *name)
{
    const struct value *value = message_find(message, name);
    return value != NULL ? value->number : 0;
}

static const char *name_at(char name[MESSAGE_NAME_SIZE], const char *list, uint64_t index,
                           const char *field)
{
    if (strlen(list) > 20 || strlen(field) > 20)
        abort();
    snprintf(name, MESSAGE_NAME_SIZE, "%.20s.%llu.%.20s", list, (unsigned long long)index, field);
    return name;
}

const char *message_text_at(const struct message *message, const char *list, uint64_t index,
                            const char *field)
{
    char name[MESSAGE_NAME_SIZE];
    return message_text(message, name_at(name, list, index, field));
}

uint64_t message_number_at(const struct message *message, const char *list, uint64_t index,
                           const char *field)
{
    char name[MESSAGE_NAME_SIZE];
    return message_number(message, name_at(name, list, index, field));
}

void message_set_number(struct message *message, const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    message_set(message, name, text);
}

void message_set_number_at(struct message *message, const char *list, uint64_t index,
                           const char *field, uint64_t number)
{
    char name[MESSAGE_NAME_SIZE];
    message_set_number(message, name_at(name, list, index, field), number);
}

void message_default_at(struct message *message, const char *list, uint64_t index,
                        const char *field, const char *text)
{
    char name[MESSAGE_NAME_SIZE];
    if (message_find(message, name_at(name, list, index, field)) == NULL)
        message_set(message, name, text);
}

void message_print(FILE *file, const struct message *message)
{
    fputs(message->layout != NULL ? message->layout->name : "?", file);
    for (size_t i = 0; i < message->count; i++) {
        const struct value *value = &message->values[i];
        const char *dot = strrchr(value->name, '.');
        bool size = dot != NULL && strcmp(dot, ".size") == 0;
        bool known = strcmp(value->name, "magic") == 0 || strcmp(value->name, "message") == 0;
        if (!size && !(known && value->at < HEADER_SIZE))
            fprintf(file, " %s=%s", value->name, value->text);
    }
}
