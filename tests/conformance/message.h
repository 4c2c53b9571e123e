/* SPDX-License-Identifier: Apache-2.0 */
/* message: one message as names and values, and as bytes.
 *
 * A value is text. Numbers are in decimal, or a word of their enum. Bytes of a fixed size are in
 * hexadecimal. Other bytes are text in which each byte that is not printable, and `%` and `$`, is
 * `%` and two hexadecimal digits. The name of an item's field has the list and the index before it:
 * entries.0.id. The count of a list is NAME.count, the size of a field NAME.size: both follow from
 * the values, unless they are given.
 *
 * Owns     its values.
 * Threads  any, one at a time.
 */
#ifndef CONFORMANCE_MESSAGE_H
#define CONFORMANCE_MESSAGE_H

#include <stdio.h>

#include "layout.h"

enum { MESSAGE_NAME_SIZE = 64, WORDS_SIZE = 240 };

struct value {
    char name[MESSAGE_NAME_SIZE];
    char *text;
    uint64_t number;
    size_t at, size; /* in the frame it was decoded from */
    const struct layout_field *field;
    bool used;
};

struct message {
    const struct layout *layout;
    struct value *values;
    size_t count, room;
    uint32_t *slots; /* by the hash of the name: index + 1; 0: free. Twice as many as values */
};

struct bytes {
    uint8_t *at;
    size_t size, room;
};

void bytes_put(struct bytes *bytes, const void *from, size_t size);
void bytes_release(struct bytes *bytes);
/* Pairs of hexadecimal digits, blanks between them allowed. False: it is not that. */
bool bytes_from_hex(struct bytes *bytes, const char *hex);

void message_release(struct message *message); /* and it can be used again */
/* Replaces the value of that name. */
void message_set(struct message *message, const char *name, const char *text);
/* name=text */
bool message_assign(struct message *message, const char *assignment);
/* Takes over from `defaults` what the message does not have. */
void message_default(struct message *message, const struct message *defaults);

/* NULL: it has no such value. */
const struct value *message_find(const struct message *message, const char *name);
const char *message_text(const struct message *message, const char *name); /* "" if it has none */
uint64_t message_number(const struct message *message, const char *name);  /* 0 if it has none */
/* The same for fields of items; the format makes the name. */
const char *message_text_at(const struct message *message, const char *list, uint64_t index,
                            const char *field);
uint64_t message_number_at(const struct message *message, const char *list, uint64_t index,
                           const char *field);
void message_set_number(struct message *message, const char *name, uint64_t number);
void message_set_number_at(struct message *message, const char *list, uint64_t index,
                           const char *field, uint64_t number);

/* Sets a field of an item unless it has one. */
void message_default_at(struct message *message, const char *list, uint64_t index,
                        const char *field, const char *text);

/* False: it is none; what is wrong stands in words. The message then has what could be read. */
bool message_decode(struct message *ret_message, const uint8_t *bytes, size_t size,
                    char words[WORDS_SIZE]);
/* Of a message whose layout is set. False: a value cannot be, or has a name that the layout does
 * not have. */
bool message_encode(struct message *message, struct bytes *ret_bytes, char words[WORDS_SIZE]);

/* TYPE name=value ... */
void message_print(FILE *file, const struct message *message);

#endif
