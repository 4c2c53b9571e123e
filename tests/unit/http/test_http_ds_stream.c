/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_ds_stream: what a session says of its stream, where a read begins, what an event shows;
 * and the chunks that are made of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "http/ds/chunk.h"
#include "http/ds/note.h"
#include "http/ds/stream.h"
#include "http/word.h"

/* -- streams ----------------------------------------------------------------------------------- */

static enum ds_presence read_info(struct spn_session *session, const char *note, uint64_t now_ms,
                                  struct ds_stream *ret_stream)
{
    const struct spn_session_info info = {
        .session = session, .first_seq = 3, .life_first_seq = 1, .note = spn_text(note)};
    return ds_stream_read(&info, now_ms, ret_stream);
}

static void what_a_session_says(void **state)
{
    (void)state;
    struct ds_stream stream;
    struct spn_session session = {.epoch = 8, .seq = 0, .life = {{9}}};
    assert_int_equal(ds_stream_read(NULL, 0, &stream), DS_ABSENT);
    assert_int_equal(read_info(&session, "ds1 first", 0, &stream), DS_UNFINISHED);
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    assert_int_equal(read_info(&session, "", 0, &stream), DS_THERE);
    session.seq = 5;
    assert_int_equal(read_info(&session, "ds1 first", 0, &stream), DS_THERE);
    assert_true(stream.tail == 5 && !stream.is_closed);
    session.state = SPN_CLOSED;
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    assert_true(stream.tail == 5 && stream.is_closed);
    session.reason = spn_text("ds:closed"); /* another program's, whatever it says */
    session.last_id = spn_text("0123456789abcdef0123456789abcdef");
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    assert_true(stream.tail == 5 && stream.is_closed);
    session.last_id = spn_text(DS_STREAM_CLOSED);
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    assert_int_equal(stream.tail, 5);
    session.last_id = spn_text(DS_STREAM_CLOSED "0123");
    session.state = SPN_LIVE;
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    assert_int_equal(stream.tail, 5);
    session.state = SPN_CLOSED;
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    assert_true(stream.tail == 4 && stream.seq == 5 && stream.is_closed);
    static const char moment[] = "ds1 expires=1970-01-01T00:00:03Z";
    assert_int_equal(read_info(&session, moment, 2999, &stream), DS_THERE);
    assert_int_equal(read_info(&session, moment, 3000, &stream), DS_EXPIRED);
}

/* first 3, tail 5 */
static const struct begin_row {
    const char *offset;
    unsigned status; /* 0: taken */
    uint64_t seq;
} begin_rows[] = {
    {"-1", 0, 0},
    {"now", 0, 5},
    {"0000000000000008_09000000_0000000000000005", 0, 5},
    {"0000000000000008_09000000_0000000000000002", 0, 2},
    {"0000000000000008_09000000_0000000000000001", 410, 0},
    {"0000000000000008_09000000_0000000000000006", 410, 0},
    {"0000000000000008_09000000_ffffffffffffffff", 410, 0},
    {"0000000000000007_09000000_0000000000000005", 410, 0},
    {"0000000000000008_09000001_0000000000000005", 410, 0},
};

static void where_a_read_begins(void **state)
{
    (void)state;
    struct ds_stream stream;
    struct spn_session session = {.epoch = 8, .seq = 5, .life = {{9}}};
    assert_int_equal(read_info(&session, "ds1", 0, &stream), DS_THERE);
    for (size_t i = 0; i < sizeof(begin_rows) / sizeof(begin_rows[0]); i++) {
        const struct begin_row *row = &begin_rows[i];
        enum ds_offset_kind start;
        struct ds_offset place;
        struct problem problem = {0};
        uint64_t seq = 0;
        start = ds_offset_parse(spn_text(row->offset), &place);
        if (ds_stream_begin(&stream, start, &place, &seq, &problem) != (row->status == 0))
            fail_msg("%s", row->offset);
        assert_int_equal(problem.status, row->status);
        if (row->status == 0)
            assert_int_equal(seq, row->seq);
    }
}

/* The note of an append without a producer. */
static struct spn_bytes our_note(void)
{
    static uint8_t bytes[DS_NOTE_SIZE];
    const struct ds_note note = {0};
    return (struct spn_bytes){bytes, ds_note_write(&note, bytes)};
}

static const struct data_row {
    enum ds_form form;
    bool is_ours;
    const char *data;
    const char *shown; /* NULL: nothing */
} data_rows[] = {
    {DS_FORM_TEXT, true, "a\x10M", "a\r"},     {DS_FORM_JSON, true, "1,2", "1,2"},
    {DS_FORM_TEXT, false, "a\x10M", "a\x10M"}, {DS_FORM_BYTES, false, "", ""},
    {DS_FORM_JSON, false, "[1,2]", "1,2"},     {DS_FORM_JSON, false, " {} ", "{}"},
    {DS_FORM_JSON, false, "[]", NULL},         {DS_FORM_JSON, false, "no JSON", NULL},
};

