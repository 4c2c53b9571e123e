/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/answers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

#define MS UINT64_C(1000000)

struct kept_answer {
    struct kept_answer *next;
    struct peer peer;
    uint64_t until_ns;
    size_t size;
    uint8_t bytes[];
};

void answers_init(struct answers *answers, struct router *router, const struct clock *clock)
{
    *answers = (struct answers){.router = router, .clock = clock};
    answers->end = &answers->first;
}

static size_t cost_of(size_t size)
{
    return sizeof(struct kept_answer) + size;
}

/* Takes the answer at this place out. */
static void drop(struct answers *answers, struct kept_answer **at)
{
    struct kept_answer *kept = *at;
    *at = kept->next;
    if (!kept->next)
        answers->end = at;
    answers->kept_bytes -= cost_of(kept->size);
    free(kept);
}

void answers_release(struct answers *answers)
{
    while (answers->first)
        drop(answers, &answers->first);
}

static void keep(struct answers *answers, const struct peer *peer, const void *bytes, size_t size)
{
    uint64_t now_ns = answers->clock->monotonic_ns();
    bool room = answers->kept_bytes + cost_of(size) <= ANSWERS_KEPT_BYTES_MAX;
    struct kept_answer *kept = room ? malloc(cost_of(size)) : NULL;
    if (!kept)
        return;
    *kept = (struct kept_answer){
        .peer = *peer, .until_ns = now_ns + ANSWERS_KEPT_MS * MS, .size = size};
    memcpy(kept->bytes, bytes, size);
    if (!answers->first)
        answers->due_ns = now_ns + ANSWERS_RETRY_MS * MS;
    *answers->end = kept;
    answers->end = &kept->next;
    answers->kept_bytes += cost_of(size);
}

void answers_send(struct answers *answers, const struct peer *peer, const struct wire_out *out)
{
    assert(!out->bad);
    if (router_send(answers->router, peer, out->start, wire_out_size(out)) == SPN_E_BACKPRESSURE)
        keep(answers, peer, out->start, wire_out_size(out));
}

void answers_error(struct answers *answers, const struct peer *peer, uint64_t request,
                   uint64_t token, spn_err err, const char *detail)
{
    uint8_t bytes[WIRE_HEADER_SIZE + 16 + 255];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    const char *text = detail ? detail : err_text(err);
    wire_put_header(&out, WIRE_ERROR, request);
    wire_put_error(&out, &(struct wire_error){.token = token,
                                              .code = (uint32_t)err,
                                              .detail = {text, strlen(text)}});
    answers_send(answers, peer, &out);
}

/* A peer that is gone gets nothing any more. */
void answers_retry(struct answers *answers)
{
    uint64_t now_ns = answers->clock->monotonic_ns();
    if (!answers->first || now_ns < answers->due_ns)
        return;
    for (struct kept_answer **at = &answers->first; *at;) {
        struct kept_answer *kept = *at;
        spn_err err = router_send(answers->router, &kept->peer, kept->bytes, kept->size);
        if (err == SPN_E_BACKPRESSURE && now_ns < kept->until_ns)
            at = &kept->next;
        else
            drop(answers, at);
    }
    answers->due_ns = now_ns + ANSWERS_RETRY_MS * MS;
}

uint64_t answers_due_ns(const struct answers *answers)
{
    return answers->first ? answers->due_ns : UINT64_MAX;
}
