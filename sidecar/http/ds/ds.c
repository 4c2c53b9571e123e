/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/ds.h"

#include <assert.h>
#include <string.h>

#include "http/answer.h"
#include "http/ds/answer.h"
#include "http/ds/append.h"
#include "http/ds/create.h"
#include "http/ds/reading.h"
#include "http/ds/remove.h"
#include "http/word.h"
#include "token/grant.h"

enum { PREFIX = sizeof(DS_PREFIX) - 1 };

typedef void writes(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session);

static const struct method {
    const char *name;
    unsigned right;
    writes *begin; /* NULL: it reads */
} methods[] = {
    {"GET", GRANT_READ, NULL},
    {"HEAD", GRANT_READ, NULL},
    {"POST", GRANT_WRITE, ds_append_begin},
    {"PUT", GRANT_WRITE, ds_create_begin},
    {"DELETE", GRANT_DELETE, ds_remove_begin},
};

static const struct method *find(const char *name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

bool ds_has(struct spn_bytes session)
{
    return session.size > PREFIX && memcmp(session.data, DS_PREFIX, PREFIX) == 0;
}

struct spn_bytes ds_session(struct spn_bytes name, char room[TARGET_NAME_MAX])
{
    assert(name.size <= TARGET_STREAM_MAX);
    memcpy(room, DS_PREFIX, PREFIX);
    memcpy(room + PREFIX, name.data, name.size);
    return (struct spn_bytes){room, PREFIX + name.size};
}

void ds_begin(struct exchange *exchange)
{
    ds_answer_add_safety(exchange);
}

unsigned ds_right(const char *method)
{
    const struct method *known = find(method);
    return known != NULL ? known->right : 0;
}

/* Names that the protocol keeps for its subscriptions. */
static bool is_reserved(struct spn_bytes session)
{
    struct spn_bytes left = {(const char *)session.data + PREFIX, session.size - PREFIX};
    return word_is(word_cut(&left, '/'), "__ds");
}

void ds_answer(struct gateway *gateway, struct exchange *exchange, const struct ds_request *request)
{
    const struct method *method = find(request->method);
    struct problem problem;
    if (is_reserved(request->session)) {
        problem_set(&problem, 501, SPN_E_UNSUPPORTED, "there are no subscriptions to streams here");
        answer_problem(exchange, &problem);
    } else if (method->begin != NULL) {
        method->begin(gateway, exchange, request->session);
    } else {
        const struct ds_reading_request reading = {
            .session = request->session,
            .query = request->query,
            .has_body = strcmp(request->method, "GET") == 0,
            .stream = request->stream,
        };
        ds_reading_begin(gateway, exchange, &reading);
    }
}
