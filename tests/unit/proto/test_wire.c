/* SPDX-License-Identifier: Apache-2.0 */
/* test_wire: the codec says what PROTOCOL.md says, byte by byte, and nothing that is not a message
 * passes.
 *
 * The examples are read out of PROTOCOL.md itself. Each is decoded, compared with the text in
 * `examples`, and written again to the same bytes. What is cut off or damaged lies at the end of a
 * page with nothing readable behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "wire.h"
#include "wire_frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

enum { FRAME_MAX = 8192, LINE_MAX_SIZE = 512, TEXT_MAX = 2048, FLIPS_PER_EXAMPLE = 20000 };

/* -- the examples ------------------------------------------------------------------------------ */

#define TOKEN "token=1122334455667788"
#define INSTANCE "token=a1b2c3d4e5f60718"
#define MARK "database=abcdefghijklmnop position=102"

static struct example {
    const char *name;
    const char *text;
    uint8_t bytes[FRAME_MAX];
    size_t size; /* 0: PROTOCOL.md has none of this name */
} examples[] = {
    {.name = "HELLO", .text = "HELLO request=1"},
    {.name = "WELCOME",
     .text = "WELCOME request=1 " INSTANCE
             " data_max=4194304 bytes_max=1048576 events_max=4096 version=0.1.0"},
    {.name = "OPEN",
     .text = "OPEN request=2 producer=ABCDEFGHIJKLMNOP token=0000000000000000 base=1 kept=1"
             " database=abcdefghijklmnop position=90 " INSTANCE},
    {.name = "OPENED",
     .text = "OPENED request=2 " TOKEN " " INSTANCE " accepted=5 durable=5 " MARK
             "; run first=3 count=2 result=1"},
    {.name = "LEAVE", .text = "LEAVE request=0 " TOKEN},
    {.name = "BATCH",
     .text = "BATCH request=0 " TOKEN " first=6 base=6 round=0 count=3 level=2 backpressure=5"
             "; event session=chat-7 id=a1 type=delta data=Hello"
             "; event session=chat-7 id=a2 type= data=world retry=2500"
             "; event session=chat-7 id=a\n type= data="},
    {.name = "CLOSE",
     .text = "BATCH request=0 " TOKEN " first=9 base=9 round=0 count=2 level=2 backpressure=0"
             "; close session=chat-7 epoch=100 id= type= data="
             "; delete session=chat-7 epoch=0 id= type= data="},
    {.name = "MARKERS",
     .text = "BATCH request=0 " TOKEN " first=11 base=11 round=0 count=3 level=2 backpressure=0"
             "; marker session=chat-7 id=c1 type= data="
             "; marker session=chat-7 id= type= data= retry=3000"
             "; reset session=chat-7 id= type= data="},
    {.name = "ACK",
     .text = "ACK request=0 " TOKEN
             " from=5 up_to=8 level=2 position=102; run first=8 count=1 result=3 code=33"},
    {.name = "EXPECT", .text = "EXPECT request=0 " TOKEN " number=7 round=1"},
    {.name = "ERROR",
     .text = "ERROR request=0 " TOKEN " code=19 detail=producer token is not known"},
    {.name = "STATE", .text = "STATE request=3 " TOKEN " base=6"},
    {.name = "STATE_IS",
     .text = "STATE_IS request=3 " TOKEN " " INSTANCE " accepted=8 durable=7 " MARK},
    {.name = "LAST", .text = "LAST request=4 session=chat-7"},
    {.name = "LAST_IS",
     .text = "LAST_IS request=4 epoch=100 seq=2 position=102 time=1767225600000 id=a2"},
    {.name = "FETCH",
     .text = "FETCH request=5 start=1 bytes_max=65536 epoch=0 seq=0 session=chat-7 id=a1"},
    {.name = "SLICE",
     .text = "SLICE request=5 verdict=0 count=2 epoch=100 seq=3 seq_last=3 missing=0"
             "; item seq=2 position=102 time=1767225600000 id=a2 type= data=world retry=2500"
             "; marker seq=3 position=103 time=1767225600000 id=c1 type= data="},
    {.name = "SESSIONS", .text = "SESSIONS request=6 count_max=100 after=chat-6 prefix=chat-"},
    {.name = "SESSIONS_ARE",
     .text = "SESSIONS_ARE request=6 more=0"
             "; row epoch=100 seq=2 position=102 bytes=10 opened=1767225599000 last=1767225600000"
             " markers=0 duplicates=3 conflicts=1 state=0 name=chat-7 last_id=a2"},
    {.name = "HEALTH", .text = "HEALTH request=7"},
    {.name = "HEALTH_IS",
     .text = "HEALTH_IS request=7 status=1 pid=4321 " INSTANCE " uptime=60000 durable=102"
             " checkpoint=90 version=0.1.0 reason=no room left"},
    {.name = "STATS", .text = "STATS request=8"},
    {.name = "STATS_ARE",
     .text = "STATS_ARE request=8; stat value=42 name=sponson_commits_total"
             "; stat value=1 name=sponson_producers"},
    {.name = "SUBSCRIBE",
     .text = "SUBSCRIBE request=9 subscription=3 incarnation=1 start=1 otherwise=3"
             " life=00000000000000000000000000000000 seq=0 credit=262144 features=0 session=chat-7"
             " id=a1"},
    {.name = "DELIVER",
     .text = "DELIVER request=0 count=3; delivery subscription=3 incarnation=1 kind=0 verdict=0"
             " code=0 count=0 size=37 seq=1 bytes=0 missing=0"
             " life=30313233343536373839616263646566 newest=2 state=0 reason= id=a1"
             "; delivery subscription=3 incarnation=1 kind=1 verdict=0"
             " code=0 count=1 size=47 seq=2 bytes=47 missing=0; item seq=2 position=102"
             " time=1767225600000 id=a2 type= data=world retry=2500; delivery subscription=4"
             " incarnation=1 kind=3 verdict=6 code=0 count=0 size=35 seq=7 bytes=0 missing=0"
             " life=66656463626139383736353433323130 newest=0 state=0 reason= id="},
    {.name = "CREDIT",
     .text = "CREDIT request=12 count=2; grant subscription=3 incarnation=1 credit=262191"
             "; grant subscription=4 incarnation=2 credit=262144"},
    {.name = "ALIVE", .text = "ALIVE request=12 " INSTANCE " subscriptions=2"},
    {.name = "UNSUBSCRIBE", .text = "UNSUBSCRIBE request=0 subscription=3 incarnation=1 credit=0"},
    {.name = "INFO", .text = "INFO request=10 session=chat-7"},
    {.name = "INFO_IS",
     .text = "INFO_IS request=10 epoch=100 seq=2 position=102 bytes=10 opened=1767225599000"
             " last=1767225600000 markers=0 duplicates=3 conflicts=1 state=1 name=chat-7 last_id=a2"
             " first_seq=2 retained_markers=0"},
};

