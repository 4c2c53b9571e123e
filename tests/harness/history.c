/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NO_SESSION = UINT32_MAX, NAMES_FIRST = 64 };

enum mark { ACKED = 1, DENIED = 2, IN_LOG = 4 };

struct sent {
    uint64_t id_hash; /* 0: none of its own */
    uint32_t session;
    uint8_t marks;
};

struct producer {
    struct sent *events; /* of number 1, 2, 3 … */
    size_t count;
    size_t room;
};

struct session {
    char *name;
    uint64_t seq;     /* of its newest in the log */
    uint64_t *newest; /* per producer: its highest number in the log, ... */
    uint64_t *oldest; /* ... and its lowest; 0: none */
    uint64_t sent;
    uint64_t acked;
    uint64_t stored;
};

struct history {
    struct producer *producers;
    uint32_t producer_count;
    struct session *sessions;
    uint32_t session_count;
    uint32_t *index; /* hash of a name -> place in sessions; open addressing */
    uint32_t index_size;
    uint64_t position;
    uint64_t events_max;            /* that the log keeps of a session; 0: all */
    struct history_verdict verdict; /* what the dump showed so far */
};

static void *must(void *memory)
{
    if (!memory)
        fail_msg("out of memory");
    return memory;
}

/* FNV-1a; never 0. */
static uint64_t hash_of(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash | 1;
}

/* -- sessions ---------------------------------------------------------------------------------- */

static uint32_t *find_place(const struct history *history, const char *name, size_t size)
{
    uint32_t mask = history->index_size - 1;
    uint32_t at = (uint32_t)(hash_of(name, size) >> 32) & mask;
    while (history->index[at] != NO_SESSION) {
        const char *other = history->sessions[history->index[at]].name;
        if (strlen(other) == size && memcmp(other, name, size) == 0)
            break;
        at = (at + 1) & mask;
    }
    return &history->index[at];
}

static void grow_index(struct history *history)
{
    history->index_size = history->index_size > 0 ? history->index_size * 2 : NAMES_FIRST;
    free(history->index);
    history->index = must(malloc(history->index_size * sizeof(*history->index)));
    memset(history->index, 0xff, history->index_size * sizeof(*history->index));
    for (uint32_t i = 0; i < history->session_count; i++) {
        const char *name = history->sessions[i].name;
        *find_place(history, name, strlen(name)) = i;
    }
    history->sessions =
        must(realloc(history->sessions, history->index_size * sizeof(*history->sessions)));
}

static uint32_t know_session(struct history *history, const char *name)
{
    if (history->session_count * 2 >= history->index_size)
        grow_index(history);
    uint32_t *place = find_place(history, name, strlen(name));
    if (*place != NO_SESSION)
        return *place;
    *place = history->session_count++;
    history->sessions[*place] = (struct session){
        .name = must(strdup(name)),
        .newest = must(calloc(history->producer_count, sizeof(uint64_t))),
        .oldest = must(calloc(history->producer_count, sizeof(uint64_t))),
    };
    return *place;
}

/* -- the history ------------------------------------------------------------------------------- */

struct history *history_new(uint32_t producers)
{
    struct history *history = must(calloc(1, sizeof(*history)));
    history->producers = must(calloc(producers, sizeof(*history->producers)));
    history->producer_count = producers;
    grow_index(history);
    return history;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    for (uint32_t i = 0; i < history->producer_count; i++)
        free(history->producers[i].events);
    for (uint32_t i = 0; i < history->session_count; i++) {
        free(history->sessions[i].name);
        free(history->sessions[i].newest);
        free(history->sessions[i].oldest);
    }
    free(history->producers);
    free(history->sessions);
    free(history->index);
    free(history);
}

size_t history_put_data(char *data, size_t size, uint32_t producer, uint64_t number)
{
    char words[HISTORY_WORDS_SIZE];
    size_t used =
        (size_t)snprintf(words, sizeof(words), "#%" PRIu32 "/%" PRIu64 "# ", producer, number);
    if (size <= used)
        size = used + 1;
    memcpy(data, words, used);
    memset(data + used, '.', size - 1 - used);
    data[size - 1] = '\0';
    return size - 1;
}

void history_sent(struct history *history, uint32_t producer, uint64_t number, const char *session,
                  const char *id)
{
    assert_true(producer < history->producer_count);
    struct producer *sender = &history->producers[producer];
    assert_int_equal(number, sender->count + 1);
    if (sender->count == sender->room) {
        sender->room = sender->room > 0 ? sender->room * 2 : 1024;
        sender->events = must(realloc(sender->events, sender->room * sizeof(*sender->events)));
    }
    sender->events[sender->count++] = (struct sent){
        .id_hash = id ? hash_of(id, strlen(id)) : 0,
        .session = know_session(history, session),
    };
}

