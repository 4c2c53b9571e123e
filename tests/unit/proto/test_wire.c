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
#define LIFE "life=303132333435363738393a3b3c3d3e3f"
#define NO_LIFE "life=00000000000000000000000000000000"
#define MARK "database=abcdefghijklmnop position=102"

#define SET "ttl=3600000 idle_close=60000 content_type=text/plain note=hi"

static struct example {
    const char *name;
    const char *text;
    uint8_t bytes[FRAME_MAX];
    size_t size; /* 0: PROTOCOL.md has none of this name */
} examples[] = {
    {.name = "HELLO", .text = "HELLO request=1 features=0"},
    {.name = "WELCOME",
     .text = "WELCOME request=1 " INSTANCE
             " features=0 data_max=4194304 bytes_max=1048576 events_max=4096 frame_max=131072"
             " window=128 heartbeat=5000 lease=30000 " MARK " version=0.1.0"},
    {.name = "OPEN",
     .text = "OPEN request=2 producer=ABCDEFGHIJKLMNOP token=0000000000000000 base=1 kept=1"
             " database=abcdefghijklmnop position=90 " INSTANCE " features=0"},
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
             "; close session=chat-7 id= type= " LIFE " closes=done data="
             "; delete session=chat-7 id= type= data="},
    {.name = "MARKERS",
     .text = "BATCH request=0 " TOKEN " first=11 base=11 round=0 count=3 level=2 backpressure=0"
             "; marker session=chat-7 id=c1 type= data="
             "; marker session=chat-7 id= type= data= retry=3000"
             "; reset session=chat-7 id= type= data="},
    {.name = "CONDITIONS",
     .text = "BATCH request=0 " TOKEN " first=14 base=14 round=0 count=3 level=2 backpressure=0"
             "; event session=chat-7 id=b1 type= " LIFE " seq=2 data=more"
             "; event session=chat-8 id=b2 type= new data=first"
             "; event session=chat-8 id=b3 type= depends=15 data=second"},
    {.name = "CLOSING_EVENT",
     .text = "BATCH request=0 " TOKEN " first=17 base=17 round=0 count=1 level=2 backpressure=0"
             "; event session=chat-8 id=b4 type= closes=success note=k=v data=[DONE]"},
    {.name = "ATTRIBUTES",
     .text =
         "BATCH request=0 " TOKEN " first=18 base=18 round=0 count=2 level=2 backpressure=0"
         "; attributes session=chat-9 id= type= new " SET "; touch session=chat-9 id= type= data="},
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
     .text = "LAST_IS request=4 " LIFE " seq=2 position=102 time=1767225600000 state=0 id=a2"},
    {.name = "FETCH",
     .text = "FETCH request=5 start=1 bytes_max=65536 " NO_LIFE " seq=0 session=chat-7 id=a1"},
    {.name = "SLICE",
     .text = "SLICE request=5 verdict=0 state=0 count=2 " LIFE " seq=3 seq_last=3 missing=0"
             "; event seq=2 position=102 time=1767225600000 session= id=a2 type= data=world"
             " retry=2500"
             "; marker seq=3 position=103 time=1767225600000 session= id=c1 type= data="},
    {.name = "SESSIONS", .text = "SESSIONS request=6 count_max=100 after=chat-6 prefix=chat-"},
    {.name = "SESSIONS_ARE",
     .text = "SESSIONS_ARE request=6 more=0"
             "; row epoch=100 " LIFE
             " seq=2 position=102 bytes=10 opened=1767225599000 last=1767225600000 markers=0"
             " duplicates=3 conflicts=1 state=0 ttl=3600000 idle_close=0 reason= content_type="
             " name=chat-7 last_id=a2"},
    {.name = "HEALTH", .text = "HEALTH request=7"},
    {.name = "HEALTH_IS",
     .text = "HEALTH_IS request=7 status=1 pid=4321 " INSTANCE " uptime=60000 durable=102"
             " checkpoint=90 version=0.1.0 reason=no room left"},
    {.name = "STATS", .text = "STATS request=8"},
    {.name = "STATS_ARE",
     .text = "STATS_ARE request=8; stat value=42 name=sponson_commits_total"
             "; stat value=1 name=sponson_producers"},
    {.name = "CLIENTS", .text = "CLIENTS request=13 after=0 count_max=100"},
    {.name = "CLIENTS_ARE",
     .text = "CLIENTS_ARE request=13 next=24 hidden=1"
             "; client number=21 pid=4400 uid=1000 socket=2 subscriptions=3 behind=1 lag=250"
             " waiting=65536 program=chat"
             "; client number=23 pid=0 uid=1000 socket=1 subscriptions=0 behind=0 lag=0"
             " waiting=0 program="},
    {.name = "SUBSCRIBE",
     .text = "SUBSCRIBE request=9 subscription=3 incarnation=1 start=1 otherwise=3"
             " life=00000000000000000000000000000000 seq=0 credit=262144 features=0 session=chat-7"
             " id=a1"},
    {.name = "DELIVER",
     .text =
         "DELIVER request=0 count=3; delivery subscription=3 incarnation=1 kind=0 verdict=0"
         " code=0 count=0 size=37 seq=1 bytes=0 missing=0"
         " life=30313233343536373839616263646566 newest=2 state=0 reason= id=a1"
         "; delivery subscription=3 incarnation=1 kind=1 verdict=0"
         " code=0 count=1 size=47 seq=2 bytes=47 missing=0; event seq=2 position=102"
         " time=1767225600000 session= id=a2 type= data=world retry=2500; delivery subscription=4"
         " incarnation=1 kind=3 verdict=6 code=0 count=0 size=35 seq=7 bytes=0 missing=0"
         " life=66656463626139383736353433323130 newest=0 state=0 reason= id="},
    {.name = "FOLLOW",
     .text = "FOLLOW request=13 subscription=5 incarnation=1 start=1 flags=1"
             " life=6162636465666768696a6b6c6d6e6f70 position=100 credit=262144 features=0"
             " prefix=chat-"},
    {.name = "DELIVER_LOG",
     .text = "DELIVER request=0 count=3; delivery subscription=5 incarnation=1 kind=2 verdict=0"
             " code=0 count=0 size=16 seq=102 bytes=64 missing=0 first=101 last=102"
             "; delivery subscription=5 incarnation=1 kind=1 verdict=0 code=0 count=1 size=68"
             " seq=105 bytes=132 missing=2; close seq=2 position=105 time=1767225600000"
             " session=chat-7 id= type= life=30313233343536373839616263646566 closes=error data="
             "; delivery subscription=5 incarnation=1 kind=1 verdict=0 code=0 count=0 size=0"
             " seq=200 bytes=132 missing=0"},
    {.name = "DELIVER_OPEN",
     .text = "DELIVER request=0 count=1; delivery subscription=5 incarnation=1 kind=1 verdict=0"
             " code=0 count=3 size=219 seq=203 bytes=351 missing=0"
             "; open seq=0 position=201 time=1767225600000 session=chat-9 id= type= "
             "life=30313233343536373839616263646566"
             " data=; attributes seq=0 position=202 time=1767225600000 session=chat-9 id= type= "
             "life=30313233343536373839616263646566 " SET
             "; expire seq=2 position=203 time=1767225600000 session=chat-5 id= type= "
             "life=30313233343536373839616263646566 data="},
    {.name = "CREDIT",
     .text = "CREDIT request=12 count=2; grant subscription=3 incarnation=1 credit=262191"
             "; grant subscription=4 incarnation=2 credit=262144"},
    {.name = "ALIVE", .text = "ALIVE request=12 " INSTANCE " subscriptions=2"},
    {.name = "UNSUBSCRIBE", .text = "UNSUBSCRIBE request=0 subscription=3 incarnation=1 credit=0"},
    {.name = "INFO", .text = "INFO request=10 session=chat-7"},
    {.name = "PUBLISH",
     .text = "PUBLISH request=11 features=0 level=2; event session=chat-7 id=a9 type= data=now"},
    {.name = "PUBLISHED",
     .text = "PUBLISHED request=11 result=0 state=0 code=0 " LIFE " seq=4 position=104 id=a9"},
    {.name = "PUBLISHED_REFUSED",
     .text = "PUBLISHED request=12 result=3 state=0 code=48 " NO_LIFE " seq=0 position=0 id="},
    {.name = "PUBLISH_NEW",
     .text = "PUBLISH request=14 features=0 level=2; event session=chat-7 id=b5 type= new closes="
             " data=all"},
    {.name = "PUBLISHED_CONDITION",
     .text = "PUBLISHED request=14 result=3 state=1 code=55 " LIFE " seq=4 position=0 id=b5"},
    {.name = "INFO_IS",
     .text = "INFO_IS request=10 epoch=100 " LIFE
             " seq=2 position=102 bytes=10 opened=1767225599000 last=1767225600000 markers=0"
             " duplicates=3 conflicts=1 state=1 ttl=3600000 idle_close=0 reason=done content_type="
             " name=chat-7 last_id=a2 first_seq=2 retained_markers=0 life_first_seq=1 note=hi"},
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