static struct example *find_example(const char *name)
{
    for (size_t i = 0; i < COUNT(examples); i++)
        if (strcmp(examples[i].name, name) == 0)
            return &examples[i];
    return NULL;
}

/* Bytes in hexadecimal, one space between them; two spaces begin a remark. */
static void add_bytes(struct example *example, const char *line)
{
    while (isxdigit((unsigned char)line[0]) && isxdigit((unsigned char)line[1])) {
        assert_true(example->size < FRAME_MAX);
        char digits[3] = {line[0], line[1], '\0'};
        example->bytes[example->size++] = (uint8_t)strtoul(digits, NULL, 16);
        line += 2;
        if (line[0] == ' ' && line[1] != ' ')
            line++;
    }
    assert_true(line[0] == '\n' || (line[0] == ' ' && line[1] == ' '));
}

static int read_examples(void **state)
{
    (void)state;
    static const char fence[] = "```hex ";
    struct example *open = NULL;
    char line[LINE_MAX_SIZE];
    FILE *file = fopen(PROTOCOL_MD, "r");
    if (!file)
        return -1;
    while (fgets(line, sizeof(line), file)) {
        if (open && strcmp(line, "```\n") == 0) {
            open = NULL;
        } else if (open) {
            add_bytes(open, line);
        } else if (strncmp(line, fence, sizeof(fence) - 1) == 0) {
            line[strcspn(line, "\n")] = '\0';
            open = find_example(line + sizeof(fence) - 1);
            assert_non_null(open);
            assert_int_equal(open->size, 0);
        }
    }
    return fclose(file);
}

static enum wire_frame_end copy(const void *bytes, size_t size, struct wire_out *out)
{
    return wire_frame_copy((struct spn_bytes){bytes, size}, out, NULL, 0);
}

static void example_is_what_the_codec_says(void **state)
{
    const struct example *example = *state;
    uint8_t bytes[FRAME_MAX];
    char text[TEXT_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    assert_int_not_equal(example->size, 0);
    assert_int_equal(wire_frame_copy((struct spn_bytes){example->bytes, example->size}, &out, text,
                                     sizeof(text)),
                     WIRE_FRAME_WHOLE);
    assert_string_equal(text, example->text);
    assert_false(out.bad);
    assert_int_equal(wire_out_size(&out), example->size);
    assert_memory_equal(bytes, example->bytes, example->size);
}

/* Too little memory to write to is bad, whatever it is that does not fit. */
static void example_needs_its_room(void **state)
{
    const struct example *example = *state;
    for (size_t size = 0; size < example->size; size++) {
        uint8_t *bytes = malloc(size + 1); /* a sanitizer sees more than one byte too many */
        struct wire_out out = wire_out(bytes, size);
        assert_int_equal(copy(example->bytes, example->size, &out), WIRE_FRAME_WHOLE);
        assert_true(out.bad);
        assert_true(wire_out_size(&out) <= size);
        free(bytes);
    }
}

/* -- truncation and damage --------------------------------------------------------------------- */

static uint8_t *page_end; /* nothing can be read from here on; FRAME_MAX bytes before it can */

static int make_page(void **state)
{
    uint8_t *pages =
        mmap(NULL, 2 * FRAME_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + FRAME_MAX, FRAME_MAX, PROT_NONE) != 0)
        return -1;
    page_end = pages + FRAME_MAX;
    return read_examples(state);
}

static int free_page(void **state)
{
    (void)state;
    return munmap(page_end - FRAME_MAX, 2 * FRAME_MAX);
}

static uint8_t *at_page_end(const void *bytes, size_t size)
{
    uint8_t *at = page_end - size;
    memcpy(at, bytes, size);
    return at;
}

static void no_truncation_passes(void **state)
{
    const struct example *example = *state;
    uint8_t bytes[FRAME_MAX];
    for (size_t size = 0; size < example->size; size++) {
        struct wire_out out = wire_out(bytes, sizeof(bytes));
        const uint8_t *cut = at_page_end(example->bytes, size);
        assert_int_equal(copy(cut, size, &out),
                         size < WIRE_HEADER_SIZE ? WIRE_FRAME_UNREAD : WIRE_FRAME_LIES);
    }
    uint8_t longer[FRAME_MAX + 1];
    memcpy(longer, example->bytes, example->size);
    longer[example->size] = 0;
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    assert_int_equal(copy(longer, example->size + 1, &out), WIRE_FRAME_LIES);
}

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* The same bytes again, but for the minor version, which is ours when we write. An id that is too
 * long can be read in an entry, so that it is refused by its number, but not written. */
static void check_copy(const uint8_t *frame, size_t size)
{
    uint8_t bytes[FRAME_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    if (copy(frame, size, &out) != WIRE_FRAME_WHOLE)
        return;
    if (out.bad) {
        assert_int_equal(frame[5], WIRE_BATCH);
        return;
    }
    bytes[4] = frame[4];
    assert_int_equal(wire_out_size(&out), size);
    assert_memory_equal(bytes, frame, size);
}

static void damage_stays_inside(void **state)
{
    const struct example *example = *state;
    static const uint8_t favourites[] = {0, 1, 0x7f, 0x80, 0xff};
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < FLIPS_PER_EXAMPLE; i++) {
        uint8_t *frame = at_page_end(example->bytes, example->size);
        for (uint64_t flips = 1 + random_next(&random) % 3; flips > 0; flips--) {
            size_t at = 5 + random_next(&random) % (example->size - 5);
            uint64_t how = random_next(&random);
            if (how & 1)
                frame[at] ^= (uint8_t)(1u << (how >> 8 & 7));
            else
                frame[at] = favourites[(how >> 8) % COUNT(favourites)];
        }
        check_copy(frame, example->size);
    }
    uint8_t *frame = at_page_end(example->bytes, example->size);
    for (size_t at = 0; at < example->size; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            frame[at] ^= (uint8_t)(1u << bit);
            check_copy(frame, example->size);
            frame[at] ^= (uint8_t)(1u << bit);
        }
}

