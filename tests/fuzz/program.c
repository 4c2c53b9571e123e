/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <string.h>

#include "wire_frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

struct program program_of(const uint8_t *input, size_t size)
{
    return (struct program){.at = input, .end = input + size};
}

bool program_is_over(const struct program *program)
{
    return program->at == program->end;
}

uint8_t program_byte(struct program *program)
{
    return program_is_over(program) ? 0 : *program->at++;
}

uint8_t program_choose(struct program *program, uint8_t sides)
{
    return program_byte(program) % sides;
}

uint64_t program_number(struct program *program, uint64_t near)
{
    static const uint64_t ends[] = {0, 1, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 1};
    uint8_t what = program_byte(program);
    if (what < 160)
        return near;
    if (what < 224)
        return near + what % 16 - 8;
    return ends[what % COUNT(ends)];
}

/* -- texts ------------------------------------------------------------------------------------- */

struct spn_bytes program_session(struct program *program)
{
    static const struct spn_bytes texts[] = {TEXT("s0"), TEXT("s1"), TEXT("s2"),   TEXT("s3"),
                                             TEXT("t0"), TEXT("t"),  TEXT("\xc3"), TEXT("a\nb")};
    uint8_t what = program_byte(program);
    return what < 240   ? texts[what % 5]
           : what < 250 ? texts[5 + what % 3]
                        : program_bytes(program, WIRE_SESSION_MAX);
}

struct spn_bytes program_id(struct program *program)
{
    static const char letters[] = "abcdefghijklmnop";
    uint8_t what = program_byte(program);
    if (what < 224)
        return (struct spn_bytes){letters + what % 8, 1 + what % 5};
    return program_bytes(program, WIRE_ID_MAX);
}

struct spn_bytes program_bytes(struct program *program, size_t size_max)
{
    static char letters[2 * WIRE_ID_MAX];
    uint8_t what = program_byte(program);
    size_t left = (size_t)(program->end - program->at);
    if (what < 64)
        return (struct spn_bytes){NULL, 0};
    if (what < 160) {
        size_t size = what % 16 < left ? what % 16 : left;
        size = size < size_max ? size : size_max;
        struct spn_bytes bytes = {program->at, size};
        program->at += size;
        return bytes;
    }
    memset(letters, 'x', sizeof(letters));
    size_t size = what < 192 ? size_max : what < 224 ? size_max + 1 : size_max / (what % 8 + 2);
    return (struct spn_bytes){letters, size < sizeof(letters) ? size : sizeof(letters)};
}

struct spn_life program_life(struct program *program)
{
    uint8_t what = program_byte(program);
    size_t known =
        program->life_count < PROGRAM_LIVES_MAX ? program->life_count : PROGRAM_LIVES_MAX;
    if (what < 224 && known > 0)
        return program->lives[what % known];
    return (struct spn_life){{what < 240 ? 'l' : 0}};
}

void program_note_life(struct program *program, struct spn_life life)
{
    if (wire_has_life(life))
        program->lives[program->life_count++ % PROGRAM_LIVES_MAX] = life;
}

/* -- entries ----------------------------------------------------------------------------------- */

static struct spn_bytes attributes(struct program *program, uint8_t *scratch)
{
    static const uint64_t spans_ms[] = {0, 1, 20, 300, 3600000, UINT64_C(1) << 62};
    struct wire_out out = wire_out(scratch, PROGRAM_SCRATCH_SIZE);
    struct wire_attributes attributes = {
        .ttl_ms = spans_ms[program_choose(program, COUNT(spans_ms))],
        .idle_close_ms = spans_ms[program_choose(program, COUNT(spans_ms))],
        .content_type = program_bytes(program, 20),
        .note = program_bytes(program, WIRE_SESSION_NOTE_MAX),
    };
    if (attributes.note.size > WIRE_SESSION_NOTE_MAX)
        attributes.note.size = WIRE_SESSION_NOTE_MAX;
    wire_put_attributes(&out, &attributes);
    CHECK(!out.bad);
    return (struct spn_bytes){scratch, wire_out_size(&out)};
}

static void fill(struct program *program, struct wire_entry *entry, uint8_t *scratch)
{
    switch (entry->kind) {
    case WIRE_EVENT:
        entry->id = program_id(program);
        entry->data = program_bytes(program, 600);
        entry->type = program_choose(program, 4) == 0 ? program_bytes(program, 20) : entry->type;
        break;
    case WIRE_MARKER:
        entry->id = program_id(program);
        entry->retry_ms = program_choose(program, 2) == 0 ? 5 : WIRE_RETRY_NONE;
        break;
    case WIRE_ATTRIBUTES:
        entry->data = attributes(program, scratch);
        break;
    default:
        break;
    }
}

/* Flags that the kind may not have come too: rarely. */
static uint8_t flags(struct program *program, uint8_t kind)
{
    uint8_t what = program_byte(program);
    uint8_t close = kind == WIRE_CLOSE ? WIRE_FLAG_CLOSES : 0;
    if (what < 128)
        return close;
    if (what < 250)
        return close | (program_byte(program) & WIRE_FLAGS_CONDITIONS) |
               (wire_is_stored(kind) ? program_byte(program) & WIRE_FLAG_NOTE : 0) |
               (kind == WIRE_EVENT ? program_byte(program) & WIRE_FLAG_CLOSES : 0);
    return program_byte(program);
}

