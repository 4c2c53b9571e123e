/* SPDX-License-Identifier: Apache-2.0 */
/* client_words: the words of README.md's lines, as client.c reads and writes them.
 *
 * Borrows  words: bytes point into them.
 * Threads  one.
 */
#ifndef CONFORMANCE_CLIENT_WORDS_H
#define CONFORMANCE_CLIENT_WORDS_H

#include "sponson.h"

enum { CLIENT_WAIT_MS = 12000 };

/* Decodes in place. `-` is nothing. */
struct spn_bytes bytes_of(char *word);
/* A blank, and the bytes. */
void put_bytes(struct spn_bytes bytes);
/* A blank, and name=bytes; nothing if there are none. */
void put_named(const char *name, struct spn_bytes bytes);
/* A line: ok, or the error. */
void put_outcome(spn_err err);
void put_life(const unsigned char bytes[16]);
/* 32 hexadecimal digits. */
void read_life(const char *word, unsigned char ret_bytes[16]);
/* What follows name= in the word; NULL: it is another one. */
char *value_of(char *word, const char *name);

/* The words after a command that publishes. Its options may point into it. */
struct extra {
    struct spn_publish_options options;
    struct spn_life life;
    struct spn_bytes note;
    int within_ms;
};

/* words: up to a NULL. */
void read_extra(char **words, struct extra *ret_extra);

/* A line: an item of a subscription. */
void put_item(const struct spn_item *item);

#endif