/* -- single fields ----------------------------------------------------------------------------- */

/* One field of an example is changed: does it still pass? */
static const struct field_row {
    const char *name;
    const char *example;
    size_t offset;
    size_t size;
    uint64_t value;
    bool passes;
} field_rows[] = {
    {"header: another minor version", "HELLO", 4, 1, 200, true},
    {"header: zero is not", "HELLO", 6, 1, 1, false},
    {"header: zero is not, second byte", "HELLO", 7, 1, 1, false},
    {"header: an unknown type", "HELLO", 5, 1, 6, false},
    {"header: type 0", "HELLO", 5, 1, 0, false},
    {"BATCH: base 0", "BATCH", 32, 8, 0, false},
    {"BATCH: base below first", "BATCH", 32, 8, 5, true},
    {"BATCH: base above first", "BATCH", 32, 8, 7, false},
    {"BATCH: first 0", "BATCH", 24, 8, 0, false},
    {"BATCH: the last numbers there are", "BATCH", 24, 8, UINT64_MAX - 3, true},
    {"BATCH: numbers that wrap", "BATCH", 24, 8, UINT64_MAX - 2, false},
    {"BATCH: no entries", "BATCH", 44, 4, 0, false},
    {"BATCH: fewer entries than counted", "BATCH", 44, 4, 4, false},
    {"BATCH: more entries than counted", "BATCH", 44, 4, 2, false},
    {"BATCH: level none", "BATCH", 48, 1, 0, true},
    {"BATCH: no such level", "BATCH", 48, 1, 3, false},
    {"BATCH: zero is not", "BATCH", 49, 1, 1, false},
    {"BATCH: zero is not at its end", "BATCH", 51, 1, 1, false},
    {"BATCH: the most backpressure", "BATCH", 52, 4, UINT32_MAX, true},
    {"entry: kind 0", "BATCH", 56, 1, 0, false},
    {"entry: kind 7", "BATCH", 56, 1, 7, false},
    {"entry: a marker with the bytes of an event", "BATCH", 56, 1, WIRE_MARKER, false},
    {"marker: an event in its place", "MARKERS", 56, 1, WIRE_EVENT, true},
    {"marker: a reset with its id", "MARKERS", 56, 1, WIRE_RESET, false},
    {"marker: a reset in its place, with a retry", "MARKERS", 80, 1, WIRE_RESET, true},
    {"marker: with neither id nor retry", "MARKERS", 92, 4, WIRE_RETRY_NONE, false},
    {"entry: the first one without a session", "BATCH", 57, 1, 0, false},
    {"entry: zero is not", "BATCH", 59, 1, 1, false},
    {"entry: zero behind the id's size is not", "BATCH", 62, 1, 1, false},
    {"entry: an id that reaches beyond", "BATCH", 60, 2, 0xffff, false},
    {"entry: data that reaches beyond", "BATCH", 64, 4, UINT32_MAX, false},
    {"entry: kind 2, which is free", "BATCH", 56, 1, 2, false},
    {"entry: a close with the bytes of an event", "BATCH", 56, 1, WIRE_CLOSE, false},
    {"entry: a delete with the bytes of an event", "BATCH", 56, 1, WIRE_DELETE, false},
    {"close: of the current life", "CLOSE", 78, 8, 0, true},
    {"close: of the last life there is", "CLOSE", 78, 8, UINT64_MAX, true},
    {"close: a delete in its place", "CLOSE", 56, 1, WIRE_DELETE, true},
    {"close: an event in its place", "CLOSE", 56, 1, WIRE_EVENT, true},
    {"delete: a close in its place", "CLOSE", 86, 1, WIRE_CLOSE, true},
    {"ACK: from above up to", "ACK", 24, 8, 9, false},
    {"ACK: from is up to", "ACK", 24, 8, 8, true},
    {"ACK: more runs than counted", "ACK", 40, 4, 0, false},
    {"ACK: fewer runs than counted", "ACK", 40, 4, 2, false},
    {"ACK: no such level", "ACK", 44, 1, 3, false},
    {"ACK: zero is not", "ACK", 45, 1, 1, false},
    {"run: the last result", "OPENED", 88, 1, WIRE_LOST, true},
    {"run: no such result", "OPENED", 88, 1, 5, false},
    {"run: refused for nothing", "OPENED", 88, 1, WIRE_REFUSED, false},
    {"run: a code, and not refused", "OPENED", 90, 2, SPN_E_BAD_ID, false},
    {"run: refused with code 0", "ACK", 70, 2, 0, false},
    {"run: refused for a reason of a later version", "ACK", 70, 2, UINT16_MAX, true},
    {"run: numbers that wrap", "ACK", 56, 8, UINT64_MAX, false},
    {"run: zero is not", "ACK", 69, 1, 1, false},
    {"EXPECT: zero is not", "EXPECT", 36, 1, 1, false},
    {"WELCOME: the largest event there is", "WELCOME", 24, 4, WIRE_EVENT_DATA_MAX, true},
    {"WELCOME: a larger one", "WELCOME", 24, 4, WIRE_EVENT_DATA_MAX + 1, false},
    {"WELCOME: batches of nothing", "WELCOME", 32, 4, 0, false},
    {"OPEN: base 0", "OPEN", 40, 8, 0, false},
    {"OPEN: a random id", "OPEN", 48, 1, 0, true},
    {"OPEN: no such kind of id", "OPEN", 48, 1, 2, false},
    {"OPEN: zero is not", "OPEN", 49, 1, 1, false},
    {"OPENED: durable above accepted", "OPENED", 40, 8, 6, false},
    {"OPENED: fewer runs than counted", "OPENED", 48, 4, 2, false},
    {"STATE: base 0", "STATE", 24, 8, 0, false},
    {"FETCH: after a number", "FETCH", 16, 1, WIRE_AFTER_SEQ, true},
    {"FETCH: no such start", "FETCH", 16, 1, 3, false},
    {"SUBSCRIBE: from now", "SUBSCRIBE", 28, 1, WIRE_NOW, true},
    {"SUBSCRIBE: no such start", "SUBSCRIBE", 28, 1, 4, false},
    {"SUBSCRIBE: no otherwise", "SUBSCRIBE", 29, 1, 0, true},
    {"SUBSCRIBE: wait", "SUBSCRIBE", 29, 1, WIRE_WAIT, true},
    {"SUBSCRIBE: no such otherwise", "SUBSCRIBE", 29, 1, 4, false},
    {"SUBSCRIBE: unknown features", "SUBSCRIBE", 64, 8, 1 << 20, true},
    {"SUBSCRIBE: not zero", "SUBSCRIBE", 30, 1, 1, false},
    {"DELIVER: fewer deliveries than it says", "DELIVER", 16, 4, 4, false},
    {"DELIVER: more deliveries than it says", "DELIVER", 16, 4, 2, false},
    {"DELIVER: no deliveries", "DELIVER", 16, 4, 0, false},
    {"DELIVER: not zero", "DELIVER", 20, 4, 1, false},
    {"DELIVER: bytes in a gap", "DELIVER", 216, 1, WIRE_GAP, false},
    {"DELIVER: no such kind", "DELIVER", 216, 1, 4, false},
    {"DELIVER: a verdict that is no end", "DELIVER", 37, 1, WIRE_TRIMMED, true},
    {"DELIVER: an end for damage", "DELIVER", 217, 1, WIRE_DAMAGED, true},
    {"DELIVER: no such verdict", "DELIVER", 217, 1, 11, false},
    {"DELIVER: refused without a code", "DELIVER", 217, 1, WIRE_REFUSED_VERDICT, false},
    {"DELIVER: refused with a code", "DELIVER", 217, 3, WIRE_REFUSED_VERDICT | 71 << 8, true},
    {"DELIVER: a code of another end", "DELIVER", 218, 2, 71, false},
    {"DELIVER: a code of events", "DELIVER", 123, 2, 71, false},
    {"DELIVER: more bytes of items than there are", "DELIVER", 129, 4, 47 + 48 + 36, false},
    {"DELIVER: fewer bytes of items than there are", "DELIVER", 129, 4, 46, false},
    {"DELIVER: more bytes of a standing than there are", "DELIVER", 224, 4, 36, false},
    {"DELIVER: fewer bytes of a standing than there are", "DELIVER", 224, 4, 34, false},
    {"DELIVER: of a closed session", "DELIVER", 276, 1, WIRE_SESSION_CLOSED, true},
    {"DELIVER: no such state", "DELIVER", 276, 1, 3, false},
    {"DELIVER: zero in a standing is not", "DELIVER", 277, 1, 1, false},
    {"ALIVE: not zero", "ALIVE", 28, 4, 1, false},
    {"CREDIT: fewer grants than it says", "CREDIT", 16, 4, 3, false},
    {"CREDIT: more grants than it says", "CREDIT", 16, 4, 1, false},
    {"CREDIT: not zero", "CREDIT", 32, 4, 1, false},
    {"SLICE: the last verdict", "SLICE", 16, 1, WIRE_OTHER_EPOCH, true},
    {"SLICE: no such verdict", "SLICE", 16, 1, 5, false},
    {"SLICE: zero is not", "SLICE", 17, 1, 1, false},
    {"SLICE: fewer items than counted", "SLICE", 20, 4, 3, false},
    {"item: the last kind", "SLICE", 92, 1, WIRE_ITEM_RESET, true},
    {"item: no such kind", "SLICE", 92, 1, 3, false},
    {"item: zero is not", "SLICE", 93, 1, 1, false},
    {"item: zero is not at its end", "SLICE", 95, 1, 1, false},
    {"SESSIONS_ARE: more", "SESSIONS_ARE", 20, 1, 1, true},
    {"row: closed", "SESSIONS_ARE", 85, 1, WIRE_SESSION_CLOSED, true},
    {"row: damaged", "SESSIONS_ARE", 85, 1, WIRE_SESSION_DAMAGED, true},
    {"row: no such state", "SESSIONS_ARE", 85, 1, 3, false},
    {"row: zero is not", "SESSIONS_ARE", 86, 1, 1, false},
    {"row: zero is not, third byte", "SESSIONS_ARE", 88, 1, 1, false},
    {"row: nothing but markers", "SESSIONS_ARE", 69, 8, 2, true},
    {"row: more markers than seqs", "SESSIONS_ARE", 69, 8, 3, false},
    {"INFO_IS: all is retained", "INFO_IS", 95, 8, 1, true},
    {"INFO_IS: nothing is retained", "INFO_IS", 95, 8, 3, true},
    {"INFO_IS: what is retained begins at 0", "INFO_IS", 95, 8, 0, false},
    {"INFO_IS: what is retained begins beyond", "INFO_IS", 95, 8, 4, false},
    {"INFO_IS: no such state", "INFO_IS", 80, 1, 3, false},
    {"INFO_IS: a marker is retained", "INFO_IS", 103, 8, 1, true},
    {"INFO_IS: more markers than are retained", "INFO_IS", 103, 8, 2, false},
    {"HEALTH_IS: stopping", "HEALTH_IS", 16, 1, WIRE_STOPPING, true},
    {"HEALTH_IS: no such status", "HEALTH_IS", 16, 1, 3, false},
};