struct wire_entry program_entry(struct program *program, uint64_t number,
                                uint8_t scratch[PROGRAM_SCRATCH_SIZE])
{
    static const uint8_t kinds[] = {WIRE_EVENT, WIRE_EVENT,      WIRE_EVENT, WIRE_EVENT,
                                    WIRE_CLOSE, WIRE_DELETE,     WIRE_TOUCH, WIRE_MARKER,
                                    WIRE_RESET, WIRE_ATTRIBUTES, WIRE_EVENT, WIRE_EVENT};
    struct wire_entry entry = {.retry_ms = WIRE_RETRY_NONE};
    entry.kind = kinds[program_choose(program, COUNT(kinds))];
    entry.session = program_session(program);
    entry.flags = flags(program, entry.kind);
    fill(program, &entry, scratch);
    entry.life = entry.flags & WIRE_FLAG_LIFE ? program_life(program) : entry.life;
    entry.seq = entry.flags & WIRE_FLAG_SEQ ? program_choose(program, 8) : 0;
    entry.depends = entry.flags & WIRE_FLAG_DEPENDS ? program_number(program, number - 1) : 0;
    if (entry.flags & WIRE_FLAG_CLOSES)
        entry.reason = program_bytes(program, WIRE_REASON_MAX);
    if (entry.flags & WIRE_FLAG_NOTE)
        entry.note = program_bytes(program, WIRE_NOTE_MAX);
    return entry;
}

static void put_bytes(struct wire_out *out, const void *bytes, size_t size)
{
    if ((size_t)(out->end - out->at) < size)
        out->bad = true;
    if (out->bad || size == 0)
        return;
    memcpy(out->at, bytes, size);
    out->at += size;
}

static void put_number(struct wire_out *out, uint64_t number, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    put_bytes(out, bytes, size);
}

static void put_extra(struct wire_out *out, const struct wire_entry *entry)
{
    if (entry->flags & WIRE_FLAG_LIFE)
        put_bytes(out, entry->life.bytes, sizeof(entry->life.bytes));
    if (entry->flags & WIRE_FLAG_SEQ)
        put_number(out, entry->seq, 8);
    if (entry->flags & WIRE_FLAG_CLOSES) {
        put_number(out, entry->reason.size, 1);
        put_bytes(out, entry->reason.data, entry->reason.size);
    }
    if (entry->flags & WIRE_FLAG_DEPENDS)
        put_number(out, entry->depends, 8);
    if (entry->flags & WIRE_FLAG_NOTE) {
        put_number(out, entry->note.size, 2);
        put_bytes(out, entry->note.data, entry->note.size);
    }
}

void program_put_entry(struct wire_out *out, const struct wire_entry *entry)
{
    uint8_t bytes[2 * WIRE_EXTRA_MAX];
    struct wire_out extra = wire_out(bytes, sizeof(bytes));
    put_extra(&extra, entry);
    out->bad |= extra.bad;
    put_number(out, entry->kind, 1);
    put_number(out, entry->session.size, 1);
    put_number(out, entry->type.size, 1);
    put_number(out, entry->flags, 1);
    put_number(out, entry->id.size, 2);
    put_number(out, wire_out_size(&extra), 2);
    put_number(out, entry->data.size, 4);
    put_number(out, entry->retry_ms, 4);
    put_bytes(out, entry->session.data, entry->session.size);
    put_bytes(out, entry->id.data, entry->id.size);
    put_bytes(out, entry->type.data, entry->type.size);
    put_bytes(out, bytes, wire_out_size(&extra));
    put_bytes(out, entry->data.data, entry->data.size);
}

void program_put_item(struct wire_out *out, const struct wire_item *item)
{
    put_number(out, item->seq, 8);
    put_number(out, item->position, 8);
    put_number(out, item->time_ms, 8);
    program_put_entry(out, &item->entry);
}

/* -- frames ------------------------------------------------------------------------------------ */

static size_t break_once(struct program *program, uint8_t *frame, size_t size, size_t room)
{
    size_t at = (size_t)program_byte(program) << 8 | program_byte(program);
    at = size > 0 ? at % size : 0;
    switch (program_choose(program, 4)) {
    case 0:
        return at;
    case 1:
        for (uint8_t more = program_byte(program); more > 0 && size < room; more--)
            frame[size++] = program_byte(program);
        return size;
    default:
        if (size > 0)
            frame[at] = program_byte(program);
        return size;
    }
}

size_t program_break(struct program *program, uint8_t *frame, size_t size, size_t room)
{
    uint8_t times = program_byte(program);
    for (times = times < 208 ? 0 : times % 4; times > 0; times--)
        size = break_once(program, frame, size, room);
    return size;
}

void program_check_frame(const void *frame, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    CHECK(copy != NULL);
    struct wire_out out = wire_out(copy, size);
    CHECK(wire_frame_copy((struct spn_bytes){frame, size}, &out, NULL, 0) == WIRE_FRAME_WHOLE);
    CHECK(!out.bad && wire_out_size(&out) == size && memcmp(copy, frame, size) == 0);
    free(copy);
}
