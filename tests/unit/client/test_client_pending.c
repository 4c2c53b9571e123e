/* SPDX-License-Identifier: Apache-2.0 */
/* pending: its bounds, and that what is refused changes nothing. What leaves in which order is
 * test_client_latest's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pending.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { HEAD = WIRE_ENTRY_HEAD_SIZE, SESSIONS = 5000 };

static char filler[64];

static spn_err put(struct pending *pending, const char *session, size_t data_size)
{
    unsigned replaced;
    const struct wire_entry entry = {.kind = WIRE_EVENT,
                                     .session = {session, strlen(session)},
                                     .data = {filler, data_size},
                                     .retry_ms = WIRE_RETRY_NONE};
    return pending_put(pending, &entry, &replaced);
}

/* Entries of sessions with names of one letter: with no data each has HEAD + 1 bytes. */
static const struct row {
    const char *name;
    size_t count_max;
    size_t bytes_max;
    const char *sessions;
    size_t sizes[4]; /* of data */
    const char *taken;
} rows[] = {
    {"as many as may be", 2, 1000, "ab", {0}, "yy"},
    {"one more", 2, 1000, "abc", {0}, "yyn"},
    {"the same again", 2, 1000, "abab", {0}, "yyyy"},
    {"as many bytes as may be", 9, 2 * (HEAD + 1) + 10, "ab", {4, 6}, "yy"},
    {"one byte more", 9, 2 * (HEAD + 1) + 10, "ab", {4, 7}, "yn"},
    {"one byte more in place of another", 9, 2 * (HEAD + 1) + 10, "abb", {4, 6, 7}, "yyn"},
    {"fewer in place of another make room", 9, 2 * (HEAD + 1) + 10, "abab", {4, 6, 3, 7}, "yyyy"},
    {"one of any size", 9, 1, "a", {60}, "y"},
    {"one of any size in place of another", 9, 1, "aa", {1, 60}, "yy"},
    {"one of any size, and nothing beside it", 9, 1, "ab", {1}, "yn"},
};

static void run_row(void **state)
{
    const struct row *row = *state;
    struct pending pending;
    pending_init(&pending, row->count_max, row->bytes_max, 1);
    for (size_t i = 0; row->sessions[i] != '\0'; i++) {
        const char session[] = {row->sessions[i], '\0'};
        size_t bytes = pending.bytes;
        size_t count = pending.count;
        bool taken = row->taken[i] == 'y';
        assert_int_equal(put(&pending, session, row->sizes[i]), taken ? SPN_OK : SPN_E_TOO_MANY);
        assert_true(taken || (pending.bytes == bytes && pending.count == count));
    }
    while (pending_first(&pending) != NULL)
        pending_drop_first(&pending);
    assert_int_equal(pending.bytes, 0);
    assert_int_equal(pending.count, 0);
    pending_release(&pending);
}

/* The table of sessions grows while entries come and go. */
static void each_session_is_found(void **state)
{
    (void)state;
    struct pending pending;
    char session[16];
    pending_init(&pending, SESSIONS, SIZE_MAX, 12345);
    for (unsigned i = 0; i < SESSIONS; i++) {
        snprintf(session, sizeof(session), "s%u", i);
        assert_int_equal(put(&pending, session, 1), SPN_OK);
    }
    for (unsigned i = 0; i < SESSIONS / 2; i++)
        pending_drop_first(&pending);
    for (unsigned i = SESSIONS / 2; i < SESSIONS; i++) {
        snprintf(session, sizeof(session), "s%u", i);
        assert_int_equal(put(&pending, session, i % sizeof(filler)), SPN_OK);
    }
    assert_int_equal(pending.count, SESSIONS - SESSIONS / 2);
    for (unsigned i = SESSIONS / 2; i < SESSIONS - 10; i++) { /* ten are left to the release */
        const struct wire_entry *entry = pending_first(&pending);
        int size = snprintf(session, sizeof(session), "s%u", i);
        assert_int_equal(entry->session.size, size);
        assert_memory_equal(entry->session.data, session, (size_t)size);
        assert_int_equal(entry->data.size, i % sizeof(filler));
        pending_drop_first(&pending);
    }
    pending_release(&pending);
    pending_release(&pending);
}