static void changed_field(void **state)
{
    const struct field_row *row = *state;
    const struct example *example = find_example(row->example);
    assert_non_null(example);
    uint8_t frame[FRAME_MAX], bytes[FRAME_MAX];
    memcpy(frame, example->bytes, example->size);
    for (size_t i = 0; i < row->size; i++)
        frame[row->offset + i] = (uint8_t)(row->value >> (8 * i));
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    assert_int_equal(copy(frame, example->size, &out) == WIRE_FRAME_WHOLE, row->passes);
}

static const struct version_row {
    const char *name;
    size_t size;
    spn_err err;
    uint8_t major;
} version_rows[] = {
    {"ours", WIRE_HEADER_SIZE, SPN_OK, WIRE_MAJOR},
    {"an older one", WIRE_HEADER_SIZE, SPN_E_VERSION, WIRE_MAJOR - 1},
    {"a newer one", WIRE_HEADER_SIZE, SPN_E_VERSION, WIRE_MAJOR + 1},
    {"the last one", WIRE_HEADER_SIZE, SPN_E_VERSION, 255},
    {"a newer one, cut off", WIRE_HEADER_SIZE - 1, SPN_E_PROTOCOL, WIRE_MAJOR + 1},
};

/* Another major version's frame is read no further than the number that the answer echoes. */
static void header_version(void **state)
{
    const struct version_row *row = *state;
    uint8_t frame[WIRE_HEADER_SIZE] = {'S', 'P', 'N', row->major, 9, 77, row->err ? 5 : 0, 0, 42};
    struct wire_in in = wire_in(at_page_end(frame, row->size), row->size);
    struct wire_header header = {.request = 7};
    assert_int_equal(wire_get_header(&in, &header), row->err);
    assert_int_equal(header.request, row->err == SPN_E_PROTOCOL ? 7 : 42);
    if (row->err != SPN_E_PROTOCOL) {
        assert_int_equal(header.major, row->major);
        assert_int_equal(header.minor, 9);
        assert_int_equal(header.type, 77);
    }
}

