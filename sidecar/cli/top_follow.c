/* SPDX-License-Identifier: Apache-2.0 */
/* top_follow: the newest events of one session, a line each. */
#include <stdio.h>
#include <string.h>

#include "cli/top.h"
#include "base/text.h"

enum { EVENTS_BEFORE = 20, DATA_MAX = 400, TAKE_MAX = 1000 };

/* The next line of the ring, empty. */
static struct out *next_line(struct top *top)
{
    struct out *line = &top->lines[top->line_count++ % TOP_EVENTS_MAX];
    line->size = 0;
    return line;
}

static void put_words(struct top *top, const char *words)
{
    out_text(next_line(top), words);
}

/* A terminal takes control characters for commands. */
static void put_clean(struct out *out, struct spn_bytes bytes)
{
    const char *from = bytes.data;
    size_t size = bytes.size < DATA_MAX ? bytes.size : DATA_MAX;
    bool utf8 = text_is_utf8(bytes);
    while (utf8 && size < bytes.size && size > 0 && ((unsigned char)from[size] & 0xC0) == 0x80)
        size--; /* not in the middle of a character */
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)from[i];
        bool c1 = c == 0xC2 && i + 1 < size && (unsigned char)from[i + 1] < 0xA0;
        bool plain = c >= ' ' && c != 0x7F && !c1 && (utf8 || c < 0x80);
        out_put(out, plain ? &from[i] : " ", 1);
        i += c1;
    }
}

static void put_event(struct top *top, const struct spn_event *event)
{
    struct out *line = next_line(top);
    char head[LOOK_TEXT_SIZE * 2];
    char time[TEXT_TIME_SIZE];
    text_time(event->time_ms, time);
    snprintf(head, sizeof(head), "%8llu  %.12s  ", (unsigned long long)event->seq, time + 11);
    out_text(line, head);
    if (event->kind != SPN_EVENT)
        out_text(line, "(marker) ");
    if (event->type.size > 0) {
        put_clean(line, event->type);
        out_text(line, ": ");
    }
    put_clean(line, event->data);
    if (event->closes)
        out_text(line, "  (closes the session)");
}

static void put_end(struct top *top, const struct spn_item *item)
{
    char words[TOP_WORDS_SIZE];
    snprintf(words, sizeof(words), "-- %s --", spn_err_text(item->why));
    put_words(top, words);
    top->ended = true;
}

spn_err top_follow(struct top *top, const struct top_session *session)
{
    struct spn_subscription_options options = {
        .size = sizeof(options), .start = SPN_AFTER_SEQ, .otherwise = SPN_RESTART | SPN_WAIT};
    spn_unsubscribe(top->events);
    top->events = NULL;
    top->line_count = 0;
    top->ended = false;
    if (!session)
        return SPN_OK;
    struct spn_bytes name = top_name(top, session);
    memcpy(top->session, name.data, name.size);
    top->session[name.size] = '\0';
    options.after_life = session->life;
    options.after_seq = session->seq > EVENTS_BEFORE ? session->seq - EVENTS_BEFORE : 0;
    return spn_subscribe(&top->events, top->client, name, &options);
}

bool top_follow_take(struct top *top)
{
    const struct spn_item *item;
    int taken = 0;
    while (top->events && !top->ended && taken < TAKE_MAX &&
           spn_subscription_next(top->events, 0, &item) == SPN_OK) {
        taken++;
        if (item->kind == SPN_ITEM_EVENT)
            put_event(top, item->event);
        else if (item->kind == SPN_ITEM_END)
            put_end(top, item);
    }
    return taken > 0;
}