/* -- truncation -------------------------------------------------------------------------------- */

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

/* -- what is wrong, in words ------------------------------------------------------------------- */

/* Requests alone have words. There are some for whatever is missing or too many. */
static void says_what_is_wrong(void **state)
{
    const struct example *example = *state;
    char words[WIRE_FAULT_SIZE];
    if (wire_sockets(example->bytes[5]) == 0) {
        const char *said = wire_fault_words(example->bytes, example->size, words);
        assert_non_null(said);
        assert_non_null(strstr(said, "no request has type"));
        return;
    }
    assert_null(wire_fault_words(example->bytes, example->size, words));
    for (size_t size = 0; size < example->size; size++) {
        const char *said = wire_fault_words(at_page_end(example->bytes, size), size, words);
        assert_non_null(said);
        assert_non_null(strstr(said, size < WIRE_HEADER_SIZE ? "shorter" : "byte"));
    }
    uint8_t longer[FRAME_MAX + 1];
    memcpy(longer, example->bytes, example->size);
    longer[example->size] = 0;
    assert_string_equal(wire_fault_words(longer, example->size + 1, words),
                        "it has 1 bytes too many");
}

static const struct fault_row {
    const char *example;
    size_t offset;
    uint8_t value;
    const char *words; /* NULL: nothing is wrong */
} fault_rows[] = {
    {"HELLO", 0, 'X', "it does not begin with SPN"},
    {"HELLO", 3, WIRE_MAJOR + 1, NULL}, /* SPN_E_VERSION says enough */
    {"HELLO", 5, 99, "no request has type 99"},
    {"HELLO", 7, 1, "byte 6 or 7 is not zero"},
    {"HELLO", 5, WIRE_HEALTH, "it has 10 bytes too many"},
    {"LEAVE", 5, WIRE_STATE, "it ends within the field at byte 24"},
    {"SUBSCRIBE", 28, 4, "a field before byte 83 has a value that is not allowed"},
    {"SUBSCRIBE", 31, 1, "byte 31 is not zero"},
    {"FOLLOW", 30, 1, "byte 30 is not zero"},
    {"CREDIT", 34, 1, "byte 34 is not zero"},
    {"CREDIT", 16, 1, "it has 24 bytes too many"},
    {"CREDIT", 16, 3, "it ends within the field at byte 68"},
};

