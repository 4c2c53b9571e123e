/* SPDX-License-Identifier: Apache-2.0 */
#include "http/head.h"

#include <string.h>

#define NUMBER_MAX ((uint64_t)INT64_MAX)

enum { CR = '\r', LF = '\n', DEL = 0x7F, CHUNK_DIGITS_MAX = 16 };

/* -- words and characters ---------------------------------------------------------------------- */

enum { NAME_HOST = 1, NAME_LENGTH = 2, NAME_CODING = 4, NAMES_ALL = 7 };

static const struct {
    const char *text; /* lower case */
    uint8_t bit;
} names[] = {
    {"host", NAME_HOST},
    {"content-length", NAME_LENGTH},
    {"transfer-encoding", NAME_CODING},
};

static const char version_text[] = "HTTP/1.";
static const char coding_text[] = "chunked";

const char *head_words(enum head_fault fault)
{
    static const char *const words[] = {
#define WORDS(name, text) text,
        HEAD_FAULT_MAP(WORDS)
#undef WORDS
    };
    return words[fault];
}

const char *head_fault(const struct head *head, uint32_t request)
{
    bool known = head->fault != HEAD_NONE && head->request <= request;
    return known ? head_words((enum head_fault)head->fault) : NULL;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 'a' - 'A') : byte;
}

