/* SPDX-License-Identifier: Apache-2.0 */
#include "http/target.h"

#include <string.h>

#include "base/text.h"
#include "http/word.h"

/* Never with the target itself: it may hold a token. */
static bool refuse(const char *what, struct problem *ret_problem)
{
    return problem_set(ret_problem, 400, SPN_E_INVALID, "the target of the request %s", what);
}

static bool refuse_name(const char *what, const char *text, size_t size,
                        struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    return problem_set(ret_problem, 400, SPN_E_BAD_SESSION, "session name %s %s",
                       text_quote((struct spn_bytes){text, size}, quoted), what);
}

/* -- names ------------------------------------------------------------------------------------- */

/* Web servers in front merge `//` and resolve `.` and `..`: such a name would be another one behind
 * them. */
static bool has_bad_segment(struct spn_bytes name)
{
    struct spn_bytes left = name;
    do {
        struct spn_bytes segment = word_cut(&left, '/');
        if (segment.size == 0 || word_is(segment, ".") || word_is(segment, ".."))
            return true;
    } while (left.data != NULL);
    return false;
}

static bool parse_name(char *text, size_t size, size_t max, struct spn_bytes *ret_name,
                       struct problem *ret_problem)
{
    if (size == 0)
        return problem_set(ret_problem, 400, SPN_E_BAD_SESSION, "the name of the session is empty");
    size_t decoded = size;
    if (!word_decode(text, &decoded))
        return problem_set(ret_problem, 400, SPN_E_BAD_SESSION,
                           "the name of the session has a %% without two hexadecimal digits");
    struct spn_bytes name = {text, decoded};
    if (!word_is_text(name))
        return refuse_name("is not UTF-8, or has a control character", text, decoded, ret_problem);
    if (has_bad_segment(name))
        return refuse_name("has a part between slashes that is empty, '.' or '..'", text, decoded,
                           ret_problem);
    if (decoded > max)
        return refuse_name("is too long", text, decoded, ret_problem);
    *ret_name = name;
    return true;
}

/* -- paths ------------------------------------------------------------------------------------- */

static const struct {
    enum target_route route;
    const char *path;
} routes[] = {
#define ROUTE(name, path) {TARGET_##name, path},
    TARGET_ROUTE_MAP(ROUTE)
#undef ROUTE
};

/* Only the name is decoded: a path with an escape elsewhere is no route. */
static bool parse_path(char *text, size_t size, struct target *target, struct problem *ret_problem)
{
    struct spn_bytes path = {text, size};
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        size_t length = strlen(routes[i].path);
        bool named = length > 1 && routes[i].path[length - 1] == '/';
        if (named && size >= length && memcmp(text, routes[i].path, length) == 0) {
            target->route = routes[i].route;
            return parse_name(text + length, size - length,
                              target->route == TARGET_STREAM ? TARGET_STREAM_MAX : TARGET_NAME_MAX,
                              &target->name, ret_problem);
        }
        if (!named && word_is(path, routes[i].path)) {
            target->route = routes[i].route;
            return true;
        }
    }
    target->route = TARGET_NOWHERE;
    return true;
}

/* -- forms ------------------------------------------------------------------------------------- */

/* Bytes of `http://` or `https://`; 0: there is none. */
static size_t scheme_size(const char *text, size_t size)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t length = strlen(schemes[i]);
        if (size >= length && word_is_caseless((struct spn_bytes){text, length}, schemes[i]))
            return length;
    }
    return 0;
}

/* Bytes up to the path or the query. */
static size_t authority_size(const char *text, size_t size)
{
    size_t length = 0;
    while (length < size && text[length] != '/' && text[length] != '?')
        length++;
    return length;
}

static bool has_bad_byte(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte <= ' ' || byte == 0x7F || byte == '#')
            return true;
    }
    return false;
}

bool target_parse(char *text, size_t size, struct target *ret_target, struct problem *ret_problem)
{
    struct target target = {.route = TARGET_NOWHERE};
    if (has_bad_byte(text, size))
        return refuse("has a space, a control character or a fragment", ret_problem);
    size_t scheme = scheme_size(text, size);
    if (scheme > 0) {
        text += scheme;
        size -= scheme;
        target.authority = (struct spn_bytes){text, authority_size(text, size)};
        if (target.authority.size == 0 || memchr(text, '@', target.authority.size) != NULL)
            return refuse("names no host, or a user", ret_problem);
        text += target.authority.size;
        size -= target.authority.size;
    } else if (size == 0 || text[0] != '/') {
        return refuse("does not begin with a slash", ret_problem);
    }
    char *question = size > 0 ? memchr(text, '?', size) : NULL;
    size_t path_size = question ? (size_t)(question - text) : size;
    if (path_size == 0)
        target.route = TARGET_PAGE;
    else if (!parse_path(text, path_size, &target, ret_problem))
        return false;
    if (question && !query_parse(question + 1, size - path_size - 1, &target.query, ret_problem))
        return false;
    *ret_target = target;
    return true;
}
