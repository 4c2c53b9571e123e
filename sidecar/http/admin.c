/* SPDX-License-Identifier: Apache-2.0 */
#include "http/admin.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/random.h"
#include "http/admin_page.h"
#include "http/answer.h"
#include "http/json_write.h"
#include "http/metrics.h"
#include "http/names.h"
#include "http/word.h"

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

/* -- the page ---------------------------------------------------------------------------------- */

static void print_address(const struct web_door *door, const char *token)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    char host[INET6_ADDRSTRLEN];
    char port[sizeof("65535")];
    if (getsockname(door->fd, (struct sockaddr *)&address, &size) != 0 ||
        getnameinfo((const struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    bool is_ip6 = address.ss_family == AF_INET6;
    log_info("page", "url=http://%s%s%s:%s/?token=%s", is_ip6 ? "[" : "", host, is_ip6 ? "]" : "",
             port, token);
}

void admin_print(struct gateway *gateway, const struct web_door *doors, size_t doors_count)
{
    for (size_t i = 0; i < doors_count; i++) {
        if (!doors[i].is_admin || !doors[i].is_tcp)
            continue;
        spn_err err = admin_key_renew(&gateway->admin_key, random_fill);
        if (err != SPN_OK)
            log_error("page", "error=%s", spn_err_name(err));
        else
            print_address(&doors[i], gateway->admin_key.token);
        return; /* there is one admin listener */
    }
}

struct visit {
    const struct gateway *gateway;
    bool is_known;
};

static bool visit_header(void *context, const char *name, struct spn_bytes value)
{
    struct visit *visit = context;
    visit->is_known = word_is_caseless(spn_text(name), name_COOKIE) &&
                      admin_key_is_in(&visit->gateway->admin_key, value);
    return !visit->is_known;
}

bool admin_is_known(const struct gateway *gateway, struct exchange *exchange)
{
    struct visit visit = {.gateway = gateway};
    (void)exchange_each_header(exchange, visit_header, &visit);
    return visit.is_known;
}

static void add_page_headers(struct exchange *exchange)
{
    exchange_add(exchange, "Content-Security-Policy", admin_page_policy);
    exchange_add(exchange, "Referrer-Policy", "no-referrer");
    exchange_add(exchange, "Cross-Origin-Opener-Policy", "same-origin");
}

static void refuse_page(struct gateway *gateway, struct exchange *exchange, unsigned status,
                        const char *why)
{
    struct out out;
    out_init(&out, -1);
    out_text(&out, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width\">\n"
                   "<title>Sponson</title>\n<h1>This page needs a token</h1>\n<p>");
    out_text(&out, why);
    out_text(&out, " sponson-http logs the page's address with a token, which is good for one use, "
                   "when it starts and after each SIGHUP: a line that begins with "
                   "<code>page</code>.\n");
    gateway->counts.denials[DENIAL_ADMIN]++;
    add_page_headers(exchange);
    answer_text(exchange, status, "text/html; charset=utf-8", &out);
    out_release(&out);
}

/* The token goes out of the address at once, and so does not stay in the browser's history. */
static void sell_cookie(struct gateway *gateway, struct exchange *exchange)
{
    char cookie[sizeof(ADMIN_KEY_COOKIE "=; Path=/; HttpOnly; SameSite=Strict") + ADMIN_KEY_SIZE];
    (void)snprintf(cookie, sizeof(cookie), "%s=%s; Path=/; HttpOnly; SameSite=Strict",
                   ADMIN_KEY_COOKIE, gateway->admin_key.cookie);
    exchange_add(exchange, "Set-Cookie", cookie);
    exchange_add(exchange, name_LOCATION, "/");
    exchange_add(exchange, "Cache-Control", "no-store");
    exchange_add(exchange, "Referrer-Policy", "no-referrer");
    exchange_answer(exchange, 303, NULL, 0);
}

static void answer_page(struct gateway *gateway, struct exchange *exchange,
                        const struct query *query)
{
    if (query->has_token && admin_key_use(&gateway->admin_key, query->token)) {
        sell_cookie(gateway, exchange);
        return;
    }
    if (!admin_is_known(gateway, exchange)) {
        if (query->has_token)
            refuse_page(gateway, exchange, 403, "The token in the address is not valid any more.");
        else
            refuse_page(gateway, exchange, 401, "There is none in the address.");
        return;
    }
    const struct out page = {.data = (char *)admin_page_html, .size = admin_page_size};
    add_page_headers(exchange);
    answer_text(exchange, 200, "text/html; charset=utf-8", &page);
}

/* -- all --------------------------------------------------------------------------------------- */

bool admin_begin(struct gateway *gateway, struct exchange *exchange, const struct target *target)
{
    switch (target->route) {
    case TARGET_HEALTHZ:
    case TARGET_READYZ:
        answer_health(gateway, exchange, target->route == TARGET_READYZ);
        return true;
    case TARGET_METRICS:
        metrics_begin(gateway, exchange);
        return true;
    case TARGET_PAGE:
        answer_page(gateway, exchange, &target->query);
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