/* The characters of methods and names (RFC 9110, 5.6.2). */
static bool is_token(uint8_t byte)
{
    uint8_t small = lower(byte);
    return (small >= 'a' && small <= 'z') || is_digit(byte) ||
           (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static bool is_control(uint8_t byte)
{
    return byte < ' ' || byte == DEL;
}

/* The value of a hexadecimal digit; 16: it is none. */
static unsigned hex_of(uint8_t byte)
{
    uint8_t small = lower(byte);
    if (is_digit(byte))
        return (unsigned)(byte - '0');
    return small >= 'a' && small <= 'f' ? (unsigned)(small - 'a') + 10 : 16;
}

/* -- faults ------------------------------------------------------------------------------------ */

/* libmicrohttpd ends a line at any LF, and a head at an empty line. */
static void in_lost(struct head *head, uint8_t byte)
{
    if (byte != LF) {
        head->lost_line = head->lost_line == 0 && byte == CR ? 1 : 2;
        return;
    }
    if (head->lost_line == 2)
        head->lost_begun = true;
    else if (head->lost_begun)
        head->state = HEAD_CUT;
    head->lost_line = 0;
}

static void fail(struct head *head, uint8_t byte, enum head_fault fault)
{
    uint8_t state = head->state;
    head->fault = (uint8_t)fault;
    if (state >= HEAD_IN_BODY || head->in_trailers) {
        head->state = HEAD_BROKEN;
        return;
    }
    head->state = HEAD_LOST;
    head->lost_begun = state > HEAD_AT_SECOND;
    head->lost_line = 2;
    if (state == HEAD_AT_FIRST || state == HEAD_AT_SECOND || state == HEAD_AT_LINE)
        head->lost_line = 0;
    else if (state == HEAD_AT_FIRST_LF || state == HEAD_AT_LAST_LF)
        head->lost_line = 1;
    in_lost(head, byte);
}

/* For a byte that cannot be here. */
static void refuse(struct head *head, uint8_t byte, enum head_fault otherwise)
{
    if (byte == 0)
        otherwise = HEAD_NUL;
    else if (byte == LF)
        otherwise = HEAD_BARE_LF;
    else if (is_control(byte) && byte != CR && byte != '\t')
        otherwise = HEAD_CONTROL;
    fail(head, byte, otherwise);
}

static void go_to(struct head *head, enum head_state state)
{
    head->state = (uint8_t)state;
    head->at = 0;
}

static void expect_lf(struct head *head, uint8_t byte, enum head_state next)
{
    if (byte == LF)
        go_to(head, next);
    else
        fail(head, byte, HEAD_BARE_CR);
}

/* -- request line ------------------------------------------------------------------------------ */

static void in_method(struct head *head, uint8_t byte)
{
    if (is_token(byte))
        head->at = 1;
    else if (byte == ' ' && head->at > 0)
        go_to(head, HEAD_IN_TARGET);
    else
        refuse(head, byte, HEAD_REQUEST_LINE);
}

static void at_second(struct head *head, uint8_t byte)
{
    if (is_token(byte))
        go_to(head, HEAD_IN_METHOD);
    in_method(head, byte);
}

/* Some clients end a body with an empty line that does not belong to it: one is borne (RFC 9112,
 * 2.2). */
static void at_first(struct head *head, uint8_t byte)
{
    *head = (struct head){.request = head->request + 1};
    if (byte == CR)
        go_to(head, HEAD_AT_FIRST_LF);
    else
        at_second(head, byte);
}

static void at_first_lf(struct head *head, uint8_t byte)
{
    expect_lf(head, byte, HEAD_AT_SECOND);
}

static void in_target(struct head *head, uint8_t byte)
{
    if (byte != ' ' && !is_control(byte))
        head->at = 1;
    else if (byte == ' ' && head->at > 0)
        go_to(head, HEAD_IN_VERSION);
    else
        refuse(head, byte, HEAD_REQUEST_LINE);
}

static void in_version(struct head *head, uint8_t byte)
{
    enum { LENGTH = sizeof(version_text) - 1 };
    uint8_t at = head->at++;
    if (at < LENGTH && byte == (uint8_t)version_text[at])
        return;
    if (at == LENGTH && (byte == '0' || byte == '1'))
        head->old = byte == '0';
    else if (at > LENGTH && byte == CR)
        go_to(head, HEAD_AT_LINE_LF);
    else
        refuse(head, byte, HEAD_VERSION);
}

/* -- fields ------------------------------------------------------------------------------------ */

static void at_line_lf(struct head *head, uint8_t byte)
{
    expect_lf(head, byte, HEAD_AT_LINE);
}

/* Returns false after a fault. */
static bool note_name(struct head *head, uint8_t byte)
{
    static const enum head_fault twice[] = {HEAD_TWO_HOSTS, HEAD_TWO_LENGTHS, HEAD_TWO_CODINGS};
    uint8_t found = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((head->names & names[i].bit) == 0 || names[i].text[head->at] != '\0')
            continue;
        found = names[i].bit;
        if (head->in_trailers || (head->seen & found) != 0) {
            fail(head, byte, head->in_trailers ? HEAD_TRAILER : twice[i]);
            return false;
        }
    }
    head->names = found;
    head->seen |= found;
    return true;
}

static void in_name(struct head *head, uint8_t byte)
{
    if (byte == ':' && head->at > 0) {
        if (note_name(head, byte))
            go_to(head, HEAD_BEFORE_VALUE);
        return;
    }
    if (!is_token(byte)) {
        refuse(head, byte, HEAD_NAME);
        return;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) /* a text ends where it differs */
        if ((head->names & names[i].bit) != 0 && (uint8_t)names[i].text[head->at] != lower(byte))
            head->names &= (uint8_t)~names[i].bit;
    if (head->at < UINT8_MAX)
        head->at++;
}

static void at_line(struct head *head, uint8_t byte)
{
    if (byte == CR) {
        go_to(head, HEAD_AT_LAST_LF);
    } else if (byte == ' ' || byte == '\t') {
        fail(head, byte, HEAD_FOLD);
    } else if (!is_token(byte)) {
        refuse(head, byte, HEAD_NAME);
    } else {
        head->names = NAMES_ALL;
        go_to(head, HEAD_IN_NAME);
        in_name(head, byte);
    }
}

static void in_value(struct head *head, uint8_t byte)
{
    if (byte == CR)
        go_to(head, HEAD_AT_LINE_LF);
    else if (is_control(byte) && byte != '\t')
        refuse(head, byte, HEAD_CONTROL);
}

/* No space may follow: libmicrohttpd keeps it, and reads another value then. */
static void in_length(struct head *head, uint8_t byte)
{
    if (byte == CR && head->at > 0) {
        go_to(head, HEAD_AT_LINE_LF);
    } else if (!is_digit(byte)) {
        refuse(head, byte, HEAD_LENGTH);
    } else {
        uint64_t digit = (uint64_t)(byte - '0');
        if (head->number > (NUMBER_MAX - digit) / 10) {
            fail(head, byte, HEAD_LENGTH);
            return;
        }
        head->number = head->number * 10 + digit;
        head->at = 1;
    }
}

static void in_coding(struct head *head, uint8_t byte)
{
    enum { LENGTH = sizeof(coding_text) - 1 };
    if (head->at < LENGTH && byte == (uint8_t)coding_text[head->at])
        head->at++;
    else if (head->at == LENGTH && byte == CR)
        go_to(head, HEAD_AT_LINE_LF);
    else
        refuse(head, byte, HEAD_CODING);
}

static void before_value(struct head *head, uint8_t byte)
{
    if (byte == ' ' || byte == '\t')
        return;
    if (head->names == NAME_LENGTH) {
        go_to(head, HEAD_IN_LENGTH);
        in_length(head, byte);
    } else if (head->names == NAME_CODING) {
        go_to(head, HEAD_IN_CODING);
        in_coding(head, byte);
    } else {
        go_to(head, HEAD_IN_VALUE);
        in_value(head, byte);
    }
}

/* -- the end of a head ------------------------------------------------------------------------- */

static enum head_fault fault_of_head(const struct head *head)
{
    if (!head->old && (head->seen & NAME_HOST) == 0)
        return HEAD_NO_HOST;
    if ((head->seen & NAME_CODING) == 0)
        return HEAD_NONE;
    if ((head->seen & NAME_LENGTH) != 0)
        return HEAD_TWO_FRAMINGS;
    return head->old ? HEAD_OLD_CODING : HEAD_NONE;
}

static void at_last_lf(struct head *head, uint8_t byte)
{
    if (byte != LF) {
        fail(head, byte, HEAD_BARE_CR);
        return;
    }
    if (head->in_trailers) {
        go_to(head, HEAD_AT_FIRST);
        return;
    }
    head->fault = (uint8_t)fault_of_head(head);
    if (head->fault != HEAD_NONE)
        go_to(head, HEAD_CUT);
    else if ((head->seen & NAME_CODING) != 0)
        go_to(head, HEAD_IN_CHUNK_SIZE);
    else
        go_to(head, head->number > 0 ? HEAD_IN_BODY : HEAD_AT_FIRST);
}

/* -- chunks ------------------------------------------------------------------------------------ */

static void in_chunk_size(struct head *head, uint8_t byte)
{
    unsigned digit = hex_of(byte);
    if (head->at > 0 && byte == CR) {
        go_to(head, HEAD_AT_CHUNK_LF);
    } else if (head->at > 0 && byte == ';') {
        go_to(head, HEAD_IN_EXTENSION);
    } else if (digit > 15) {
        refuse(head, byte, HEAD_CHUNK_SIZE);
    } else if (head->at == CHUNK_DIGITS_MAX || head->number > NUMBER_MAX >> 4) {
        fail(head, byte, HEAD_CHUNK_SIZE);
    } else {
        head->number = head->number << 4 | digit;
        head->at++;
    }
}

static void in_extension(struct head *head, uint8_t byte)
{
    if (byte == CR)
        go_to(head, HEAD_AT_CHUNK_LF);
    else if (is_control(byte) && byte != '\t')
        refuse(head, byte, HEAD_CHUNK_LINE);
    else if (head->at++ == HEAD_EXTENSION_MAX)
        fail(head, byte, HEAD_CHUNK_LINE);
}

static void at_chunk_lf(struct head *head, uint8_t byte)
{
    expect_lf(head, byte, head->number > 0 ? HEAD_IN_CHUNK : HEAD_AT_LINE);
    head->in_trailers = head->state == HEAD_AT_LINE;
}

static void at_chunk_cr(struct head *head, uint8_t byte)
{
    if (byte == CR)
        go_to(head, HEAD_AT_CHUNK_END);
    else
        fail(head, byte, HEAD_CHUNK_END);
}

static void at_chunk_end(struct head *head, uint8_t byte)
{
    if (byte == LF)
        go_to(head, HEAD_IN_CHUNK_SIZE);
    else
        fail(head, byte, HEAD_CHUNK_END);
}

/* -- all --------------------------------------------------------------------------------------- */

/* Passes over the bytes of a body or a chunk. */
static size_t skip(struct head *head, size_t size)
{
    size_t taken = head->number < size ? (size_t)head->number : size;
    head->number -= taken;
    if (head->number == 0)
        go_to(head, head->state == HEAD_IN_BODY ? HEAD_AT_FIRST : HEAD_AT_CHUNK_CR);
    return taken;
}

size_t head_take(struct head *head, const void *bytes, size_t size)
{
    static void (*const steps[HEAD_STATES])(struct head *, uint8_t) = {
        [HEAD_AT_FIRST] = at_first,
        [HEAD_AT_FIRST_LF] = at_first_lf,
        [HEAD_AT_SECOND] = at_second,
        [HEAD_IN_METHOD] = in_method,
        [HEAD_IN_TARGET] = in_target,
        [HEAD_IN_VERSION] = in_version,
        [HEAD_AT_LINE_LF] = at_line_lf,
        [HEAD_AT_LINE] = at_line,
        [HEAD_IN_NAME] = in_name,
        [HEAD_BEFORE_VALUE] = before_value,
        [HEAD_IN_VALUE] = in_value,
        [HEAD_IN_LENGTH] = in_length,
        [HEAD_IN_CODING] = in_coding,
        [HEAD_AT_LAST_LF] = at_last_lf,
        [HEAD_IN_CHUNK_SIZE] = in_chunk_size,
        [HEAD_IN_EXTENSION] = in_extension,
        [HEAD_AT_CHUNK_LF] = at_chunk_lf,
        [HEAD_AT_CHUNK_CR] = at_chunk_cr,
        [HEAD_AT_CHUNK_END] = at_chunk_end,
        [HEAD_LOST] = in_lost,
    };
    const uint8_t *from = bytes;
    size_t at = 0;
    while (at < size && head->state != HEAD_CUT) {
        if (head->state == HEAD_IN_BODY || head->state == HEAD_IN_CHUNK)
            at += skip(head, size - at);
        else
            steps[head->state](head, from[at++]);
        if (head->state == HEAD_BROKEN) {
            head->state = HEAD_CUT;
            at--;
        }
    }
    return at;
}