static void says_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fault_rows); i++) {
        const struct fault_row *row = &fault_rows[i];
        const struct example *example = find_example(row->example);
        uint8_t frame[FRAME_MAX];
        char words[WIRE_FAULT_SIZE];
        assert_non_null(example);
        memcpy(frame, example->bytes, example->size);
        frame[row->offset] = row->value;
        const char *said = wire_fault_words(frame, example->size, words);
        assert_string_equal(said ? said : "", row->words ? row->words : "");
    }
}

/* -- damage ------------------------------------------------------------------------------------ */

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* What was skipped is not written again: what is written comes back as it is. (The head of a
 * delivery has the size of the items as they came.) */
static void check_shorter_copy(const uint8_t *frame, size_t size, uint8_t type)
{
    uint8_t bytes[FRAME_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    if (type == WIRE_DELIVER)
        return;
    assert_int_equal(copy(frame, size, &out), WIRE_FRAME_WHOLE);
    assert_int_equal(wire_out_size(&out), size);
    assert_memory_equal(bytes, frame, size);
}

/* The same bytes again, but for the minor version, which is ours when we write. An id or a note
 * that is too long can be read in an entry, so that it is refused by its number, but not written.
 */
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
    bool skipped = wire_frame_has_skipped(frame[5]);
    assert_true(wire_out_size(&out) <= size);
    if (skipped && (wire_out_size(&out) < size || memcmp(bytes + 6, frame + 6, size - 6) != 0)) {
        check_shorter_copy(bytes, wire_out_size(&out), frame[5]);
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
    {"BATCH: a level that nobody offers", "BATCH", 48, 1, 3, true},
    {"BATCH: no such level", "BATCH", 48, 1, 4, false},
    {"BATCH: zero is not", "BATCH", 49, 1, 1, false},
    {"BATCH: zero is not at its end", "BATCH", 51, 1, 1, false},
    {"BATCH: the most backpressure", "BATCH", 52, 4, UINT32_MAX, true},
    {"entry: kind 0", "BATCH", 56, 1, 0, false},
    {"entry: attributes with the bytes of an event", "BATCH", 56, 1, WIRE_ATTRIBUTES, false},
    {"entry: a touch with the bytes of an event", "BATCH", 56, 1, WIRE_TOUCH, false},
    {"entry: an open, which only items are", "CLOSE", 99, 1, WIRE_ITEM_OPEN, false},
    {"entry: an expire, which only items are", "CLOSE", 99, 1, WIRE_ITEM_EXPIRE, false},
    {"entry: kind 11", "BATCH", 56, 1, 11, false},
    {"entry: a marker with the bytes of an event", "BATCH", 56, 1, WIRE_MARKER, false},
    {"marker: an event in its place", "MARKERS", 56, 1, WIRE_EVENT, true},
    {"marker: a reset with its id", "MARKERS", 56, 1, WIRE_RESET, false},
    {"marker: a reset in its place, with a retry", "MARKERS", 80, 1, WIRE_RESET, true},
    {"marker: with neither id nor retry", "MARKERS", 92, 4, WIRE_RETRY_NONE, false},
    {"entry: the first one without a session", "BATCH", 57, 1, 0, false},
    {"entry: a flag without its part", "BATCH", 59, 1, WIRE_FLAG_LIFE, false},
    {"entry: a flag that needs no part", "BATCH", 59, 1, WIRE_FLAG_NEW, true},
    {"entry: an unknown flag", "BATCH", 59, 1, 64, false},
    {"entry: extra bytes that no flag has", "BATCH", 62, 1, 1, false},
    {"entry: an id that reaches beyond", "BATCH", 60, 2, 0xffff, false},
    {"entry: data that reaches beyond", "BATCH", 64, 4, UINT32_MAX, false},
    {"entry: kind 2, which is free", "BATCH", 56, 1, 2, false},
    {"entry: a close with the bytes of an event", "BATCH", 56, 1, WIRE_CLOSE, false},
    {"entry: a delete with the bytes of an event", "BATCH", 56, 1, WIRE_DELETE, false},
    {"close: of another life", "CLOSE", 78, 8, 1, true},
    {"close: a delete in its place", "CLOSE", 56, 1, WIRE_DELETE, false},
    {"close: an event in its place", "CLOSE", 56, 1, WIRE_EVENT, true},
    {"close: a marker in its place", "CLOSE", 56, 1, WIRE_MARKER, false},
    {"close: without its flag", "CLOSE", 59, 1, WIRE_FLAG_LIFE, false},
    {"close: with the flag of a new session as well", "CLOSE", 59, 1,
     WIRE_FLAG_LIFE | WIRE_FLAG_NEW | WIRE_FLAG_CLOSES, false},
    {"close: a reason that reaches beyond", "CLOSE", 94, 1, 5, false},
    {"close: a shorter reason", "CLOSE", 94, 1, 3, false},
    {"delete: a touch in its place", "CLOSE", 99, 1, WIRE_TOUCH, true},
    {"delete: a close in its place", "CLOSE", 99, 1, WIRE_CLOSE, false},
    {"delete: attributes in its place", "CLOSE", 99, 1, WIRE_ATTRIBUTES, true},
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
    {"HELLO: unknown features", "HELLO", 16, 8, UINT64_MAX, true},
    {"HELLO: fields that are not there", "HELLO", 24, 2, 1, false},
    {"WELCOME: unknown features", "WELCOME", 24, 8, UINT64_MAX, true},
    {"WELCOME: the largest event there is", "WELCOME", 32, 4, WIRE_EVENT_DATA_MAX, true},
    {"WELCOME: a larger one", "WELCOME", 32, 4, WIRE_EVENT_DATA_MAX + 1, false},
    {"WELCOME: batches of nothing", "WELCOME", 40, 4, 0, false},
    {"OPEN: base 0", "OPEN", 40, 8, 0, false},
    {"OPEN: a random id", "OPEN", 48, 1, 0, true},
    {"OPEN: no such kind of id", "OPEN", 48, 1, 2, false},
    {"OPEN: zero is not", "OPEN", 49, 1, 1, false},
    {"OPENED: durable above accepted", "OPENED", 40, 8, 6, false},
    {"OPENED: fewer runs than counted", "OPENED", 48, 4, 2, false},
    {"STATE: base 0", "STATE", 24, 8, 0, false},
    {"FETCH: after a number", "FETCH", 16, 1, WIRE_AFTER_SEQ, true},
    {"FETCH: no such start", "FETCH", 16, 1, 3, false},
    {"FETCH: zero is not", "FETCH", 19, 1, 1, false},
    {"PUBLISH: level none", "PUBLISH", 24, 1, 0, true},
    {"PUBLISH: level replicated", "PUBLISH", 24, 1, 3, true},
    {"PUBLISH: no such level", "PUBLISH", 24, 1, 4, false},
    {"PUBLISH: zero is not", "PUBLISH", 31, 1, 1, false},
    {"PUBLISH: no such kind", "PUBLISH", 32, 1, 2, false},
    {"PUBLISH: no session", "PUBLISH", 33, 1, 0, false},
    {"PUBLISHED: conflict", "PUBLISHED", 16, 1, WIRE_CONFLICT, true},
    {"PUBLISHED: refused without a code", "PUBLISHED", 16, 1, WIRE_REFUSED, false},
    {"PUBLISHED: no such result", "PUBLISHED", 16, 1, WIRE_LOST, false},
    {"PUBLISHED: damaged", "PUBLISHED", 17, 1, WIRE_SESSION_DAMAGED, true},
    {"PUBLISHED: no such state", "PUBLISHED", 17, 1, 3, false},
    {"PUBLISHED: stored with a code", "PUBLISHED", 18, 1, 48, false},
    {"PUBLISHED: zero is not", "PUBLISHED", 20, 1, 1, false},
    {"LAST_IS: closed", "LAST_IS", 56, 1, WIRE_SESSION_CLOSED, true},
    {"LAST_IS: no such state", "LAST_IS", 56, 1, 3, false},
    {"LAST_IS: zero is not", "LAST_IS", 63, 1, 1, false},
    {"SESSIONS: no rows", "SESSIONS", 16, 4, 0, false},
    {"SUBSCRIBE: from now", "SUBSCRIBE", 28, 1, WIRE_NOW, true},
    {"SUBSCRIBE: no such start", "SUBSCRIBE", 28, 1, 4, false},
    {"SUBSCRIBE: no otherwise", "SUBSCRIBE", 29, 1, 0, true},
    {"SUBSCRIBE: wait", "SUBSCRIBE", 29, 1, WIRE_WAIT, true},
    {"SUBSCRIBE: no such otherwise", "SUBSCRIBE", 29, 1, 4, false},
    {"SUBSCRIBE: unknown features", "SUBSCRIBE", 64, 8, 1 << 20, true},
    {"SUBSCRIBE: not zero", "SUBSCRIBE", 30, 1, 1, false},
    {"FOLLOW: from now", "FOLLOW", 28, 1, WIRE_LOG_NOW, true},
    {"FOLLOW: no such start", "FOLLOW", 28, 1, 3, false},
    {"FOLLOW: no flags", "FOLLOW", 29, 1, 0, true},
    {"FOLLOW: no such flag", "FOLLOW", 29, 1, 2, false},
    {"FOLLOW: not zero", "FOLLOW", 31, 1, 1, false},
    {"FOLLOW: unknown features", "FOLLOW", 64, 8, 1 << 20, true},
    {"gap of the log: one position", "DELIVER_LOG", 80, 8, 101, true},
    {"gap of the log: none", "DELIVER_LOG", 80, 8, 100, false},
    {"gap of the log: from 0 on", "DELIVER_LOG", 72, 8, 0, false},
    {"gap of the log: half of it", "DELIVER_LOG", 44, 4, 8, false},
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
    {"SLICE: the last verdict", "SLICE", 16, 1, WIRE_OTHER_LIFE, true},
    {"SLICE: no such verdict", "SLICE", 16, 1, 5, false},
    {"SLICE: of a closed session", "SLICE", 17, 1, WIRE_SESSION_CLOSED, true},
    {"SLICE: no such state", "SLICE", 17, 1, 3, false},
    {"SLICE: zero is not", "SLICE", 18, 1, 1, false},
    {"SLICE: fewer items than counted", "SLICE", 20, 4, 3, false},
    {"item: a close in the place of a marker with an id", "SLICE", 135, 1, WIRE_CLOSE, false},
    {"item: an event in the place of a marker", "SLICE", 135, 1, WIRE_EVENT, true},
    {"item: no such kind", "SLICE", 135, 1, 11, false},
    {"item: kind 2, which is free", "SLICE", 135, 1, 2, false},
    {"item: a condition", "SLICE", 138, 1, WIRE_FLAG_NEW, false},
    {"item: extra bytes that are not there", "SLICE", 141, 2, 3, false},
    {"item: a session that is not there", "SLICE", 136, 1, 3, false},
    {"SESSIONS_ARE: more", "SESSIONS_ARE", 20, 1, 1, true},
    {"row: closed", "SESSIONS_ARE", 103, 1, WIRE_SESSION_CLOSED, true},
    {"row: damaged", "SESSIONS_ARE", 103, 1, WIRE_SESSION_DAMAGED, true},
    {"row: no such state", "SESSIONS_ARE", 103, 1, 3, false},
    {"row: zero is not", "SESSIONS_ARE", 104, 1, 1, false},
    {"row: zero is not, third byte", "SESSIONS_ARE", 106, 1, 1, false},
    {"row: one byte more than its size says", "SESSIONS_ARE", 21, 2, 112, false},
    {"row: no bytes", "SESSIONS_ARE", 21, 2, 0, false},
    {"row: nothing but markers", "SESSIONS_ARE", 87, 8, 2, true},
    {"row: more markers than seqs", "SESSIONS_ARE", 87, 8, 3, false},
    {"INFO_IS: all is retained", "INFO_IS", 135, 8, 1, true},
    {"INFO_IS: nothing is retained", "INFO_IS", 135, 8, 3, true},
    {"INFO_IS: what is retained begins at 0", "INFO_IS", 135, 8, 0, false},
    {"INFO_IS: what is retained begins beyond", "INFO_IS", 135, 8, 4, false},
    {"INFO_IS: no such state", "INFO_IS", 98, 1, 3, false},
    {"INFO_IS: the life begins at 0", "INFO_IS", 151, 8, 0, false},
    {"INFO_IS: what is retained begins before the life", "INFO_IS", 151, 8, 3, false},
    {"INFO_IS: a note that reaches beyond", "INFO_IS", 159, 2, 3, false},
    {"INFO_IS: a marker is retained", "INFO_IS", 143, 8, 1, true},
    {"INFO_IS: more markers than are retained", "INFO_IS", 143, 8, 2, false},
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
                             .entry = {.kind = WIRE_EVENT,
                                       .id = {filler, row->id},
                                       .type = {filler, row->type},
                                       .data = {filler, row->data}}};
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
    assert_int_equal(back.entry.data.size, row->data);
}