static struct sent *find(const struct history *history, uint64_t producer, uint64_t number)
{
    if (producer >= history->producer_count || number == 0 ||
        number > history->producers[producer].count)
        return NULL;
    return &history->producers[producer].events[number - 1];
}

void history_acked(struct history *history, uint32_t producer, uint64_t number,
                   enum history_result result)
{
    struct sent *event = find(history, producer, number);
    if (!event)
        fail_msg("acknowledged, and never sent: producer %" PRIu32 ", number %" PRIu64, producer,
                 number);
    event->marks |= result == HISTORY_STORED ? ACKED : DENIED;
}

void history_retains(struct history *history, uint64_t events_max)
{
    history->events_max = events_max;
}

void history_forget(struct history *history)
{
    for (uint32_t i = 0; i < history->producer_count; i++)
        for (size_t j = 0; j < history->producers[i].count; j++)
            history->producers[i].events[j].marks = 0;
    for (uint32_t i = 0; i < history->session_count; i++) {
        history->sessions[i].seq = 0;
        memset(history->sessions[i].newest, 0, history->producer_count * sizeof(uint64_t));
        memset(history->sessions[i].oldest, 0, history->producer_count * sizeof(uint64_t));
    }
    history->position = 0;
    history->verdict = (struct history_verdict){0};
}

/* -- the dump ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void note(struct history_verdict *verdict,
                                                       uint64_t *count, const char *format, ...)
{
    va_list words;
    (*count)++;
    if (verdict->troubles++ > 0)
        return;
    va_start(words, format);
    vsnprintf(verdict->first, sizeof(verdict->first), format, words);
    va_end(words);
}

/* A number behind this character, and where it ends; NULL: there is none. */
static const char *read_number(const char *at, char before, uint64_t *ret_number)
{
    char *end;
    if (!at || *at != before)
        return NULL;
    *ret_number = strtoull(at + 1, &end, 10);
    return end > at + 1 ? end : NULL;
}

/* Which event the data says it is; false: none. */
static bool read_data(struct spn_bytes data, uint64_t *ret_producer, uint64_t *ret_number)
{
    char words[HISTORY_WORDS_SIZE];
    size_t size = data.size < sizeof(words) - 1 ? data.size : sizeof(words) - 1;
    if (size > 0)
        memcpy(words, data.data, size);
    words[size] = '\0';
    const char *at = read_number(read_number(words, '#', ret_producer), '/', ret_number);
    return at && *at == '#';
}

static bool is_as_sent(const struct history *history, const struct sent *event,
                       const struct history_entry *entry)
{
    const char *name = history->sessions[event->session].name;
    return strlen(name) == entry->session.size &&
           memcmp(name, entry->session.data, entry->session.size) == 0 && entry->id.size > 0 &&
           (event->id_hash == 0 || event->id_hash == hash_of(entry->id.data, entry->id.size));
}

/* Its place in its session, among what is there. */
static void check_order(struct history *history, const struct history_entry *entry,
                        uint32_t producer, uint64_t number)
{
    struct history_verdict *verdict = &history->verdict;
    struct session *session =
        &history->sessions[history->producers[producer].events[number - 1].session];
    if (number < session->newest[producer])
        note(verdict, &verdict->reordered, "reordered: %" PRIu32 "/%" PRIu64 " behind %" PRIu64,
             producer, number, session->newest[producer]);
    else
        session->newest[producer] = number;
    if (session->oldest[producer] == 0)
        session->oldest[producer] = number;
    if (session->seq == 0 && history->events_max > 0 && entry->seq > 0)
        session->seq = entry->seq - 1; /* what is before it is hidden */
    if (entry->seq != session->seq + 1 || entry->position <= history->position)
        note(verdict, &verdict->misnumbered,
             "misnumbered: %s: seq %" PRIu64 " behind %" PRIu64 ", position %" PRIu64
             " behind %" PRIu64,
             session->name, entry->seq, session->seq, entry->position, history->position);
    session->seq = entry->seq;
    history->position = entry->position;
}

void history_dumped(struct history *history, const struct history_entry *entry)
{
    struct history_verdict *verdict = &history->verdict;
    uint64_t producer, number;
    bool named = read_data(entry->data, &producer, &number);
    struct sent *event = named ? find(history, producer, number) : NULL;
    if (!event || !is_as_sent(history, event, entry)) {
        note(verdict, &verdict->foreign, "foreign: session %.*s, id %.*s, position %" PRIu64,
             (int)entry->session.size, (const char *)entry->session.data, (int)entry->id.size,
             (const char *)entry->id.data, entry->position);
        return;
    }
    if (event->marks & IN_LOG) {
        note(verdict, &verdict->doubled,
             "doubled: %" PRIu64 "/%" PRIu64 " again at position %" PRIu64, producer, number,
             entry->position);
        return;
    }
    event->marks |= IN_LOG;
    check_order(history, entry, (uint32_t)producer, number);
}

