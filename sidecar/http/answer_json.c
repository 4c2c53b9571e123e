/* SPDX-License-Identifier: Apache-2.0 */
#include "http/answer_json.h"

#include "http/json_write.h"

void answer_json_init(struct answer_json *answer, spn_level level)
{
    *answer = (struct answer_json){.level = level};
    out_init(&answer->last_id, -1);
}

void answer_json_release(struct answer_json *answer)
{
    out_release(&answer->last_id);
}

static void list(struct answer_json *answer, uint64_t event, spn_result result, spn_err code)
{
    if (answer->refusals_count < ANSWER_REFUSALS_MAX)
        answer->refusals[answer->refusals_count] =
            (struct answer_refusal){.event = event, .result = result, .code = code};
    answer->refusals_count++;
}

void answer_json_count(struct answer_json *answer, uint64_t event, spn_result result, spn_err code,
                       struct spn_bytes id)
{
    answer->counts[result]++;
    if (result != SPN_STORED && result != SPN_DUPLICATE) {
        list(answer, event, result, code);
    } else if (id.size > 0) {
        answer->last_id.size = 0;
        out_put(&answer->last_id, id.data, id.size);
    }
}

static const char *stored_member(spn_level level)
{
    switch (level) {
    case SPN_NONE:
        return "{\"sent\":";
    case SPN_ACCEPTED:
        return "{\"accepted\":";
    case SPN_DURABLE:
        break;
    }
    return "{\"stored\":";
}

static void write_refusals(const struct answer_json *answer, struct out *out)
{
    uint64_t listed = answer->refusals_count;
    if (listed == 0)
        return;
    if (listed > ANSWER_REFUSALS_MAX)
        listed = ANSWER_REFUSALS_MAX;
    out_text(out, ",\"refusals\":[");
    for (uint64_t i = 0; i < listed; i++) {
        const struct answer_refusal *refusal = &answer->refusals[i];
        json_write_number(out, i > 0 ? ",{\"event\":" : "{\"event\":", refusal->event);
        json_write_text(out, ",\"result\":", spn_result_name(refusal->result));
        if (refusal->code != SPN_OK)
            json_write_text(out, ",\"code\":", spn_err_name(refusal->code));
        out_text(out, "}");
    }
    out_text(out, "]");
    if (answer->refusals_count > listed)
        json_write_number(out, ",\"refusals_omitted\":", answer->refusals_count - listed);
}

void answer_json_write(const struct answer_json *answer, struct out *out)
{
    struct spn_bytes last_id = {answer->last_id.data, answer->last_id.size};
    json_write_number(out, stored_member(answer->level), answer->counts[SPN_STORED]);
    json_write_number(out, ",\"duplicates\":", answer->counts[SPN_DUPLICATE]);
    json_write_number(out, ",\"conflicts\":", answer->counts[SPN_CONFLICT]);
    json_write_number(out, ",\"refused\":", answer->counts[SPN_REFUSED]);
    json_write_number(out, ",\"lost\":", answer->counts[SPN_LOST]);
    json_write_bytes_or_null(out, ",\"last_id", last_id);
    if (answer->last_seq > 0)
        json_write_number(out, ",\"last_seq\":", answer->last_seq);
    json_write_life(out, ",\"life\":", &answer->life);
    write_refusals(answer, out);
    if (answer->is_cut)
        json_write_bool(out, ",\"unfinished\":", true);
    out_text(out, "}\n");
}
