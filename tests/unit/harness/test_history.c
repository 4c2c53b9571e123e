/* SPDX-License-Identifier: Apache-2.0 */
/* test_history: the checker that the campaigns stand on sees what it must, and nothing else.
 *
 * A row is a script: what is sent, acknowledged and dumped, in words of four characters or so.
 *
 *     s<producer><number><session>[i]  sent, with an id of its own if i
 *     a<producer><number>              acknowledged as stored
 *     d<producer><number>              said to be a duplicate
 *     l<producer><number><session>     in the log, seq and position one higher than the last
 *     L<producer><number><session>     the same, with seq and position one too high
 *     x<session>                       in the log, and nobody's
 *     I<producer><number><session>     in the log, with another id
 *     e<producer><number><session>     in the log, with no id
 *     f                                forget
 *     k<count>                         the log retains so many of each session
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "history.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
    const char *name;
    const char *script;
    struct history_verdict wants; /* `troubles` and `first` are not compared */
};

static const struct row rows[] = {
    {"nothing", "", {0}},
    {"all there", "s01A s02A a01 a02 l01A l02A", {.sent = 2, .acked = 2, .stored = 2}},
    {"sent and not acknowledged may be there", "s01A l01A", {.sent = 1, .stored = 1}},
    {"sent and not acknowledged may be gone", "s01A s02A a01 l01A", {2, 1, 1, .lost = 0}},
    {"producers mix", "s01A s11A s02B s12B l11A l01A l12B l02B", {.sent = 4, .stored = 4}},
    {"with ids and without", "s01Ai s02A l01A l02A", {.sent = 2, .stored = 2}},
    {"lost at the end", "s01A s02A a01 a02 l01A", {2, 2, 1, .lost = 1}},
    {"lost, all of it", "s01A s02A a01 a02", {2, 2, 0, .lost = 2}},
    {"lost in the middle", "s01A s02A s03A a01 a02 l01A l03A", {3, 2, 2, .lost = 1}},
    {"doubled", "s01A s02A a01 l01A l02A l01A", {2, 1, 2, .doubled = 1}},
    {"doubled at once, twice", "s01A l01A l01A l01A", {1, 0, 1, .doubled = 2}},
    {"reordered", "s01A s02A s03A l02A l01A l03A", {3, 0, 3, .reordered = 1}},
    {"another session's order is its own", "s01A s02B l02B l01A", {.sent = 2, .stored = 2}},
    {"another producer's order is its own", "s01A s02A s11A l11A l01A l02A", {3, 0, 3, .lost = 0}},
    {"skipped", "s01A s02A s03A l01A l03A", {3, 0, 2, .skipped = 1}},
    {"skipped over sessions", "s01A s02B l02B", {2, 0, 1, .skipped = 1}},
    {"nobody's", "s01A l01A xA", {1, 0, 1, .foreign = 1}},
    {"never sent", "s01A l01A l02A", {1, 0, 1, .foreign = 1}},
    {"of no such producer", "s01A l01A l91A", {1, 0, 1, .foreign = 1}},
    {"in another session", "s01A s02B l01A l02A", {2, 0, 1, .foreign = 1}},
    {"with another id", "s01Ai a01 I01A", {1, 1, 0, .foreign = 1, .lost = 1}},
    {"any id where it had none", "s01A I01A", {.sent = 1, .stored = 1}},
    {"with no id", "s01A e01A", {1, 0, 0, .foreign = 1}},
    {"a hole in the seqs", "s01A s02A l01A L02A", {2, 0, 2, .misnumbered = 1}},
    {"called a duplicate", "s01A d01 l01A", {1, 0, 1, .denied = 1}},
    {"called a duplicate, and gone", "s01A d01", {1, 0, 0, .denied = 1}},
    {"forgotten", "s01A a01 l01A xA f l01A", {.sent = 1, .stored = 1}},
    {"hidden", "k1 s01A s02A a01 a02 L02A", {2, 2, 1, .lost = 0}},
    {"one producer's are hidden", "k1 s01A s11A a01 a11 L11A", {2, 2, 1, .lost = 0}},
    {"fewer than are retained", "k2 s01A a01 l01A", {1, 1, 1, .lost = 0}},
    {"retained, all of it gone", "k1 s01A a01", {1, 1, 0, .lost = 1}},
    {"retained, and one is gone", "k2 s01A s02A a01 a02 L02A", {2, 2, 1, .lost = 1}},
    {"lost before it was hidden", "k1 s01A s02A s03A a01 a02 a03 L03A", {3, 3, 1, .lost = 1}},
    {"doubled before it was hidden", "k1 s01A a01 L01A", {1, 1, 1, .doubled = 1}},
    {"not hidden", "k1 s01A s02A l01A l02A", {2, 0, 2, .misnumbered = 1}},
    {"skipped among what is retained", "k2 s01A s02A s03A L01A l03A", {3, 0, 2, .skipped = 1}},
    {"reordered among it", "k2 s01A s02A s03A L03A l02A", {3, 0, 2, .reordered = 1}},
    {"a hole in the seqs of it",
     "k2 s01A s02A s03A l01A L03A",
     {3, 0, 2, .skipped = 1, .misnumbered = 1}},
};

