/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of session names, ids, types, data, reasons and notes; which socket takes which message.
 */
#include <string.h>

#include "utf8.h"
#include "wire.h"

static bool is_nowhere(struct spn_bytes bytes)
{
    return bytes.data == NULL && bytes.size > 0;
}

/* Whether eight bytes are printable ASCII. Adding 0x60 sets the highest bit of a byte from 0x20 to
 * 0x7E, and adding 1 does not. No other byte passes both, and only others carry into the next one.
 */
static bool are_plain(const uint8_t bytes[8])
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return ((~(word + 0x60 * ones) | (word + ones)) & 0x80 * ones) == 0;
}

/* UTF-8 without control characters. Nearly all names are ASCII. */
static bool is_text(struct spn_bytes text)
{
    const uint8_t *bytes = text.data;
    for (size_t i = 0; i < text.size;) {
        if (text.size - i >= 8 && are_plain(bytes + i)) {
            i += 8;
            continue;
        }
        size_t length = utf8_length(bytes + i, text.size - i);
        bool c1 = length == 2 && bytes[i] == 0xC2 && bytes[i + 1] < 0xA0;
        if (length == 0 || bytes[i] < 0x20 || bytes[i] == 0x7F || c1)
            return false;
        i += length;
    }
    return true;
}

spn_err wire_check_session(struct spn_bytes session)
{
    if (is_nowhere(session))
        return SPN_E_INVALID;
    return session.size == 0 || session.size > WIRE_SESSION_MAX || !is_text(session)
               ? SPN_E_BAD_SESSION
               : SPN_OK;
}

spn_err wire_check_reason(struct spn_bytes reason)
{
    if (is_nowhere(reason))
        return SPN_E_INVALID;
    bool own = reason.size == strlen(WIRE_REASON_IDLE) &&
               memcmp(reason.data, WIRE_REASON_IDLE, reason.size) == 0;
    return reason.size > WIRE_REASON_MAX || own || !is_text(reason) ? SPN_E_BAD_REASON : SPN_OK;
}

spn_err wire_check_note(struct spn_bytes note)
{
    if (is_nowhere(note))
        return SPN_E_INVALID;
    return note.size > WIRE_NOTE_MAX ? SPN_E_BAD_NOTE : SPN_OK;
}

spn_err wire_check_prefix(struct spn_bytes prefix)
{
    const uint8_t *bytes = prefix.data;
    if (is_nowhere(prefix))
        return SPN_E_INVALID;
    size_t length = 1;
    for (size_t i = 0; i < prefix.size && length > 0; i += length)
        length = utf8_length(bytes + i, prefix.size - i);
    return length == 0 || prefix.size > WIRE_SESSION_MAX ? SPN_E_BAD_PREFIX : SPN_OK;
}

static bool has_any(struct spn_bytes bytes, const char *set, size_t set_size)
{
    for (size_t i = 0; i < set_size; i++)
        if (bytes.size > 0 && memchr(bytes.data, set[i], bytes.size))
            return true;
    return false;
}

spn_err wire_check_id(struct spn_bytes id)
{
    if (is_nowhere(id))
        return SPN_E_INVALID;
    return id.size > WIRE_ID_MAX || has_any(id, "\0\r\n", 3) ? SPN_E_BAD_ID : SPN_OK;
}

spn_err wire_check_type(struct spn_bytes type)
{
    if (is_nowhere(type))
        return SPN_E_INVALID;
    return type.size > WIRE_TYPE_MAX || has_any(type, "\0\r\n", 3) ? SPN_E_BAD_TYPE : SPN_OK;
}

spn_err wire_check_data(struct spn_bytes data, size_t data_max)
{
    if (is_nowhere(data))
        return SPN_E_INVALID;
    if (data.size > data_max)
        return SPN_E_EVENT_TOO_LARGE;
    return has_any(data, "\r", 1) ? SPN_E_BAD_DATA : SPN_OK;
}

unsigned wire_sockets(uint8_t type)
{
    switch (type) {
    case WIRE_HELLO:
    case WIRE_STATE:
        return WIRE_INGEST | WIRE_READ;
    case WIRE_BATCH:
    case WIRE_OPEN:
    case WIRE_LEAVE:
    case WIRE_PUBLISH:
        return WIRE_INGEST;
    case WIRE_LAST:
    case WIRE_FETCH:
    case WIRE_SESSIONS:
    case WIRE_HEALTH:
    case WIRE_STATS:
    case WIRE_SUBSCRIBE:
    case WIRE_CREDIT:
    case WIRE_UNSUBSCRIBE:
    case WIRE_INFO:
    case WIRE_FOLLOW:
    case WIRE_CLIENTS:
        return WIRE_READ;
    default:
        return 0;
    }
}

const char *wire_denial(uint8_t type)
{
    return (wire_sockets(type) & WIRE_INGEST) != 0 ? "this message is taken on ingest.sock"
                                                   : "this message is taken on read.sock";
}
