/* SPDX-License-Identifier: Apache-2.0 */
#include "http/listing.h"

#include "http/answer.h"
#include "http/asking.h"
#include "http/page.h"

static spn_err answer(struct asking *asking)
{
    struct out out;
    struct page page;
    const struct spn_session *session;
    struct spn_bytes last = {NULL, 0};
    bool has_more = false;
    uint32_t count = 0;
    spn_err err;
    out_init(&out, -1);
    page_begin(&page, &out, PAGE_JSON, "sessions");
    while ((err = spn_answer_next_session(asking->question, &session)) == SPN_OK) {
        if (asking->limit > 0 && count == asking->limit) {
            has_more = true;
            break;
        }
        page_session(&page, session);
        last = session->name;
        count++;
    }
    if (err == SPN_E_END)
        err = spn_answer_more_sessions(asking->question, &has_more);
    if (err == SPN_OK && !memory_reserve(&asking->share, out.size)) {
        answer_no_room(asking->exchange, &asking->share);
    } else if (err == SPN_OK) {
        page_end_sessions(&page, has_more ? last : (struct spn_bytes){NULL, 0});
        exchange_add(asking->exchange, "Content-Type", "application/json");
        exchange_add(asking->exchange, "Cache-Control", "no-store");
        memory_hold(&asking->share, out.size);
        exchange_answer_out(asking->exchange, 200, &out);
    }
    out_release(&out);
    return err;
}

void listing_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes prefix,
                   struct spn_bytes after, uint32_t limit)
{
    struct asking *asking = asking_begin(gateway, exchange, answer);
    if (asking == NULL)
        return;
    asking->limit = limit;
    asking_asked(asking, spn_ask_sessions(&asking->question, gateway->client, after, prefix));
}