static void other_magic(void **state)
{
    (void)state;
    for (size_t at = 0; at < 3; at++) {
        uint8_t frame[WIRE_HEADER_SIZE] = {'S', 'P', 'N', WIRE_MAJOR};
        frame[at] ^= 0x20;
        struct wire_in in = wire_in(frame, sizeof(frame));
        struct wire_header header;
        assert_int_equal(wire_get_header(&in, &header), SPN_E_PROTOCOL);
    }
    struct wire_header header;
    struct wire_in in = wire_in(NULL, 0);
    assert_int_equal(wire_get_header(&in, &header), SPN_E_PROTOCOL);
}

/* -- limits ------------------------------------------------------------------------------------ */

static uint8_t filler[WIRE_EVENT_DATA_MAX + 1];
static uint8_t large[WIRE_EVENT_DATA_MAX + 8192];

static const struct limit_row {
    const char *name;
    size_t session;
    size_t id;
    size_t type;
    size_t data;
    bool fits;
} limit_rows[] = {
    {"everything at its limit", 255, 4096, 255, WIRE_EVENT_DATA_MAX, true},
    {"nothing but an id", 0, 1, 0, 0, true},
    {"a session too long", 256, 1, 0, 0, false},
    {"an id too long", 1, 4097, 0, 0, false},
    {"an id too long for its field", 1, 65537, 0, 0, false},
    {"a type too long", 1, 1, 256, 0, false},
    {"data too long", 1, 1, 0, WIRE_EVENT_DATA_MAX + 1, false},
};

static void entry_limit(void **state)
{
    const struct limit_row *row = *state;
    struct wire_entry entry = {.kind = WIRE_EVENT,
                               .session = {filler, row->session},
                               .id = {filler, row->id},
                               .type = {filler, row->type},
                               .data = {filler, row->data},
                               .retry_ms = 3};
    struct wire_out out = wire_out(large, sizeof(large));
    wire_put_entry(&out, &entry);
    assert_int_equal(!out.bad, row->fits);
    if (out.bad)
        return;
    assert_int_equal(wire_out_size(&out), wire_entry_size(&entry));
    struct wire_entry back;
    struct wire_in in = wire_in(large, wire_out_size(&out));
    wire_get_entry(&in, (struct spn_bytes)TEXT("before"), &back);
    assert_true(wire_in_done(&in));
    assert_int_equal(back.session.size, row->session > 0 ? row->session : 6);
    assert_int_equal(back.id.size, row->id);
    assert_int_equal(back.type.size, row->type);
    assert_int_equal(back.data.size, row->data);
    assert_int_equal(back.retry_ms, 3);
}

static void item_limit(void **state)
{
    const struct limit_row *row = *state;
    struct wire_item item = {.seq = 1,
                             .id = {filler, row->id},
                             .type = {filler, row->type},
                             .data = {filler, row->data}};
    struct wire_out out = wire_out(large, sizeof(large));
    bool fits = row->fits || row->session > WIRE_SESSION_MAX; /* it has no session */
    wire_put_item(&out, &item);
    assert_int_equal(!out.bad, fits);
    if (out.bad)
        return;
    assert_int_equal(wire_out_size(&out), wire_item_size(&item));
    struct wire_item back;
    struct wire_in in = wire_in(large, wire_out_size(&out));
    wire_get_item(&in, &back);
    assert_true(wire_in_done(&in));
    assert_int_equal(back.data.size, row->data);
}

/* What an item may not be is not believed when the sidecar sends it either. */
static void item_too_large_is_not_read(void **state)
{
    (void)state;
    static const struct {
        size_t id;
        size_t type;
    } rows[] = {{4097, 0}, {1, 256}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        memset(large, 0, WIRE_ITEM_HEAD_SIZE);
        large[32] = (uint8_t)rows[i].id;
        large[33] = (uint8_t)(rows[i].id >> 8);
        large[34] = (uint8_t)rows[i].type;
        large[35] = (uint8_t)(rows[i].type >> 8);
        struct wire_item item;
        struct wire_in in = wire_in(large, WIRE_ITEM_HEAD_SIZE + rows[i].id + rows[i].type);
        wire_get_item(&in, &item);
        assert_true(in.bad);
    }
}

static void short_bytes_limit(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 300; size++) {
        struct wire_out out = wire_out(large, sizeof(large));
        struct spn_bytes session;
        wire_put_last(&out, (struct spn_bytes){filler, size});
        assert_int_equal(out.bad, size > 255);
        struct wire_in in = wire_in(large, wire_out_size(&out));
        wire_get_last(&in, &session);
        assert_int_equal(wire_in_done(&in), size <= 255);
        assert_int_equal(session.size, size <= 255 ? size : 0);
    }
}

static void id_bytes_limit(void **state)
{
    (void)state;
    for (size_t size = 4090; size <= 4100; size++) {
        struct wire_out out = wire_out(large, sizeof(large));
        struct wire_last_is last = {.id = {filler, size}};
        wire_put_last_is(&out, &last);
        assert_int_equal(out.bad, size > 4096);
    }
    struct wire_last_is last;
    memset(large, 0, 32);
    large[32] = 0x01;
    large[33] = 0x10; /* 4,097 */
    struct wire_in in = wire_in(large, 34 + 4097);
    wire_get_last_is(&in, &last);
    assert_true(in.bad);
}

static void batch_of_the_most_entries(void **state)
{
    (void)state;
    for (uint32_t count = WIRE_BATCH_EVENTS_MAX - 1; count <= WIRE_BATCH_EVENTS_MAX + 1; count++) {
        struct wire_out out = wire_out(large, sizeof(large));
        struct wire_batch batch = {.first = 1, .base = 1, .count = count};
        wire_put_batch(&out, &batch);
        struct wire_in in = wire_in(large, wire_out_size(&out));
        wire_get_batch(&in, &batch);
        assert_int_equal(in.bad, count > WIRE_BATCH_EVENTS_MAX);
    }
}