/* What an item may not be is not believed when the sidecar sends it either. */
static void item_too_large_is_not_read(void **state)
{
    (void)state;
    for (size_t id_size = 4096; id_size <= 4097; id_size++) {
        memset(large, 0, WIRE_ITEM_HEAD_SIZE);
        large[24] = WIRE_EVENT;
        large[28] = (uint8_t)id_size;
        large[29] = (uint8_t)(id_size >> 8);
        struct wire_item item;
        struct wire_in in = wire_in(large, WIRE_ITEM_HEAD_SIZE + id_size);
        wire_get_item(&in, &item);
        assert_int_equal(in.bad, id_size > 4096);
    }
}

/* A newer sidecar may put more behind the parts that are known, with a flag of its own. */
static void item_with_unknown_flags(void **state)
{
    (void)state;
    const struct wire_item item = {
        .seq = 1,
        .entry = {.kind = WIRE_EVENT,
                  .flags = WIRE_FLAG_LIFE | WIRE_FLAG_CLOSES | WIRE_FLAG_NOTE,
                  .life = {{1, 2, 3}},
                  .reason = TEXT("done"),
                  .note = TEXT("note and more"),
                  .data = TEXT("data")}};
    uint8_t bytes[256];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_item(&out, &item);
    bytes[24 + 3] |= 0xc0;
    bytes[24 + 3] &= (uint8_t)~WIRE_FLAG_NOTE; /* the note is now what another flag has */
    struct wire_item back;
    struct wire_in in = wire_in(bytes, wire_out_size(&out));
    wire_get_item(&in, &back);
    assert_true(wire_in_done(&in));
    assert_int_equal(back.entry.flags, WIRE_FLAG_LIFE | WIRE_FLAG_CLOSES);
    assert_true(wire_same_life(back.entry.life, item.entry.life));
    assert_int_equal(back.entry.reason.size, 4);
    assert_int_equal(back.entry.note.size, 0);
    assert_int_equal(back.entry.data.size, 4);
    assert_memory_equal(back.entry.data.data, "data", 4);
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
    memset(large, 0, 48);
    large[48] = 0x01;
    large[49] = 0x10; /* 4,097 */
    struct wire_in in = wire_in(large, 50 + 4097);
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

/* -- kinds and flags -----------------------------------------------------------------------------
 */

enum {
    LIFE_ = WIRE_FLAG_LIFE,
    SEQ_ = WIRE_FLAG_SEQ,
    NEW_ = WIRE_FLAG_NEW,
    CLOSES_ = WIRE_FLAG_CLOSES,
    DEPENDS_ = WIRE_FLAG_DEPENDS,
    NOTE_ = WIRE_FLAG_NOTE,
};

/* Which kind may have which flags, and what else. Everything that passes comes back as it went. */
static const struct flag_row {
    const char *name;
    uint8_t kind;
    uint8_t flags;
    bool passes;
    struct spn_bytes id;
    struct spn_bytes type;
    struct spn_bytes data;
    bool has_retry;
    bool no_life; /* zeros */
    bool no_note; /* it is empty */
    bool no_reason;
    bool no_session;
} flag_rows[] = {
    {"event: every flag but new", .kind = WIRE_EVENT,
     .flags = LIFE_ | SEQ_ | CLOSES_ | DEPENDS_ | NOTE_, .passes = true, .id = TEXT("i"),
     .type = TEXT("t"), .data = TEXT("data"), .has_retry = true},
    {"event: new", .kind = WIRE_EVENT, .flags = NEW_ | CLOSES_ | DEPENDS_ | NOTE_, .passes = true,
     .id = TEXT("i")},
    {"event: new and of a life", .kind = WIRE_EVENT, .flags = NEW_ | LIFE_, .passes = false,
     .id = TEXT("i")},
    {"event: new and of a seq", .kind = WIRE_EVENT, .flags = NEW_ | SEQ_, .passes = false,
     .id = TEXT("i")},
    {"event: of a life and a seq", .kind = WIRE_EVENT, .flags = LIFE_ | SEQ_, .passes = true,
     .id = TEXT("i")},
    {"event: of a life of zeros", .kind = WIRE_EVENT, .flags = LIFE_, .passes = false,
     .id = TEXT("i"), .no_life = true},
    {"event: an empty note", .kind = WIRE_EVENT, .flags = NOTE_, .passes = false, .id = TEXT("i"),
     .no_note = true},
    {"event: an empty reason", .kind = WIRE_EVENT, .flags = CLOSES_, .passes = true,
     .id = TEXT("i"), .no_reason = true},
    {"marker: conditions and a note", .kind = WIRE_MARKER, .flags = LIFE_ | SEQ_ | DEPENDS_ | NOTE_,
     .passes = true, .id = TEXT("i")},
    {"marker: closes", .kind = WIRE_MARKER, .flags = CLOSES_, .passes = false, .id = TEXT("i")},
    {"reset: a note", .kind = WIRE_RESET, .flags = NOTE_, .passes = true},
    {"reset: closes", .kind = WIRE_RESET, .flags = CLOSES_, .passes = false},
    {"close: nothing but its reason", .kind = WIRE_CLOSE, .flags = CLOSES_, .passes = true},
    {"close: an empty reason", .kind = WIRE_CLOSE, .flags = CLOSES_, .passes = true,
     .no_reason = true},
    {"close: every condition", .kind = WIRE_CLOSE, .flags = LIFE_ | SEQ_ | CLOSES_ | DEPENDS_,
     .passes = true},
    {"close: without the flag", .kind = WIRE_CLOSE, .flags = 0, .passes = false},
    {"close: a note", .kind = WIRE_CLOSE, .flags = CLOSES_ | NOTE_, .passes = false},
    {"close: an id", .kind = WIRE_CLOSE, .flags = CLOSES_, .passes = false, .id = TEXT("i")},
    {"close: a type", .kind = WIRE_CLOSE, .flags = CLOSES_, .passes = false, .type = TEXT("t")},
    {"close: data", .kind = WIRE_CLOSE, .flags = CLOSES_, .passes = false,
     .data = TEXT("12345678")},
    {"close: a retry", .kind = WIRE_CLOSE, .flags = CLOSES_, .passes = false, .has_retry = true},
    {"close: no session", .kind = WIRE_CLOSE, .flags = CLOSES_, .passes = false,
     .no_session = true},
    {"delete: nothing", .kind = WIRE_DELETE, .flags = 0, .passes = true},
    {"delete: every condition", .kind = WIRE_DELETE, .flags = LIFE_ | SEQ_ | DEPENDS_,
     .passes = true},
    {"delete: closes", .kind = WIRE_DELETE, .flags = CLOSES_, .passes = false},
    {"delete: a note", .kind = WIRE_DELETE, .flags = NOTE_, .passes = false},
    {"delete: an id", .kind = WIRE_DELETE, .flags = 0, .passes = false, .id = TEXT("i")},
    {"delete: data", .kind = WIRE_DELETE, .flags = 0, .passes = false, .data = TEXT("12345678")},
    {"delete: a retry", .kind = WIRE_DELETE, .flags = 0, .passes = false, .has_retry = true},
    {"touch: nothing", .kind = WIRE_TOUCH, .flags = 0, .passes = true},
    {"touch: of a life", .kind = WIRE_TOUCH, .flags = LIFE_, .passes = true},
    {"touch: data", .kind = WIRE_TOUCH, .flags = 0, .passes = false, .data = TEXT("d")},
    {"touch: closes", .kind = WIRE_TOUCH, .flags = CLOSES_, .passes = false},
    {"attributes: data", .kind = WIRE_ATTRIBUTES, .flags = 0, .passes = true, .data = TEXT("data")},
    {"attributes: new", .kind = WIRE_ATTRIBUTES, .flags = NEW_, .passes = true,
     .data = TEXT("data")},
    {"attributes: a type", .kind = WIRE_ATTRIBUTES, .flags = 0, .passes = false, .type = TEXT("t")},
    {"attributes: a retry", .kind = WIRE_ATTRIBUTES, .flags = 0, .passes = false,
     .has_retry = true},
    {"attributes: closes", .kind = WIRE_ATTRIBUTES, .flags = CLOSES_, .passes = false},
    {"an open", .kind = WIRE_ITEM_OPEN, .flags = 0, .passes = false},
    {"an expire", .kind = WIRE_ITEM_EXPIRE, .flags = 0, .passes = false},
    {"an unknown flag", .kind = WIRE_EVENT, .flags = 0x40, .passes = false, .id = TEXT("i")},
};

static void assert_same_bytes(struct spn_bytes left, struct spn_bytes right)
{
    assert_int_equal(left.size, right.size);
    if (left.size > 0)
        assert_memory_equal(left.data, right.data, left.size);
}

static void flags_of_kinds(void **state)
{
    const struct flag_row *row = *state;
    const struct wire_entry entry = {
        .kind = row->kind,
        .flags = row->flags,
        .session = {"s", row->no_session ? 0 : 1},
        .id = row->id,
        .type = row->type,
        .data = row->data,
        .life = {{row->no_life ? 0 : 7, row->no_life ? 0 : 8}},
        .seq = 0x0102030405060708,
        .depends = 0x1112131415161718,
        .reason = {"done", row->no_reason ? 0 : 4},
        .note = {"my own", row->no_note ? 0 : 6},
        .retry_ms = row->has_retry ? 3 : WIRE_RETRY_NONE,
    };
    uint8_t bytes[256];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_entry(&out, &entry);
    assert_int_equal(wire_out_size(&out), wire_entry_size(&entry));
    struct wire_entry back;
    struct wire_in in = wire_in(bytes, wire_out_size(&out));
    wire_get_entry(&in, (struct spn_bytes){NULL, 0}, &back);
    assert_int_equal(wire_in_done(&in), row->passes);
    if (!row->passes)
        return;
    assert_int_equal(back.kind, row->kind);
    assert_int_equal(back.flags, row->flags);
    assert_int_equal(back.retry_ms, entry.retry_ms);
    assert_same_bytes(back.session, entry.session);
    assert_same_bytes(back.id, entry.id);
    assert_same_bytes(back.type, entry.type);
    assert_same_bytes(back.data, entry.data);
    if (row->flags & SEQ_)
        assert_int_equal(back.seq, entry.seq);
    if (row->flags & DEPENDS_)
        assert_int_equal(back.depends, entry.depends);
    if (row->flags & LIFE_)
        assert_true(wire_same_life(back.life, entry.life));
    assert_same_bytes(back.reason, row->flags & CLOSES_ ? entry.reason : (struct spn_bytes){0});
    assert_same_bytes(back.note, row->flags & NOTE_ ? entry.note : (struct spn_bytes){0});
}

/* What a log subscription will have, and what the log has of its own. */
static void items_of_the_log(void **state)
{
    (void)state;
    static const struct wire_entry entries[] = {
        {.kind = WIRE_ITEM_OPEN, .flags = LIFE_, .life = {{1}}, .retry_ms = WIRE_RETRY_NONE},
        {.kind = WIRE_ITEM_EXPIRE, .flags = LIFE_, .retry_ms = WIRE_RETRY_NONE},
        {.kind = WIRE_CLOSE, .flags = LIFE_ | CLOSES_, .retry_ms = WIRE_RETRY_NONE},
        {.kind = WIRE_DELETE, .flags = LIFE_, .retry_ms = WIRE_RETRY_NONE},
        {.kind = WIRE_TOUCH, .flags = LIFE_, .retry_ms = WIRE_RETRY_NONE},
        {.kind = WIRE_ATTRIBUTES, .flags = LIFE_, .data = TEXT("d"), .retry_ms = WIRE_RETRY_NONE},
    };
    for (size_t i = 0; i < COUNT(entries); i++) {
        uint8_t bytes[256];
        struct wire_item item = {.seq = 5, .entry = entries[i]};
        struct wire_item back;
        item.entry.session = (struct spn_bytes)TEXT("chat-7");
        struct wire_out out = wire_out(bytes, sizeof(bytes));
        wire_put_item(&out, &item);
        assert_int_equal(wire_out_size(&out), wire_item_size(&item));
        struct wire_in in = wire_in(bytes, wire_out_size(&out));
        wire_get_item(&in, &back);
        assert_true(wire_in_done(&in));
        assert_int_equal(back.entry.kind, entries[i].kind);
        assert_int_equal(back.entry.flags, entries[i].flags);
        assert_same_bytes(back.entry.session, item.entry.session);
        assert_true(!(entries[i].flags & LIFE_) ||
                    wire_same_life(back.entry.life, entries[i].life));
    }
}

static void attributes_come_back(void **state)
{
    (void)state;
    struct wire_attributes attributes = {.ttl_ms = 1,
                                         .idle_close_ms = 2,
                                         .content_type = {filler, 255},
                                         .note = {filler, WIRE_SESSION_NOTE_MAX}};
    struct wire_attributes back;
    struct wire_out out = wire_out(large, sizeof(large));
    wire_put_attributes(&out, &attributes);
    assert_false(out.bad);
    assert_int_equal(wire_out_size(&out), WIRE_ATTRIBUTES_MAX);
    struct wire_in in = wire_in(large, wire_out_size(&out));
    wire_get_attributes(&in, &back);
    assert_true(wire_in_done(&in));
    assert_int_equal(back.ttl_ms, 1);
    assert_int_equal(back.idle_close_ms, 2);
    assert_same_bytes(back.content_type, attributes.content_type);
    assert_same_bytes(back.note, attributes.note);
    attributes.note.size++;
    out = wire_out(large, sizeof(large));
    wire_put_attributes(&out, &attributes);
    assert_true(out.bad);
}

/* Fields of a later minor version are skipped; what does not fit its size is no message. */
static const struct fields_row {
    const char *name;
    struct spn_bytes fields;
    bool passes;
} fields_rows[] = {
    {"fields: none", TEXT("\0\0"), true},
    {"fields: one of no bytes", TEXT("\4\0\1\0\0\0"), true},
    {"fields: two", TEXT("\13\0\1\0\3\0abc\xff\xff\0\0"), true},
    {"fields: one that is cut", TEXT("\7\0\1\0\4\0abc"), false},
    {"fields: half a head", TEXT("\3\0\1\0\0"), false},
    {"fields: fewer than there are", TEXT("\4\0\1\0\0\0x"), false},
    {"fields: more than there are", TEXT("\5\0\1\0\0\0"), false},
};

static void skipped_fields(void **state)
{
    const struct fields_row *row = *state;
    uint8_t bytes[64] = {0};
    memcpy(bytes + 8, row->fields.data, row->fields.size);
    uint64_t features;
    struct wire_in in = wire_in(at_page_end(bytes, 8 + row->fields.size), 8 + row->fields.size);
    wire_get_hello(&in, &features);
    assert_int_equal(wire_in_done(&in), row->passes);
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

/* The largest row is as large as those who make room for it think. */
static void largest_row(void **state)
{
    (void)state;
    const struct wire_session_row row = {.reason = {filler, WIRE_REASON_MAX},
                                         .content_type = {filler, WIRE_CONTENT_TYPE_MAX},
                                         .name = {filler, WIRE_SESSION_MAX},
                                         .last_id = {filler, WIRE_ID_MAX}};
    struct wire_out out = wire_out(large, sizeof(large));
    wire_put_session_row(&out, &row);
    assert_false(out.bad);
    assert_int_equal(wire_out_size(&out), WIRE_SESSION_ROW_SIZE_MAX);
}

/* -- checks ------------------------------------------------------------------------------------ */

enum check { SESSION, ID, TYPE, DATA, REASON, NOTE };

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
    {"reason: empty", {NULL, 0}, REASON, false},
    {"reason: 64 bytes", {filler, 64}, REASON, false},
    {"reason: 65 bytes", {filler, 65}, REASON, true},
    {"reason: not UTF-8", TEXT("\xff"), REASON, true},
    {"reason: LF", TEXT("a\n"), REASON, true},
    {"reason: U+0085", TEXT("\xc2\x85"), REASON, true},
    {"note: any bytes", TEXT("\0\r\n\xff"), NOTE, false},
    {"note: 512 bytes", {filler, 512}, NOTE, false},
    {"note: 513 bytes", {filler, 513}, NOTE, true},
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
    case REASON:
        assert_int_equal(wire_check_reason(bytes), row->bad ? SPN_E_BAD_REASON : SPN_OK);
        break;
    case NOTE:
        assert_int_equal(wire_check_note(bytes), row->bad ? SPN_E_BAD_NOTE : SPN_OK);
        break;
    }
}

