/* SPDX-License-Identifier: Apache-2.0 */
#include "http/page.h"

#include "http/json_write.h"

void page_begin(struct page *page, struct out *out, enum page_format format, const char *items)
{
    *page = (struct page){.out = out, .format = format};
    if (format == PAGE_LINES)
        return;
    out_text(out, "{\"");
    out_text(out, items);
    out_text(out, "\":[");
}

static void begin_item(struct page *page)
{
    if (page->has_items && page->format == PAGE_JSON)
        out_text(page->out, ",");
    page->has_items = true;
}

static void end_item(struct page *page)
{
    out_text(page->out, page->format == PAGE_LINES ? "}\n" : "}");
}

/* -- items ------------------------------------------------------------------------------------- */

static void write_contents(struct out *out, const struct spn_event *event)
{
    static const struct spn_bytes message = {"message", sizeof("message") - 1};
    json_write_bytes(out, "{\"id", event->id);
    json_write_bytes(out, ",\"type", event->type.size > 0 ? event->type : message);
    json_write_bytes(out, ",\"data", event->data);
}

static void write_marker(struct out *out, const struct spn_event *event)
{
    if (event->kind == SPN_RESET)
        json_write_text(out, "{\"id\":", "");
    else
        json_write_bytes_or_null(out, "{\"id", event->id);
    json_write_bool(out, ",\"marker\":", true);
}

void page_event(struct page *page, const struct spn_event *event)
{
    struct out *out = page->out;
    begin_item(page);
    if (event->kind == SPN_EVENT)
        write_contents(out, event);
    else
        write_marker(out, event);
    if (event->retry_ms != SPN_RETRY_NONE)
        json_write_number(out, ",\"retry\":", event->retry_ms);
    json_write_number(out, ",\"seq\":", event->seq);
    json_write_time(out, ",\"time\":", event->time_ms);
    end_item(page);
}

/* Of a session that was given up no number is known. */
static void write_number(struct out *out, const char *member, const struct spn_session *session,
                         uint64_t number)
{
    if (session->epoch > 0) {
        json_write_number(out, member, number);
        return;
    }
    out_text(out, member);
    out_text(out, "null");
}

void page_session(struct page *page, const struct spn_session *session)
{
    struct out *out = page->out;
    begin_item(page);
    json_write_bytes(out, "{\"session", session->name);
    json_write_text(out, ",\"state\":", spn_session_state_name(session->state));
    json_write_life(out, ",\"life\":", &session->life);
    write_number(out, ",\"seq\":", session, session->seq);
    write_number(out, ",\"markers\":", session, session->markers);
    write_number(out, ",\"bytes\":", session, session->bytes);
    json_write_bytes_or_null(out, ",\"last_event_id", session->last_id);
    json_write_time(out, ",\"opened\":", session->opened_ms);
    json_write_time(out, ",\"last\":", session->last_ms);
    if (session->state == SPN_CLOSED)
        json_write_bytes(out, ",\"reason", session->reason);
    json_write_bytes_or_null(out, ",\"content_type", session->content_type);
    json_write_span(out, ",\"ttl_ms\":", session->ttl_ms);
    json_write_span(out, ",\"idle_close_ms\":", session->idle_close_ms);
    end_item(page);
}

/* -- ends -------------------------------------------------------------------------------------- */

/* What stands before the first member after the items. */
static void end_items(struct page *page)
{
    out_text(page->out, page->format == PAGE_LINES ? "{" : "],");
}

void page_end_events(struct page *page, const struct page_end *end)
{
    end_items(page);
    json_write_cursor(page->out, "\"next\":", &end->life, end->seq);
    json_write_bool(page->out, ",\"closed\":", end->closed);
    if (end->reason.size > 0)
        json_write_bytes(page->out, ",\"reason", end->reason);
    json_write_number(page->out, ",\"missing\":", end->missing);
    out_text(page->out, "}\n");
}

void page_end_sessions(struct page *page, struct spn_bytes next)
{
    end_items(page);
    json_write_bytes_or_null(page->out, "\"next", next);
    out_text(page->out, "}\n");
}
