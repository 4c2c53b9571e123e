/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/headers.h"

#include <string.h>

#include "http/ds/config.h"
#include "http/names.h"
#include "http/word.h"

static bool parse_number(const char *name, struct spn_bytes value, uint64_t *ret_number,
                         struct problem *ret_problem)
{
    return ds_number_parse(word_trim(value), DS_NUMBER_MAX, ret_number) ||
           problem_header(ret_problem, name, value, "it has to be a number, at most 2^53-1");
}

static bool parse_text(const char *name, struct spn_bytes value, size_t max,
                       struct spn_bytes *ret_text, struct problem *ret_problem)
{
    struct spn_bytes text = word_trim(value);
    if (text.size == 0)
        return problem_header(ret_problem, name, value, "it has to have a value");
    if (text.size > max)
        return problem_header(ret_problem, name, value, "it is too long");
    *ret_text = text;
    return true;
}

bool ds_append_parse(const struct ds_append_headers *headers, struct ds_note *ret_note,
                     struct problem *ret_problem)
{
    struct ds_note note = {0};
    int count = (headers->producer_id.data != NULL) + (headers->producer_epoch.data != NULL) +
                (headers->producer_seq.data != NULL);
    if (count != 0 && count != 3)
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "%s, %s and %s come together or not at all", name_PRODUCER_ID,
                           name_PRODUCER_EPOCH, name_PRODUCER_SEQ);
    note.has_producer = count == 3;
    if (note.has_producer &&
        (!parse_text(name_PRODUCER_ID, headers->producer_id, DS_PRODUCER_ID_MAX, &note.producer.id,
                     ret_problem) ||
         !parse_number(name_PRODUCER_EPOCH, headers->producer_epoch, &note.producer.epoch,
                       ret_problem) ||
         !parse_number(name_PRODUCER_SEQ, headers->producer_seq, &note.producer.seq, ret_problem)))
        return false;
    if (headers->seq.data != NULL &&
        !parse_text(name_STREAM_SEQ, headers->seq, DS_SEQ_MAX, &note.seq, ret_problem))
        return false;
    *ret_note = note;
    return true;
}

bool ds_headers_close(struct spn_bytes value)
{
    return word_is_caseless(word_trim(value), "true");
}

bool ds_headers_match(struct spn_bytes value, const char *etag)
{
    struct spn_bytes left = value;
    while (left.data != NULL) {
        struct spn_bytes tag = word_trim(word_cut_unquoted(&left, ','));
        const char *bytes = tag.data;
        if (tag.size > 2 && bytes[0] == 'W' && bytes[1] == '/')
            tag = (struct spn_bytes){bytes + 2, tag.size - 2};
        if (word_is(tag, "*") || word_is(tag, etag))
            return true;
    }
    return false;
}