static void most_runs(void **state)
{
    (void)state;
    for (uint32_t count = WIRE_RUNS_MAX; count <= WIRE_RUNS_MAX + 1; count++) {
        struct wire_ack ack = {.up_to = 1, .run_count = count};
        struct wire_state open = {.run_count = count};
        struct wire_out out = wire_out(large, sizeof(large));
        wire_put_ack(&out, &ack);
        struct wire_in in = wire_in(large, wire_out_size(&out));
        wire_get_ack(&in, &ack);
        assert_int_equal(in.bad, count > WIRE_RUNS_MAX);
        out = wire_out(large, sizeof(large));
        wire_put_state(&out, &open);
        in = wire_in(large, wire_out_size(&out));
        wire_get_state(&in, &open);
        assert_int_equal(in.bad, count > WIRE_RUNS_MAX);
    }
}

/* An entry without a session is of the session before it. */
static void session_of_before(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct wire_entry event = {.kind = WIRE_EVENT, .session = TEXT("s"), .id = TEXT("1")};
    wire_put_entry(&out, &event);
    event.session.size = 0;
    wire_put_entry(&out, &event);
    struct wire_in in = wire_in(bytes, wire_out_size(&out));
    struct wire_entry entry;
    struct spn_bytes session = {NULL, 0};
    for (int i = 0; i < 2; i++) {
        wire_get_entry(&in, session, &entry);
        session = entry.session;
        assert_int_equal(session.size, 1);
    }
    assert_true(wire_in_done(&in));
}

static const struct end_row {
    const char *name;
    uint8_t kind;
    size_t session;
    bool fits;
} end_rows[] = {
    {"close: the shortest session", WIRE_CLOSE, 1, true},
    {"close: the longest session", WIRE_CLOSE, 255, true},
    {"close: a session too long", WIRE_CLOSE, 256, false},
    {"delete: the session before", WIRE_DELETE, 0, true},
    {"delete: the longest session", WIRE_DELETE, 255, true},
    {"delete: a session too long", WIRE_DELETE, 256, false},
};

/* What only events have is not written of a close or a delete, and comes back empty. */
static void end_of_session(void **state)
{
    const struct end_row *row = *state;
    const struct wire_entry entry = {.kind = row->kind,
                                     .session = {filler, row->session},
                                     .id = TEXT("id"),
                                     .type = TEXT("type"),
                                     .data = TEXT("data"),
                                     .retry_ms = 3,
                                     .epoch = 0x0102030405060708};
    struct wire_out out = wire_out(large, sizeof(large));
    wire_put_entry(&out, &entry);
    assert_int_equal(!out.bad, row->fits);
    if (out.bad)
        return;
    assert_int_equal(wire_out_size(&out), WIRE_ENTRY_HEAD_SIZE + row->session + WIRE_EPOCH_SIZE);
    assert_int_equal(wire_out_size(&out), wire_entry_size(&entry));
    struct wire_entry back;
    struct wire_in in = wire_in(large, wire_out_size(&out));
    wire_get_entry(&in, (struct spn_bytes)TEXT("before"), &back);
    assert_true(wire_in_done(&in));
    assert_int_equal(back.kind, row->kind);
    assert_int_equal(back.session.size, row->session > 0 ? row->session : 6);
    assert_int_equal(back.id.size + back.type.size + back.data.size, 0);
    assert_int_equal(back.retry_ms, WIRE_RETRY_NONE);
    assert_int_equal(back.epoch, entry.epoch);
}

/* Has a close no more than it may have? Written as an event of the same bytes, whose kind is then
 * changed: its lengths are right, and so only the rule for this kind can find it. */
static const struct end_bytes_row {
    const char *name;
    struct spn_bytes session;
    struct spn_bytes id;
    struct spn_bytes type;
    struct spn_bytes data;
    uint32_t retry_ms;
    bool passes;
} end_bytes_rows[] = {
    {"end: a session and an epoch", TEXT("s"), TEXT(""), TEXT(""), TEXT("12345678"),
     WIRE_RETRY_NONE, true},
    {"end: no session", TEXT(""), TEXT(""), TEXT(""), TEXT("12345678"), WIRE_RETRY_NONE, false},
    {"end: an id", TEXT("s"), TEXT("i"), TEXT(""), TEXT("12345678"), WIRE_RETRY_NONE, false},
    {"end: a type", TEXT("s"), TEXT(""), TEXT("t"), TEXT("12345678"), WIRE_RETRY_NONE, false},
    {"end: 7 bytes", TEXT("s"), TEXT(""), TEXT(""), TEXT("1234567"), WIRE_RETRY_NONE, false},
    {"end: 9 bytes", TEXT("s"), TEXT(""), TEXT(""), TEXT("123456789"), WIRE_RETRY_NONE, false},
    {"end: no epoch", TEXT("s"), TEXT(""), TEXT(""), TEXT(""), WIRE_RETRY_NONE, false},
    {"end: a retry", TEXT("s"), TEXT(""), TEXT(""), TEXT("12345678"), 0, false},
};

static void end_bytes(void **state)
{
    const struct end_bytes_row *row = *state;
    static const uint8_t kinds[] = {WIRE_CLOSE, WIRE_DELETE};
    const struct wire_entry event = {.kind = WIRE_EVENT,
                                     .session = row->session,
                                     .id = row->id,
                                     .type = row->type,
                                     .data = row->data,
                                     .retry_ms = row->retry_ms};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        uint8_t bytes[64];
        struct wire_entry entry;
        struct wire_out out = wire_out(bytes, sizeof(bytes));
        wire_put_entry(&out, &event);
        bytes[0] = kinds[i];
        struct wire_in in = wire_in(bytes, wire_out_size(&out));
        wire_get_entry(&in, (struct spn_bytes){NULL, 0}, &entry);
        assert_int_equal(wire_in_done(&in), row->passes);
    }
}