static void prefixes(void **state)
{
    (void)state;
    static char longest[WIRE_SESSION_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    const struct {
        struct spn_bytes prefix;
        spn_err err;
    } rows[] = {
        {TEXT(""), SPN_OK},
        {TEXT("chat-"), SPN_OK},
        {TEXT("\xC3\xA4"), SPN_OK},
        {TEXT("a\xC3"), SPN_E_BAD_PREFIX},    /* half a character */
        {TEXT("\xC0\xAF"), SPN_E_BAD_PREFIX}, /* longer than it may be */
        {TEXT("\xED\xA0\x80"), SPN_E_BAD_PREFIX},
        {TEXT("\n"), SPN_OK}, /* no name begins with it */
        {{longest, WIRE_SESSION_MAX}, SPN_OK},
        {{longest, WIRE_SESSION_MAX + 1}, SPN_E_BAD_PREFIX},
        {{NULL, 1}, SPN_E_INVALID},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(wire_check_prefix(rows[i].prefix), rows[i].err);
}

/* Each byte at each place of a name: eight bytes are checked at a time. Alone among ASCII, a byte
 * from 0x80 on is no UTF-8. */
static void each_byte_of_a_name(void **state)
{
    enum { NAME_SIZE = 21 };
    (void)state;
    for (size_t at = 0; at < NAME_SIZE; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t name[NAME_SIZE];
            memset(name, 'a', sizeof(name));
            name[at] = (uint8_t)byte;
            const struct spn_bytes bytes = {at_page_end(name, sizeof(name)), sizeof(name)};
            bool good = byte >= 0x20 && byte < 0x7F;
            assert_int_equal(wire_check_session(bytes), good ? SPN_OK : SPN_E_BAD_SESSION);
        }
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

enum { TESTS_MAX = 1024 };

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
        add_test(examples[i].name, says_what_is_wrong, &examples[i]);
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
    for (size_t i = 0; i < COUNT(flag_rows); i++)
        add_test(flag_rows[i].name, flags_of_kinds, &flag_rows[i]);
    for (size_t i = 0; i < COUNT(fields_rows); i++)
        add_test(fields_rows[i].name, skipped_fields, &fields_rows[i]);
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
    add_test("what is wrong", says_where, NULL);
    add_test("item too large is not read", item_too_large_is_not_read, NULL);
    add_test("short bytes", short_bytes_limit, NULL);
    add_test("id bytes", id_bytes_limit, NULL);
    add_test("the most entries", batch_of_the_most_entries, NULL);
    add_test("the most runs", most_runs, NULL);
    add_test("session of the entry before", session_of_before, NULL);
    add_test("items of the log", items_of_the_log, NULL);
    add_test("an item with unknown flags", item_with_unknown_flags, NULL);
    add_test("attributes", attributes_come_back, NULL);
    add_test("the largest session row", largest_row, NULL);
    add_test("prefixes", prefixes, NULL);
    add_test("each byte of a name", each_byte_of_a_name, NULL);
    add_test("data size", data_size, NULL);
    return _cmocka_run_group_tests("wire", tests, test_count, make_page, free_page);
}
