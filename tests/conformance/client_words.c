/* SPDX-License-Identifier: Apache-2.0 */
#include "client_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- words ------------------------------------------------------------------------------------- */

struct spn_bytes bytes_of(char *word)
{
    char *to = word;
    if (word == NULL || strcmp(word, "-") == 0)
        return (struct spn_bytes){NULL, 0};
    for (const char *from = word; *from != '\0'; from++) {
        char pair[3] = {0};
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        memcpy(pair, from + 1, 2);
        *to++ = (char)strtoul(pair, NULL, 16);
        from += 2;
    }
    return (struct spn_bytes){word, (size_t)(to - word)};
}

static void put_plain(struct spn_bytes bytes)
{
    const unsigned char *at = bytes.data;
    if (bytes.size == 0)
        putchar('-');
    for (size_t i = 0; i < bytes.size; i++)
        if (at[i] > 0x20 && at[i] < 0x7f && at[i] != '%' && at[i] != '$')
            putchar(at[i]);
        else
            printf("%%%02x", at[i]);
}

void put_bytes(struct spn_bytes bytes)
{
    putchar(' ');
    put_plain(bytes);
}

void put_named(const char *name, struct spn_bytes bytes)
{
    if (bytes.size == 0)
        return;
    printf(" %s=", name);
    put_plain(bytes);
}

void put_outcome(spn_err err)
{
    if (err == SPN_OK)
        puts("ok");
    else
        printf("error %d\n", err);
}

void put_life(const unsigned char bytes[16])
{
    putchar(' ');
    for (size_t i = 0; i < 16; i++)
        printf("%02x", bytes[i]);
}

void read_life(const char *word, unsigned char ret_bytes[16])
{
    for (size_t i = 0; i < 16; i++) {
        char pair[3] = {word[2 * i], word[2 * i + 1], '\0'};
        ret_bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
}

/* -- conditions -------------------------------------------------------------------------------- */

char *value_of(char *word, const char *name)
{
    size_t size = strlen(name);
    return strncmp(word, name, size) == 0 && word[size] == '=' ? word + size + 1 : NULL;
}

static void read_extra_word(char *word, struct extra *extra)
{
    char *value;
    if (strcmp(word, "new") == 0)
        extra->options.if_new = true;
    if (strcmp(word, "closes") == 0)
        extra->options.closes = true;
    if ((value = value_of(word, "seq")) != NULL) {
        extra->options.has_if_seq = true;
        extra->options.if_seq = strtoull(value, NULL, 10);
    }
    if ((value = value_of(word, "life")) != NULL) {
        read_life(value, extra->life.bytes);
        extra->options.life = &extra->life;
    }
    if ((value = value_of(word, "depends")) != NULL)
        extra->options.dependent = strtoull(value, NULL, 10);
    if ((value = value_of(word, "closes")) != NULL) {
        extra->options.closes = true;
        extra->options.reason = bytes_of(value);
    }
    if ((value = value_of(word, "note")) != NULL)
        extra->note = bytes_of(value);
    if ((value = value_of(word, "within")) != NULL)
        extra->within_ms = (int)strtol(value, NULL, 10);
}

void read_extra(char **words, struct extra *ret_extra)
{
    *ret_extra = (struct extra){.options = {.size = sizeof(ret_extra->options)},
                                .within_ms = CLIENT_WAIT_MS};
    for (; *words != NULL; words++)
        read_extra_word(*words, ret_extra);
}

/* -- items ------------------------------------------------------------------------------------- */

static const char *why_word(spn_err why)
{
    switch (why) {
    case SPN_E_UNKNOWN_ID:
        return "unknown-id";
    case SPN_E_UNKNOWN_SESSION:
        return "unknown-session";
    case SPN_E_OTHER_LIFE:
        return "other-life";
    case SPN_E_CLOSED:
        return "closed";
    case SPN_E_DELETED:
        return "deleted";
    case SPN_E_CORRUPT:
        return "damaged";
    case SPN_E_IO:
        return "failed";
    case SPN_E_PROTOCOL:
        return "broken";
    default:
        return "refused";
    }
}

/* A refusal has its code, a close its reason if there is one. */
static void put_end(const struct spn_item *item)
{
    const char *word = why_word(item->why);
    printf("end %s", word);
    if (strcmp(word, "refused") == 0)
        printf(" %d", item->why);
    if (item->reason.size > 0)
        put_bytes(item->reason);
    putchar('\n');
}

static const char *verdict_word(spn_err why)
{
    return why == SPN_OK ? "resumed" : why == SPN_E_TRIMMED ? "trimmed" : why_word(why);
}

static const char *const event_kinds[] = {"event", "marker", "reset"};

static void put_contents(const struct spn_event *event)
{
    put_bytes(event->id);
    if (event->kind != SPN_EVENT)
        return;
    put_bytes(event->type);
    put_bytes(event->data);
    if (event->closes) {
        fputs(" closes=", stdout);
        put_plain(event->reason);
    }
    put_named("note", event->note);
}

static void put_event(const struct spn_event *event)
{
    printf("%s %llu", event_kinds[event->kind], (unsigned long long)event->seq);
    put_contents(event);
    putchar('\n');
}

/* An entry of the log: entry POSITION KIND SESSION SEQ, and what an event or a close has. */
static void put_entry(const struct spn_item *item)
{
    static const char *const kinds[] = {
        [SPN_ITEM_OPEN] = "open",     [SPN_ITEM_CLOSE] = "close",
        [SPN_ITEM_DELETE] = "delete", [SPN_ITEM_EXPIRE] = "expire",
        [SPN_ITEM_TOUCH] = "touch",   [SPN_ITEM_ATTRIBUTES] = "attributes"};
    bool event = item->kind == SPN_ITEM_EVENT;
    printf("entry %llu %s", (unsigned long long)item->seq,
           event ? event_kinds[item->event->kind] : kinds[item->kind]);
    put_bytes(item->session);
    printf(" %llu", (unsigned long long)item->event->seq);
    if (event)
        put_contents(item->event);
    if (item->kind == SPN_ITEM_CLOSE)
        put_bytes(item->reason);
    if (item->attributes != NULL)
        printf(" ttl=%llu", (unsigned long long)item->attributes->ttl_ms);
    putchar('\n');
}

static void put_gap(const struct spn_item *item)
{
    if (item->last > 0)
        printf("gone %llu %llu\n", (unsigned long long)item->first, (unsigned long long)item->last);
    else
        printf("gap %llu\n", (unsigned long long)item->missing);
}

void put_item(const struct spn_item *item)
{
    unsigned long long missing = (unsigned long long)item->missing;
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
        printf("verdict %s %llu\n", verdict_word(item->why), missing);
        break;
    case SPN_ITEM_GAP:
        put_gap(item);
        break;
    case SPN_ITEM_CAUGHT_UP:
        printf("caught-up %llu\n", (unsigned long long)item->seq);
        break;
    case SPN_ITEM_END:
        put_end(item);
        break;
    default:
        if (item->kind == SPN_ITEM_EVENT && item->session.size == 0)
            put_event(item->event);
        else
            put_entry(item);
        break;
    }
}
