/* SPDX-License-Identifier: Apache-2.0 */
#include "http/admin.h"

#include "http/answer.h"
#include "http/json_write.h"

static void answer_text(struct exchange *exchange, unsigned status, const char *type,
                        const struct out *out)
{
    exchange_add(exchange, "Content-Type", type);
    exchange_add(exchange, "Cache-Control", "no-store");
    exchange_add(exchange, "X-Content-Type-Options", "nosniff");
    exchange_answer(exchange, status, out->data, out->size);
}

static void answer_health(struct gateway *gateway, struct exchange *exchange, bool is_readiness)
{
    struct out out;
    out_init(&out, -1);
    bool has_daemon = gateway_hears_daemon(gateway);
    const char *status = gateway->is_stopping ? "stopping" : has_daemon ? "ok" : "degraded";
    out_text(&out, "{");
    json_write_text(&out, "\"status\":", status);
    if (!has_daemon)
        json_write_text(&out, ",\"reason\":", "the daemon does not answer");
    out_text(&out, "}\n");
    answer_text(exchange, is_readiness && gateway->is_stopping ? 503 : 200, "application/json",
                &out);
    out_release(&out);
}

bool admin_begin(struct gateway *gateway, struct exchange *exchange, enum target_route route)
{
    switch (route) {
    case TARGET_HEALTHZ:
    case TARGET_READYZ:
        answer_health(gateway, exchange, route == TARGET_READYZ);
        return true;
    case TARGET_PROBLEMS:
        admin_problems(exchange);
        return true;
    default:
        return false;
    }
}

void admin_problems(struct exchange *exchange)
{
    struct out out;
    out_init(&out, -1);
    out_text(&out, "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Problems</title>\n"
                   "<h1>Problems</h1>\n<dl>\n");
#define ROW(name, number, text)                                                                    \
    out_text(&out, "<dt id=\"SPN_" #name "\"><code>SPN_" #name "</code> (");                       \
    out_number(&out, problem_status(SPN_##name));                                                  \
    out_text(&out, ")<dd>" text "\n");
    SPN_ERR_MAP(ROW)
#undef ROW
    out_text(&out, "</dl>\n");
    exchange_add(exchange, "Content-Security-Policy", "default-src 'none'");
    answer_text(exchange, 200, "text/html; charset=utf-8", &out);
    out_release(&out);
}