/* What a marker may be. Written as an event of the same bytes, as above. */
static const struct marker_row {
    const char *name;
    uint8_t kind;
    struct wire_entry entry;
    bool passes;
} marker_rows[] = {
    {"marker: an id", WIRE_MARKER, {.id = TEXT("i"), .retry_ms = WIRE_RETRY_NONE}, true},
    {"marker: a retry of 0", WIRE_MARKER, {.retry_ms = 0}, true},
    {"marker: both", WIRE_MARKER, {.id = TEXT("i"), .retry_ms = 1}, true},
    {"marker: neither", WIRE_MARKER, {.retry_ms = WIRE_RETRY_NONE}, false},
    {"marker: a type", WIRE_MARKER, {.id = TEXT("i"), .type = TEXT("t")}, false},
    {"marker: data", WIRE_MARKER, {.id = TEXT("i"), .data = TEXT("d")}, false},
    {"reset: nothing", WIRE_RESET, {.retry_ms = WIRE_RETRY_NONE}, true},
    {"reset: a retry", WIRE_RESET, {.retry_ms = 1}, true},
    {"reset: an id", WIRE_RESET, {.id = TEXT("i"), .retry_ms = WIRE_RETRY_NONE}, false},
    {"reset: data", WIRE_RESET, {.data = TEXT("d")}, false},
};

static void marker_bytes(void **state)
{
    const struct marker_row *row = *state;
    uint8_t bytes[64];
    struct wire_entry entry = row->entry;
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    entry.kind = WIRE_EVENT;
    entry.session = (struct spn_bytes)TEXT("s");
    wire_put_entry(&out, &entry);
    bytes[0] = row->kind;
    struct wire_in in = wire_in(bytes, wire_out_size(&out));
    wire_get_entry(&in, (struct spn_bytes){NULL, 0}, &entry);
    assert_int_equal(wire_in_done(&in), row->passes);
    if (!row->passes)
        return;
    assert_int_equal(entry.kind, row->kind);
    assert_int_equal(entry.id.size, row->entry.id.size);
    assert_int_equal(entry.retry_ms, row->entry.retry_ms);
}

/* The epoch of a decoded event does not stay from what was there before. */
static void event_has_no_epoch(void **state)
{
    (void)state;
    uint8_t bytes[64];
    const struct wire_entry event = {
        .kind = WIRE_EVENT, .session = TEXT("s"), .id = TEXT("1"), .epoch = 5};
    struct wire_entry back = {.epoch = 7};
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_entry(&out, &event);
    struct wire_in in = wire_in(bytes, wire_out_size(&out));
    wire_get_entry(&in, (struct spn_bytes){NULL, 0}, &back);
    assert_true(wire_in_done(&in));
    assert_int_equal(back.epoch, 0);
}

/* The largest row is as large as those who make room for it think. */
static void largest_row(void **state)
{
    (void)state;
    const struct wire_session_row row = {.name = {filler, WIRE_SESSION_MAX},
                                         .last_id = {filler, WIRE_ID_MAX}};
    struct wire_out out = wire_out(large, sizeof(large));
    wire_put_session_row(&out, &row);
    assert_false(out.bad);
    assert_int_equal(wire_out_size(&out), WIRE_SESSION_ROW_SIZE_MAX);
}

/* -- checks ------------------------------------------------------------------------------------ */

enum check { SESSION, ID, TYPE, DATA };

#define REPEAT_5(text) text text text text text
#define REPEAT_255(text) REPEAT_5(REPEAT_5(REPEAT_5(text text))) text text text text text

static const struct check_row {
    const char *name;
    struct spn_bytes bytes;
    enum check check;
    bool bad;
} check_rows[] = {
    {"session: empty", TEXT(""), SESSION, true},
    {"session: one byte", TEXT("a"), SESSION, false},
    {"session: 255 bytes", TEXT(REPEAT_255("a")), SESSION, false},
    {"session: 256 bytes", TEXT(REPEAT_255("a") "a"), SESSION, true},
    {"session: 255 bytes, the last cut off",
     TEXT(REPEAT_5(REPEAT_5(REPEAT_5("\xc3\xa4"))) "\xc3\xa4\xc3\xa4\xc3"), SESSION, true},
    {"session: space and punctuation", TEXT(" !/:~"), SESSION, false},
    {"session: U+0000", TEXT("a\0b"), SESSION, true},
    {"session: U+0001", TEXT("\x01"), SESSION, true},
    {"session: U+001F", TEXT("a\x1f"), SESSION, true},
    {"session: U+0020", TEXT("\x20"), SESSION, false},
    {"session: U+007E", TEXT("\x7e"), SESSION, false},
    {"session: U+007F", TEXT("\x7f"), SESSION, true},
    {"session: LF", TEXT("a\nb"), SESSION, true},
    {"session: U+0080", TEXT("\xc2\x80"), SESSION, true},
    {"session: U+009F", TEXT("a\xc2\x9f"), SESSION, true},
    {"session: U+00A0", TEXT("\xc2\xa0"), SESSION, false},
    {"session: U+07FF", TEXT("\xdf\xbf"), SESSION, false},
    {"session: U+0800", TEXT("\xe0\xa0\x80"), SESSION, false},
    {"session: U+D7FF", TEXT("\xed\x9f\xbf"), SESSION, false},
    {"session: U+D800, a surrogate", TEXT("\xed\xa0\x80"), SESSION, true},
    {"session: U+DFFF, a surrogate", TEXT("\xed\xbf\xbf"), SESSION, true},
    {"session: U+E000", TEXT("\xee\x80\x80"), SESSION, false},
    {"session: U+FFFF", TEXT("\xef\xbf\xbf"), SESSION, false},
    {"session: U+10000", TEXT("\xf0\x90\x80\x80"), SESSION, false},
    {"session: U+10FFFF", TEXT("\xf4\x8f\xbf\xbf"), SESSION, false},
    {"session: U+110000", TEXT("\xf4\x90\x80\x80"), SESSION, true},
    {"session: f5", TEXT("\xf5\x80\x80\x80"), SESSION, true},
    {"session: ff", TEXT("\xff"), SESSION, true},
    {"session: fe", TEXT("a\xfe\xbf\xbf\xbf\xbf\xbf\xbf"), SESSION, true},
    {"session: overlong c0 80", TEXT("\xc0\x80"), SESSION, true},
    {"session: overlong c1 bf", TEXT("\xc1\xbf"), SESSION, true},
    {"session: overlong e0 9f bf", TEXT("\xe0\x9f\xbf"), SESSION, true},
    {"session: overlong f0 8f bf bf", TEXT("\xf0\x8f\xbf\xbf"), SESSION, true},
    {"session: begins inside a character", TEXT("\x80"), SESSION, true},
    {"session: two bytes, the second missing", TEXT("\xc3"), SESSION, true},
    {"session: two bytes, the second wrong", TEXT("\xc3(a"), SESSION, true},
    {"session: three bytes, the third missing", TEXT("\xe2\x82"), SESSION, true},
    {"session: three bytes, the second wrong", TEXT("\xe2(\xa1"), SESSION, true},
    {"session: three bytes, the third wrong", TEXT("\xe2\x82("), SESSION, true},
    {"session: four bytes, the fourth missing", TEXT("\xf0\x9f\x98"), SESSION, true},
    {"session: four bytes, the fourth wrong", TEXT("\xf0\x9f\x98\xc0"), SESSION, true},
    {"session: a control behind good ones", TEXT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\r"), SESSION,
     true},
    {"id: empty", TEXT(""), ID, false},
    {"id: any bytes", TEXT("\xff\x01\x7f \t"), ID, false},
    {"id: NUL", TEXT("a\0"), ID, true},
    {"id: CR", TEXT("\ra"), ID, true},
    {"id: LF", TEXT("a\nb"), ID, true},
    {"id: 4,096 bytes", {filler, 4096}, ID, false},
    {"id: 4,097 bytes", {filler, 4097}, ID, true},
    {"type: empty", TEXT(""), TYPE, false},
    {"type: any bytes", TEXT("\xff\x01"), TYPE, false},
    {"type: NUL", TEXT("\0"), TYPE, true},
    {"type: CR", TEXT("a\r"), TYPE, true},
    {"type: LF", TEXT("\n"), TYPE, true},
    {"type: 255 bytes", {filler, 255}, TYPE, false},
    {"type: 256 bytes", {filler, 256}, TYPE, true},
    {"data: empty", {NULL, 0}, DATA, false},
    {"data: NUL and LF", TEXT("a\0\nb"), DATA, false},
    {"data: CR", TEXT("a\r"), DATA, true},
    {"data: as much as there may be", {filler, 2000}, DATA, false},
};

