/* SPDX-License-Identifier: Apache-2.0 */
/* wire_fault: what is wrong with a request, in words for the person who wrote its encoder.
 *
 * Only called for a request that was refused already, so that reading one costs nothing more. */
#include <stdio.h>

#include "wire.h"

static void read_batch(struct wire_in *in)
{
    struct wire_batch head;
    struct wire_entry entry;
    struct spn_bytes session = {NULL, 0};
    wire_get_batch(in, &head);
    for (uint32_t i = 0; !in->bad && i < head.count; i++) {
        wire_get_entry(in, session, &entry);
        session = entry.session;
    }
}

static void read_publish(struct wire_in *in)
{
    struct wire_publish publish;
    wire_get_publish(in, &publish);
}

static void read_grants(struct wire_in *in)
{
    struct wire_grant grant;
    uint32_t count;
    wire_get_grants(in, &count);
    for (uint32_t i = 0; !in->bad && i < count; i++)
        wire_get_grant(in, &grant);
}

/* Reads what follows the header. False: it is no request. */
static bool read_on_ingest(uint8_t type, struct wire_in *in)
{
    union {
        uint64_t number;
        struct wire_open open;
        struct wire_ask ask;
    } into;
    switch (type) {
    case WIRE_HELLO:
        wire_get_hello(in, &into.number);
        return true;
    case WIRE_OPEN:
        wire_get_open(in, &into.open);
        return true;
    case WIRE_STATE:
        wire_get_ask(in, &into.ask);
        return true;
    case WIRE_LEAVE:
        wire_get_leave(in, &into.number);
        return true;
    case WIRE_BATCH:
        read_batch(in);
        return true;
    case WIRE_PUBLISH:
        read_publish(in);
        return true;
    default:
        return false;
    }
}

static bool read_on_read(uint8_t type, struct wire_in *in)
{
    union {
        struct spn_bytes session;
        struct wire_fetch fetch;
        struct wire_sessions sessions;
        struct wire_subscribe subscribe;
        struct wire_follow follow;
        struct wire_grant grant;
        struct wire_clients clients;
    } into;
    switch (type) {
    case WIRE_HEALTH:
    case WIRE_STATS:
        return true;
    case WIRE_LAST:
        wire_get_last(in, &into.session);
        return true;
    case WIRE_INFO:
        wire_get_info(in, &into.session);
        return true;
    case WIRE_FETCH:
        wire_get_fetch(in, &into.fetch);
        return true;
    case WIRE_SESSIONS:
        wire_get_sessions(in, &into.sessions);
        return true;
    case WIRE_SUBSCRIBE:
        wire_get_subscribe(in, &into.subscribe);
        return true;
    case WIRE_FOLLOW:
        wire_get_follow(in, &into.follow);
        return true;
    case WIRE_CLIENTS:
        wire_get_clients(in, &into.clients);
        return true;
    case WIRE_UNSUBSCRIBE:
        wire_get_grant(in, &into.grant);
        return true;
    case WIRE_CREDIT:
        read_grants(in);
        return true;
    default:
        return false;
    }
}

/* What the gets found. NULL: nothing. */
static const char *say(const struct wire_in *in, size_t at, char words[WIRE_FAULT_SIZE])
{
    size_t left = (size_t)(in->end - in->at);
    if (!in->bad && left == 0)
        return NULL;
    if (!in->bad)
        snprintf(words, WIRE_FAULT_SIZE, "it has %zu bytes too many", left);
    else if (in->fault == WIRE_NOT_ZERO)
        snprintf(words, WIRE_FAULT_SIZE, "byte %zu is not zero", at);
    else if (in->fault == WIRE_TOO_SHORT)
        snprintf(words, WIRE_FAULT_SIZE, "it ends within the field at byte %zu", at);
    else
        snprintf(words, WIRE_FAULT_SIZE, "a field before byte %zu has a value that is not allowed",
                 at);
    return words;
}

const char *wire_fault_words(const void *bytes, size_t size, char words[WIRE_FAULT_SIZE])
{
    struct wire_in in = wire_in(bytes, size);
    const uint8_t *start = in.at;
    struct wire_header header = {0};
    spn_err err = wire_get_header(&in, &header);
    if (in.bad)
        return "it is shorter than a header";
    if (header.type == 0 && err != SPN_OK)
        return "it does not begin with SPN";
    if (err != SPN_OK)
        return err == SPN_E_PROTOCOL ? "byte 6 or 7 is not zero" : NULL;
    if (!read_on_ingest(header.type, &in) && !read_on_read(header.type, &in)) {
        snprintf(words, WIRE_FAULT_SIZE, "no request has type %u", header.type);
        return words;
    }
    return say(&in, (size_t)(in.at - start), words);
}
