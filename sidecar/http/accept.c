/* SPDX-License-Identifier: Apache-2.0 */
#include "http/accept.h"

#include <string.h>

#include "base/text.h"
#include "http/word.h"

static const char *const types[] = {
#define TYPE(name, type) type,
    ACCEPT_MEDIA_MAP(TYPE)
#undef TYPE
};

/* Whether it is type "/" subtype, both of them tokens. */
static bool is_media_type(struct spn_bytes text)
{
    struct spn_bytes subtype = text;
    struct spn_bytes type = word_cut(&subtype, '/');
    return word_is_token(type) && word_is_token(subtype);
}

/* -- Accept ------------------------------------------------------------------------------------ */

enum { EXACT = 3, ANY_SUBTYPE = 2, ANY_TYPE = 1, NO_MATCH = 0 };

/* q * 1000; -1: malformed (RFC 9110, 12.4.2). */
static int quality_of(struct spn_bytes text)
{
    const char *bytes = text.data;
    int quality = 0;
    int scale = 1000;
    if (text.size == 0 || text.size > 5 || (bytes[0] != '0' && bytes[0] != '1') ||
        (text.size > 1 && bytes[1] != '.'))
        return -1;
    for (size_t i = 0; i < text.size; i++) {
        if (i == 1)
            continue;
        if (bytes[i] < '0' || bytes[i] > '9')
            return -1;
        quality += (bytes[i] - '0') * scale;
        scale /= 10;
    }
    return quality <= 1000 ? quality : -1;
}

/* The q among the parameters; without one it is 1. */
static int quality_among(struct spn_bytes parameters)
{
    while (parameters.data != NULL) {
        struct spn_bytes value = word_cut_unquoted(&parameters, ';');
        struct spn_bytes name = word_trim(word_cut(&value, '='));
        if (word_is_caseless(name, "q"))
            return quality_of(word_trim(value));
    }
    return 1000;
}

static int match(struct spn_bytes range, const char *type)
{
    size_t with_slash = (size_t)(strchr(type, '/') - type) + 1;
    const char *bytes = range.data;
    if (word_is_caseless(range, type))
        return EXACT;
    if (word_is(range, "*/*"))
        return ANY_TYPE;
    bool same = range.size == with_slash + 1 && bytes[with_slash] == '*' &&
                word_equals_caseless((struct spn_bytes){bytes, with_slash},
                                     (struct spn_bytes){type, with_slash});
    return same ? ANY_SUBTYPE : NO_MATCH;
}

struct wish {
    int exactness; /* of the most exact range that matches */
    int quality;   /* that it has */
};

static void note(struct spn_bytes element, struct wish wishes[ACCEPT_MEDIAS])
{
    struct spn_bytes parameters = element;
    struct spn_bytes range = word_trim(word_cut(&parameters, ';'));
    int quality = quality_among(parameters);
    if (quality < 0 || !is_media_type(range))
        return;
    for (size_t i = 0; i < ACCEPT_MEDIAS; i++) {
        int exactness = match(range, types[i]);
        bool better = exactness > wishes[i].exactness ||
                      (exactness == wishes[i].exactness && quality > wishes[i].quality);
        if (exactness != NO_MATCH && better)
            wishes[i] = (struct wish){exactness, quality};
    }
}

static bool is_better(const struct wish *wish, const struct wish *than)
{
    return wish->quality != than->quality ? wish->quality > than->quality
                                          : wish->exactness > than->exactness;
}

static bool refuse(struct spn_bytes accept, unsigned offered, struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    const char *names[ACCEPT_MEDIAS];
    for (size_t i = 0; i < ACCEPT_MEDIAS; i++)
        names[i] = (offered & ACCEPT_BIT(i)) != 0 ? types[i] : "";
    return problem_set(ret_problem, 406, SPN_E_INVALID, "Accept is %s; there is: %s %s %s",
                       text_quote(accept, quoted), names[ACCEPT_EVENT_STREAM], names[ACCEPT_JSON],
                       names[ACCEPT_NDJSON]);
}

bool accept_choose(struct spn_bytes accept, unsigned offered, enum accept_media *ret_media,
                   struct problem *ret_problem)
{
    struct wish wishes[ACCEPT_MEDIAS] = {{0}};
    struct spn_bytes left = word_trim(accept).size > 0 ? accept : (struct spn_bytes){"*/*", 3};
    while (left.data != NULL)
        note(word_cut_unquoted(&left, ','), wishes);
    struct wish best = {0};
    for (unsigned i = 0; i < ACCEPT_MEDIAS; i++) {
        if ((offered & ACCEPT_BIT(i)) == 0 || wishes[i].quality == 0 ||
            !is_better(&wishes[i], &best))
            continue;
        best = wishes[i];
        *ret_media = (enum accept_media)i;
    }
    return best.quality > 0 || refuse(accept, offered, ret_problem);
}

/* -- Content-Type ------------------------------------------------------------------------------ */

static bool is_utf8_name(struct spn_bytes charset)
{
    return word_is_caseless(charset, "utf-8") || word_is_caseless(charset, "\"utf-8\"") ||
           word_is_caseless(charset, "utf8");
}

static bool has_other_charset(struct spn_bytes parameters)
{
    while (parameters.data != NULL) {
        struct spn_bytes value = word_cut_unquoted(&parameters, ';');
        struct spn_bytes name = word_trim(word_cut(&value, '='));
        if (word_is_caseless(name, "charset") && !is_utf8_name(word_trim(value)))
            return true;
    }
    return false;
}

bool accept_body(struct spn_bytes content_type, enum accept_body *ret_body,
                 struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    struct spn_bytes parameters = content_type;
    struct spn_bytes type = word_trim(word_cut(&parameters, ';'));
    if (content_type.size > 0 && !is_media_type(type))
        return problem_set(ret_problem, 415, SPN_E_INVALID, "Content-Type %s is no media type",
                           text_quote(content_type, quoted));
    if (has_other_charset(parameters))
        return problem_set(ret_problem, 415, SPN_E_INVALID, "Content-Type %s is not UTF-8",
                           text_quote(content_type, quoted));
    *ret_body = word_is_caseless(type, types[ACCEPT_EVENT_STREAM]) ? ACCEPT_BODY_EVENTS
                : word_is_caseless(type, types[ACCEPT_JSON])       ? ACCEPT_BODY_JSON
                                                                   : ACCEPT_BODY_RAW;
    return true;
}