static void check(void **state)
{
    const struct check_row *row = *state;
    /* Cut off exactly: a check that looks behind the end of a session finds no page. */
    struct spn_bytes bytes = row->bytes;
    if (bytes.size > 0)
        bytes.data = at_page_end(row->bytes.data, row->bytes.size);
    switch (row->check) {
    case SESSION:
        assert_int_equal(wire_check_session(bytes), row->bad ? SPN_E_BAD_SESSION : SPN_OK);
        break;
    case ID:
        assert_int_equal(wire_check_id(bytes), row->bad ? SPN_E_BAD_ID : SPN_OK);
        break;
    case TYPE:
        assert_int_equal(wire_check_type(bytes), row->bad ? SPN_E_BAD_TYPE : SPN_OK);
        break;
    case DATA:
        assert_int_equal(wire_check_data(bytes, 2000), row->bad ? SPN_E_BAD_DATA : SPN_OK);
        break;
    }
}

static void data_size(void **state)
{
    (void)state;
    assert_int_equal(wire_check_data((struct spn_bytes)TEXT("abc"), 3), SPN_OK);
    assert_int_equal(wire_check_data((struct spn_bytes)TEXT("abcd"), 3), SPN_E_EVENT_TOO_LARGE);
    assert_int_equal(wire_check_data((struct spn_bytes)TEXT("abc\r"), 3), SPN_E_EVENT_TOO_LARGE);
    assert_int_equal(wire_check_data((struct spn_bytes){NULL, 0}, 0), SPN_OK);
}

/* -- all of them ------------------------------------------------------------------------------- */

enum { TESTS_MAX = 512 };

static struct CMUnitTest tests[TESTS_MAX];
static size_t test_count;

static void add_test(const char *name, CMUnitTestFunction run, const void *state)
{
    assert_true(test_count < TESTS_MAX);
    tests[test_count++] = (struct CMUnitTest){name, run, NULL, NULL, (void *)(uintptr_t)state};
}

static void add_examples(void)
{
    for (size_t i = 0; i < COUNT(examples); i++) {
        add_test(examples[i].name, example_is_what_the_codec_says, &examples[i]);
        add_test(examples[i].name, example_needs_its_room, &examples[i]);
        add_test(examples[i].name, no_truncation_passes, &examples[i]);
        add_test(examples[i].name, damage_stays_inside, &examples[i]);
    }
}

static void add_rows(void)
{
    for (size_t i = 0; i < COUNT(field_rows); i++)
        add_test(field_rows[i].name, changed_field, &field_rows[i]);
    for (size_t i = 0; i < COUNT(version_rows); i++)
        add_test(version_rows[i].name, header_version, &version_rows[i]);
    for (size_t i = 0; i < COUNT(limit_rows); i++) {
        add_test(limit_rows[i].name, entry_limit, &limit_rows[i]);
        add_test(limit_rows[i].name, item_limit, &limit_rows[i]);
    }
    for (size_t i = 0; i < COUNT(end_rows); i++)
        add_test(end_rows[i].name, end_of_session, &end_rows[i]);
    for (size_t i = 0; i < COUNT(end_bytes_rows); i++)
        add_test(end_bytes_rows[i].name, end_bytes, &end_bytes_rows[i]);
    for (size_t i = 0; i < COUNT(marker_rows); i++)
        add_test(marker_rows[i].name, marker_bytes, &marker_rows[i]);
    for (size_t i = 0; i < COUNT(check_rows); i++)
        add_test(check_rows[i].name, check, &check_rows[i]);
}

int main(void)
{
    memset(filler, 'x', sizeof(filler));
    add_examples();
    add_rows();
    add_test("other magic", other_magic, NULL);
    add_test("item too large is not read", item_too_large_is_not_read, NULL);
    add_test("short bytes", short_bytes_limit, NULL);
    add_test("id bytes", id_bytes_limit, NULL);
    add_test("the most entries", batch_of_the_most_entries, NULL);
    add_test("the most runs", most_runs, NULL);
    add_test("session of the entry before", session_of_before, NULL);
    add_test("an event has no epoch", event_has_no_epoch, NULL);
    add_test("the largest session row", largest_row, NULL);
    add_test("data size", data_size, NULL);
    return _cmocka_run_group_tests("wire", tests, test_count, make_page, free_page);
}