/* E: event, M: marker with an id, r: with a retry alone, R: reset, C: close, A: attributes, T:
 * touch, of one session; N, m, t: an event, a marker and a touch with a condition; X: an event that
 * closes. What is pending then, and how many were replaced on the way. */
static const struct mix {
    const char *name;
    const char *put;
    const char *pending;
    unsigned replaced;
} mixes[] = {
    {"an event replaces an event", "EE", "E", 1},
    {"a marker waits behind the event", "EM", "EM", 0},
    {"a marker replaces a marker", "EMM", "EM", 1},
    {"an event replaces both", "EME", "E", 2},
    {"an id after each event, for long", "EMEMEMEMEM", "EM", 8},
    {"an event replaces a marker that waits alone", "ME", "E", 1},
    {"a retry alone leaves the marker its id", "Mr", "M", 1},
    {"and a reset its reset", "Rr", "R", 1},
    {"a reset is a marker", "EMR", "ER", 1},
    {"a close keeps its place among them", "EMCME", "EMCE", 1},
    {"and so does what comes behind it", "ECEME", "ECE", 2},
    {"a condition is not replaced", "NE", "NE", 0},
    {"a condition replaces nothing", "EN", "EN", 0},
    {"conditions stay, each of them", "ENNE", "ENNE", 0},
    {"an event that closes stays", "EXE", "EXE", 0},
    {"a marker with a condition stays", "mMM", "mM", 1},
    {"attributes keep their place", "EAE", "EAE", 0},
    {"a touch waits, once", "ETTT", "ET", 2},
    {"a touch with a condition waits too", "Tt", "Tt", 0},
    {"a touch after an event", "TET", "TET", 0},
};

static struct wire_entry entry_of(char letter)
{
    struct wire_entry entry = {.kind = WIRE_EVENT, .session = {"s", 1}, .retry_ms = 0};
    entry.kind = letter == 'M' || letter == 'r' ? WIRE_MARKER
                 : letter == 'R'                ? WIRE_RESET
                 : letter == 'C'                ? WIRE_CLOSE
                                                : WIRE_EVENT;
    entry.kind = letter == 'm'                    ? WIRE_MARKER
                 : letter == 'A'                  ? WIRE_ATTRIBUTES
                 : letter == 'T' || letter == 't' ? WIRE_TOUCH
                                                  : entry.kind;
    entry.flags = letter == 'N' || letter == 'm' ? WIRE_FLAG_NEW
                  : letter == 't'                ? WIRE_FLAG_SEQ
                  : letter == 'X'                ? WIRE_FLAG_CLOSES
                                                 : 0;
    if (letter == 'M' || letter == 'm')
        entry.id = (struct spn_bytes){"i", 1};
    return entry;
}

static void run_mix(void **state)
{
    const struct mix *mix = *state;
    struct pending pending;
    unsigned replaced = 0;
    pending_init(&pending, 100, 10000, 1);
    for (const char *at = mix->put; *at != '\0'; at++) {
        unsigned more = 99;
        const struct wire_entry entry = entry_of(*at);
        assert_int_equal(pending_put(&pending, &entry, &more), SPN_OK);
        replaced += more;
    }
    assert_int_equal(replaced, mix->replaced);
    assert_int_equal(pending.count, strlen(mix->pending));
    for (const char *at = mix->pending; *at != '\0'; at++) {
        const struct wire_entry wanted = entry_of(*at);
        const struct wire_entry *first = pending_first(&pending);
        assert_int_equal(first->kind, wanted.kind);
        assert_int_equal(first->id.size, wanted.id.size);
        pending_drop_first(&pending);
    }
    assert_null(pending_first(&pending));
    assert_int_equal(pending.bytes, 0);
    pending_release(&pending);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(each_session_is_found),
    };
    struct CMUnitTest tests[COUNT(rows) + COUNT(plain) + COUNT(mixes)];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] =
            (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    memcpy(tests + COUNT(rows), plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(mixes); i++)
        tests[COUNT(rows) + COUNT(plain) + i] =
            (struct CMUnitTest){mixes[i].name, run_mix, NULL, NULL, (void *)(uintptr_t)&mixes[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