/* -- the verdict ------------------------------------------------------------------------------- */

static void judge_event(struct history_verdict *verdict, uint32_t producer, size_t number,
                        uint8_t marks, bool others_are_there)
{
    if (!(marks & IN_LOG) && others_are_there)
        note(verdict, &verdict->skipped, "skipped: %" PRIu32 "/%zu, and others are there", producer,
             number);
    if (marks & DENIED)
        note(verdict, &verdict->denied, "denied: %" PRIu32 "/%zu was sent once", producer, number);
}

/* All of them are in the log, up to the last one. */
static void judge_all(const struct history *history, struct history_verdict *verdict, uint32_t i)
{
    const struct producer *producer = &history->producers[i];
    bool later_is_there = false;
    for (size_t number = producer->count; number > 0; number--) {
        uint8_t marks = producer->events[number - 1].marks;
        bool lost = (marks & ACKED) && !(marks & IN_LOG);
        if (lost)
            note(verdict, &verdict->lost, "lost: %" PRIu32 "/%zu was acknowledged", i, number);
        judge_event(verdict, i, number, marks, later_is_there && !lost);
        later_is_there = later_is_there || (marks & IN_LOG);
    }
}

/* What is hidden came before what is not. */
static void judge_retained(const struct history *history, struct history_verdict *verdict,
                           uint32_t i)
{
    const struct producer *producer = &history->producers[i];
    for (size_t number = producer->count; number > 0; number--) {
        const struct sent *event = &producer->events[number - 1];
        uint64_t oldest = history->sessions[event->session].oldest[i];
        uint64_t newest = history->sessions[event->session].newest[i];
        judge_event(verdict, i, number, event->marks, oldest < number && number < newest);
    }
}

static void judge_session(const struct history *history, struct history_verdict *verdict,
                          const struct session *session)
{
    uint64_t retained = session->seq < history->events_max ? session->seq : history->events_max;
    if (session->seq < session->acked)
        note(verdict, &verdict->lost, "lost: %s was given %" PRIu64 " events, not %" PRIu64,
             session->name, session->seq, session->acked);
    if (session->seq > session->sent)
        note(verdict, &verdict->doubled, "doubled: %s was given %" PRIu64 " events, not %" PRIu64,
             session->name, session->seq, session->sent);
    if (session->stored < retained)
        note(verdict, &verdict->lost, "lost: %s has %" PRIu64 " of its newest %" PRIu64,
             session->name, session->stored, retained);
    if (session->stored > retained)
        note(verdict, &verdict->misnumbered, "misnumbered: %s shows %" PRIu64 ", not %" PRIu64,
             session->name, session->stored, retained);
}

static void count_events(struct history *history, struct history_verdict *verdict)
{
    for (uint32_t i = 0; i < history->session_count; i++) {
        struct session *session = &history->sessions[i];
        session->sent = session->acked = session->stored = 0;
    }
    for (uint32_t i = 0; i < history->producer_count; i++)
        for (size_t j = 0; j < history->producers[i].count; j++) {
            const struct sent *event = &history->producers[i].events[j];
            struct session *session = &history->sessions[event->session];
            session->sent++;
            session->acked += (event->marks & ACKED) != 0;
            session->stored += (event->marks & IN_LOG) != 0;
        }
    for (uint32_t i = 0; i < history->session_count; i++) {
        const struct session *session = &history->sessions[i];
        verdict->sent += session->sent;
        verdict->acked += session->acked;
        verdict->stored += session->stored;
    }
}

struct history_verdict history_judge(struct history *history)
{
    struct history_verdict verdict = history->verdict;
    count_events(history, &verdict);
    for (uint32_t i = 0; i < history->producer_count; i++)
        if (history->events_max == 0)
            judge_all(history, &verdict, i);
        else
            judge_retained(history, &verdict, i);
    for (uint32_t i = 0; history->events_max > 0 && i < history->session_count; i++)
        judge_session(history, &verdict, &history->sessions[i]);
    return verdict;
}

void history_expect_whole(const char *what, const struct history_verdict *verdict)
{
    if (verdict->troubles > 0)
        fail_msg("%s: %" PRIu64 " lost, %" PRIu64 " doubled, %" PRIu64 " reordered, %" PRIu64
                 " skipped, %" PRIu64 " foreign, %" PRIu64 " misnumbered, %" PRIu64
                 " denied; the first: %s",
                 what, verdict->lost, verdict->doubled, verdict->reordered, verdict->skipped,
                 verdict->foreign, verdict->misnumbered, verdict->denied, verdict->first);
}