static void what_an_event_shows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(data_rows) / sizeof(data_rows[0]); i++) {
        const struct data_row *row = &data_rows[i];
        struct spn_event event = SPN_EVENT_INIT;
        struct out out;
        out_init(&out, -1);
        event.note = row->is_ours ? our_note() : (struct spn_bytes){0};
        event.data = spn_text(row->data);
        assert_int_equal(ds_stream_data(row->form, &event, &out), row->shown != NULL);
        assert_true(
            word_is((struct spn_bytes){out.data, out.size}, row->shown != NULL ? row->shown : ""));
        event.closes = true;
        event.reason = spn_text("ds:closed");
        assert_false(ds_stream_only_closes(&event));
        event.id = spn_text(DS_STREAM_CLOSED "0123");
        out.size = 0;
        assert_true(ds_stream_only_closes(&event));
        assert_false(ds_stream_data(row->form, &event, &out));
        event.closes = false;
        event.kind = SPN_MARKER;
        assert_false(ds_stream_data(row->form, &event, &out));
        assert_int_equal(out.size, 0);
        out_release(&out);
    }
}

/* -- chunks ------------------------------------------------------------------------------------ */

static struct spn_event event_of(uint64_t seq, const char *data)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.seq = seq;
    event.data = spn_text(data);
    event.note = our_note();
    return event;
}

static void add(struct ds_chunk *chunk, uint64_t seq, const char *data)
{
    const struct spn_event event = event_of(seq, data);
    assert_false(ds_chunk_add(chunk, &event));
}

static void assert_body(struct ds_chunk *chunk, const char *body, const char *tag)
{
    static const struct ds_stream stream = {.epoch = 8, .life = {{9}}};
    char text[DS_CHUNK_TAG_SIZE];
    assert_string_equal(ds_chunk_tag(chunk, &stream, text), tag);
    ds_chunk_finish(chunk);
    assert_true(word_is((struct spn_bytes){chunk->body.data, chunk->body.size}, body));
    ds_chunk_release(chunk);
}

#define PLACE(digit) "0000000000000008_09000000_000000000000000" digit

static void chunks_of_text(void **state)
{
    (void)state;
    struct ds_chunk chunk;
    ds_chunk_init(&chunk, DS_FORM_TEXT, 4, false);
    assert_body(&chunk, "", "\"" PLACE("4") ":" PLACE("4") "\"");
    ds_chunk_init(&chunk, DS_FORM_TEXT, 0, true);
    add(&chunk, 1, "a");
    add(&chunk, 2, "\x10M");
    assert_int_equal(chunk.to, 2);
    assert_body(&chunk, "a\r", "\"-1:" PLACE("2") "\"");
}

static void chunks_of_json(void **state)
{
    (void)state;
    struct ds_chunk chunk;
    struct spn_event foreign = event_of(3, "no JSON");
    foreign.note = (struct spn_bytes){0};
    ds_chunk_init(&chunk, DS_FORM_JSON, 0, false);
    assert_body(&chunk, "[]", "\"" PLACE("0") ":" PLACE("0") "\"");
    ds_chunk_init(&chunk, DS_FORM_JSON, 0, false);
    assert_false(ds_chunk_add(&chunk, &foreign));
    assert_false(chunk.has_data);
    add(&chunk, 4, "1,2");
    assert_false(ds_chunk_add(&chunk, &foreign));
    add(&chunk, 5, "{}");
    assert_body(&chunk, "[1,2,{}]", "\"" PLACE("0") ":" PLACE("5") "\"");
}

/* An event that only closes is no part of the stream; one with data is. */
static void chunks_that_close(void **state)
{
    (void)state;
    struct ds_chunk chunk;
    struct spn_event closing = event_of(7, "x");
    closing.closes = true;
    ds_chunk_init(&chunk, DS_FORM_TEXT, 6, false);
    assert_false(ds_chunk_add(&chunk, &closing));
    assert_body(&chunk, "x", "\"" PLACE("6") ":" PLACE("7") ":c\"");
    closing.data.size = 0;
    closing.id = spn_text(DS_STREAM_CLOSED "0123");
    ds_chunk_init(&chunk, DS_FORM_TEXT, 6, false);
    assert_false(ds_chunk_add(&chunk, &closing));
    assert_false(chunk.has_data);
    assert_body(&chunk, "", "\"" PLACE("6") ":" PLACE("6") ":c\"");
}

static void chunks_have_a_size(void **state)
{
    (void)state;
    static char data[DS_CHUNK_BYTES / 4 + 1];
    struct ds_chunk chunk;
    memset(data, 'a', sizeof(data) - 1);
    ds_chunk_init(&chunk, DS_FORM_BYTES, 0, false);
    for (uint64_t i = 1; i < 4; i++)
        add(&chunk, i, data);
    const struct spn_event last = event_of(4, data);
    assert_true(ds_chunk_add(&chunk, &last));
    ds_chunk_release(&chunk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_session_says), cmocka_unit_test(where_a_read_begins),
        cmocka_unit_test(what_an_event_shows), cmocka_unit_test(chunks_of_text),
        cmocka_unit_test(chunks_of_json),      cmocka_unit_test(chunks_that_close),
        cmocka_unit_test(chunks_have_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
