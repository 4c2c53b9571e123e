/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_ds_note: notes come back as they were, and nothing else is one; the headers they are
 * made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "http/ds/headers.h"
#include "http/ds/note.h"
#include "http/word.h"
#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* -- notes ------------------------------------------------------------------------------------- */

static char longest_id[DS_PRODUCER_ID_MAX];
static char longest_seq[DS_SEQ_MAX];

static const struct ds_note notes[] = {
    {0},
    {.has_producer = true, .producer = {{"p", 1}, 0, 0}},
    {.has_producer = true, .producer = {{"p\0q", 3}, 1, UINT64_C(0x0123456789abcdef)}},
    {.seq = {"7", 1}},
    {.has_producer = true,
     .producer = {{longest_id, DS_PRODUCER_ID_MAX}, UINT64_MAX, UINT64_MAX},
     .seq = {longest_seq, DS_SEQ_MAX}},
};

/* Bytes in memory of exactly their size. */
static bool reads(const uint8_t *bytes, size_t size, struct ds_note *ret_note, void **ret_memory)
{
    *ret_memory = malloc(size > 0 ? size : 1);
    assert_non_null(*ret_memory);
    memcpy(*ret_memory, bytes, size);
    return ds_note_read((struct spn_bytes){*ret_memory, size}, ret_note);
}

static void notes_come_back(void **state)
{
    (void)state;
    memset(longest_id, 'i', sizeof(longest_id));
    memset(longest_seq, 's', sizeof(longest_seq));
    for (size_t i = 0; i < COUNT(notes); i++) {
        uint8_t bytes[DS_NOTE_SIZE + 1] = {0};
        struct ds_note back;
        void *memory;
        size_t size = ds_note_write(&notes[i], bytes);
        assert_true(size <= 512); /* what an event may have */
        assert_true(reads(bytes, size, &back, &memory));
        assert_int_equal(back.has_producer, notes[i].has_producer);
        assert_true(word_equals(back.producer.id, notes[i].producer.id));
        assert_int_equal(back.producer.epoch, notes[i].producer.epoch);
        assert_int_equal(back.producer.seq, notes[i].producer.seq);
        assert_true(word_equals(back.seq, notes[i].seq));
        free(memory);
        for (size_t cut = 0; cut <= size + 1; cut++) {
            assert_int_equal(reads(bytes, cut, &back, &memory), cut == size);
            free(memory);
        }
    }
}