struct log {
    uint64_t seqs[2]; /* of sessions A and B */
    uint64_t position;
};

static void dump(struct history *history, struct log *log, const char *word)
{
    char data[HISTORY_WORDS_SIZE];
    bool nobodys = word[0] == 'x';
    uint32_t producer = nobodys ? 0 : (uint32_t)(word[1] - '0');
    uint64_t number = nobodys ? 1 : (uint64_t)(word[2] - '0');
    const char *session = nobodys ? word + 1 : word + 3;
    size_t size = history_put_data(data, 0, producer, number);
    char id[] = {'i', (char)('0' + producer), (char)('0' + number), '\0'};
    if (word[0] == 'I')
        id[0] = 'j';
    if (word[0] == 'L') {
        log->position++;
        log->seqs[session[0] - 'A']++;
    }
    struct history_entry entry = {
        .session = {session, 1},
        .id = {id, word[0] == 'e' ? 0 : strlen(id)},
        .data = {nobodys ? "x" : data, nobodys ? 1 : size},
        .seq = ++log->seqs[session[0] - 'A'],
        .position = ++log->position,
    };
    history_dumped(history, &entry);
}

static void say(struct history *history, struct log *log, const char *word)
{
    char session[] = {word[0] == 's' ? word[3] : '\0', '\0'};
    char id[] = {'i', word[0] != 'f' ? word[1] : '\0', word[0] != 'f' ? word[2] : '\0', '\0'};
    switch (word[0]) {
    case 's':
        history_sent(history, (uint32_t)(word[1] - '0'), (uint64_t)(word[2] - '0'), session,
                     word[4] == 'i' ? id : NULL);
        return;
    case 'a':
    case 'd':
        history_acked(history, (uint32_t)(word[1] - '0'), (uint64_t)(word[2] - '0'),
                      word[0] == 'a' ? HISTORY_STORED : HISTORY_NOT_STORED);
        return;
    case 'f':
        history_forget(history);
        *log = (struct log){0};
        return;
    case 'k':
        history_retains(history, (uint64_t)(word[1] - '0'));
        return;
    default:
        dump(history, log, word);
    }
}

static void run_row(void **state)
{
    const struct row *row = *state;
    struct history *history = history_new(2);
    struct log log = {0};
    for (const char *at = row->script; *at;) {
        char word[8] = "";
        size_t size = strcspn(at, " ");
        assert_true(size < sizeof(word));
        memcpy(word, at, size);
        say(history, &log, word);
        at += size + (at[size] == ' ');
    }
    struct history_verdict got = history_judge(history);
    assert_int_equal(got.sent, row->wants.sent);
    assert_int_equal(got.acked, row->wants.acked);
    assert_int_equal(got.stored, row->wants.stored);
    assert_int_equal(got.lost, row->wants.lost);
    assert_int_equal(got.doubled, row->wants.doubled);
    assert_int_equal(got.reordered, row->wants.reordered);
    assert_int_equal(got.skipped, row->wants.skipped);
    assert_int_equal(got.foreign, row->wants.foreign);
    assert_int_equal(got.misnumbered, row->wants.misnumbered);
    assert_int_equal(got.denied, row->wants.denied);
    assert_int_equal(got.troubles, got.lost + got.doubled + got.reordered + got.skipped +
                                       got.foreign + got.misnumbered + got.denied);
    assert_int_equal(got.first[0] != '\0', got.troubles > 0);
    history_free(history);
}

/* The index of sessions grows under it. */
static void many_sessions(void **state)
{
    enum { SESSIONS = 5000 };
    (void)state;
    struct history *history = history_new(1);
    char session[16], data[HISTORY_WORDS_SIZE];
    for (uint64_t number = 1; number <= SESSIONS; number++) {
        snprintf(session, sizeof(session), "s%d", (int)number);
        history_sent(history, 0, number, session, "id");
        history_acked(history, 0, number, HISTORY_STORED);
    }
    for (uint64_t number = 1; number <= SESSIONS; number++) {
        snprintf(session, sizeof(session), "s%d", (int)number);
        size_t size = history_put_data(data, 0, 0, number);
        history_dumped(history, &(struct history_entry){.session = {session, strlen(session)},
                                                        .id = {"id", 2},
                                                        .data = {data, size},
                                                        .seq = 1,
                                                        .position = number});
    }
    struct history_verdict verdict = history_judge(history);
    history_expect_whole("many sessions", &verdict);
    assert_int_equal(verdict.stored, SESSIONS);
    history_free(history);
}

static void data_has_its_size(void **state)
{
    (void)state;
    char data[100];
    assert_int_equal(history_put_data(data, sizeof(data), 3, 17), sizeof(data) - 1);
    assert_int_equal(strlen(data), sizeof(data) - 1);
    assert_int_equal(strncmp(data, "#3/17# ...", 10), 0);
    assert_int_equal(history_put_data(data, 4, 3, 17), strlen("#3/17# "));
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(many_sessions),
        cmocka_unit_test(data_has_its_size),
    };
    struct CMUnitTest tests[COUNT(rows) + COUNT(plain)];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)&rows[i]};
    memcpy(tests + COUNT(rows), plain, sizeof(plain));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