static void other_bytes_are_no_note(void **state)
{
    (void)state;
    static const struct spn_bytes others[] = {
        {"\4", 1},                                    /* a flag that is not known */
        {"\2\0", 2},                                  /* an empty Stream-Seq */
        {"\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18}, /* an empty id */
        {"\2\2a", 3},
        {"note", 4},
    };
    struct ds_note note;
    uint8_t bytes[DS_NOTE_SIZE];
    for (size_t i = 0; i < COUNT(others); i++) {
        const struct ds_note empty = {0};
        size_t mark = ds_note_write(&empty, bytes) - 1;
        memcpy(bytes + mark, others[i].data, others[i].size);
        assert_false(ds_note_read((struct spn_bytes){bytes, mark + others[i].size}, &note));
    }
    static const uint8_t too_long[] = {2, DS_SEQ_MAX + 1};
    memcpy(bytes + DS_NOTE_MARK_SIZE, too_long, sizeof(too_long));
    const struct spn_bytes whole = {bytes, DS_NOTE_MARK_SIZE + 2 + DS_SEQ_MAX + 1};
    assert_false(ds_note_read(whole, &note));
}

/* Other programs have notes too: what is ours does not rest on a byte or two. */
static void every_byte_of_the_mark_counts(void **state)
{
    (void)state;
    const struct ds_note empty = {0};
    struct ds_note note;
    uint8_t bytes[DS_NOTE_SIZE];
    size_t size = ds_note_write(&empty, bytes);
    assert_true(DS_NOTE_MARK_SIZE >= 8 && size > DS_NOTE_MARK_SIZE);
    for (size_t i = 0; i < DS_NOTE_MARK_SIZE; i++) {
        bytes[i] ^= 1;
        assert_false(ds_note_read((struct spn_bytes){bytes, size}, &note));
        bytes[i] ^= 1;
    }
    assert_true(ds_note_read((struct spn_bytes){bytes, size}, &note));
}

/* -- headers ----------------------------------------------------------------------------------- */

static const struct header_row {
    const char *name;
    const char *id; /* NULL: the header is not there */
    const char *epoch;
    const char *seq;
    const char *stream_seq;
    const char *detail; /* part of it; NULL: taken */
} header_rows[] = {
    {"nothing", NULL, NULL, NULL, NULL, NULL},
    {"a producer", "p", "0", "0", NULL, NULL},
    {"with spaces", " p ", " 1 ", "\t2", "a", NULL},
    {"the largest", "p", "9007199254740991", "9007199254740991", NULL, NULL},
    {"a Stream-Seq alone", NULL, NULL, NULL, "009", NULL},
    {"no epoch", "p", NULL, "0", NULL, "come together"},
    {"no seq", "p", "0", NULL, NULL, "come together"},
    {"no id", NULL, "0", "0", NULL, "come together"},
    {"an empty id", "", "0", "0", NULL, "Producer-Id is ''"},
    {"too large", "p", "9007199254740992", "0", NULL, "Producer-Epoch is '9007199254740992'"},
    {"huge", "p", "0", "99999999999999999999999", NULL, "Producer-Seq is"},
    {"negative", "p", "-1", "0", NULL, "Producer-Epoch is '-1'"},
    {"letters", "p", "0", "1abc", NULL, "Producer-Seq is '1abc'"},
    {"exponent", "p", "1e3", "0", NULL, "Producer-Epoch is '1e3'"},
    {"an empty number", "p", "0", "", NULL, "Producer-Seq is ''"},
    {"an empty Stream-Seq", NULL, NULL, NULL, "", "Stream-Seq is ''"},
};

static struct spn_bytes value(const char *text)
{
    return text != NULL ? spn_text(text) : (struct spn_bytes){0};
}

static void header_row(void **state)
{
    const struct header_row *row = *state;
    const struct ds_append_headers headers = {value(row->id), value(row->epoch), value(row->seq),
                                              value(row->stream_seq)};
    struct ds_note note;
    struct problem problem = {0};
    assert_int_equal(ds_append_parse(&headers, &note, &problem), row->detail == NULL);
    if (row->detail != NULL) {
        assert_int_equal(problem.status, 400);
        if (strstr(problem.detail, row->detail) == NULL)
            fail_msg("%s", problem.detail);
        return;
    }
    assert_int_equal(note.has_producer, row->id != NULL);
    assert_int_equal(note.seq.size > 0, row->stream_seq != NULL);
}

static void texts_have_a_length(void **state)
{
    (void)state;
    char text[DS_PRODUCER_ID_MAX + 1];
    memset(text, 'x', sizeof(text));
    struct ds_note note;
    struct problem problem;
    struct ds_append_headers headers = {
        {text, DS_PRODUCER_ID_MAX}, spn_text("0"), spn_text("0"), {text, DS_SEQ_MAX}};
    assert_true(ds_append_parse(&headers, &note, &problem));
    headers.seq.size++;
    assert_false(ds_append_parse(&headers, &note, &problem));
    headers.seq.size--;
    headers.producer_id.size++;
    assert_false(ds_append_parse(&headers, &note, &problem));
}

static void only_true_closes(void **state)
{
    (void)state;
    static const char *const others[] = {"", "false", "yes", "1", "truer", "tru", "true,true"};
    assert_true(ds_headers_close(spn_text("true")));
    assert_true(ds_headers_close(spn_text(" TRUE ")));
    assert_false(ds_headers_close((struct spn_bytes){0}));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(ds_headers_close(spn_text(others[i])));
}

static void tags_match(void **state)
{
    (void)state;
    static const char tag[] = "\"a:b\"";
    static const char *const same[] = {"\"a:b\"", " \"a:b\" ", "W/\"a:b\"", "*",
                                       "\"x,y\", \"a:b\""};
    static const char *const others[] = {"",   "a:b", "\"a:c\"", "\"a:b", "\"x,\"a:b\"",
                                         "W/", "\"\""};
    for (size_t i = 0; i < COUNT(same); i++)
        assert_true(ds_headers_match(spn_text(same[i]), tag));
    for (size_t i = 0; i < COUNT(others); i++)
        if (ds_headers_match(spn_text(others[i]), tag))
            fail_msg("%s", others[i]);
    assert_false(ds_headers_match((struct spn_bytes){0}, tag));
}

int main(void)
{
    static struct CMUnitTest tests[6 + COUNT(header_rows)] = {
        cmocka_unit_test(notes_come_back),     cmocka_unit_test(other_bytes_are_no_note),
        cmocka_unit_test(texts_have_a_length), cmocka_unit_test(only_true_closes),
        cmocka_unit_test(tags_match),          cmocka_unit_test(every_byte_of_the_mark_counts),
    };
    for (size_t i = 0; i < COUNT(header_rows); i++)
        tests[6 + i] = (struct CMUnitTest){header_rows[i].name, header_row, NULL, NULL,
                                           (void *)(uintptr_t)&header_rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
