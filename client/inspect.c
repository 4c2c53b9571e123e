/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"

enum {
    PAGE_ROWS_MAX = 1024,
    TEXT_SIZE = UINT8_MAX + 1, /* short bytes and a NUL */
    BODY_SIZE = 4 + 2 * TEXT_SIZE,
    STAT_SIZE_MIN = 8 + 1, /* on the wire */
};

struct inspect {
    zmq_msg_t page;
    struct wire_in rows;
    uint32_t left;
    bool more; /* there are rows after this page */
    uint8_t prefix[WIRE_SESSION_MAX];
    size_t prefix_size;
    uint8_t name[WIRE_SESSION_MAX]; /* of the row that the last call returned */
    size_t name_size;

    char version[TEXT_SIZE];
    char reason[TEXT_SIZE];

    struct spn_stat *stats; /* followed by their names */
};

void inspect_free(struct inspect *inspect)
{
    if (inspect == NULL)
        return;
    zmq_msg_close(&inspect->page);
    free(inspect->stats);
    free(inspect);
}

static spn_err prepare(struct spn_client *client, const void *filled)
{
    spn_err err = client_check_for(client, filled);
    if (err != SPN_OK || client->inspect != NULL)
        return err;
    client->inspect = calloc(1, sizeof(*client->inspect));
    if (client->inspect == NULL)
        return client_fail(client, SPN_E_NOMEM, NULL);
    zmq_msg_init(&client->inspect->page);
    return SPN_OK;
}

static spn_err bad_answer(struct spn_client *client)
{
    return client_fail(client, SPN_E_PROTOCOL, "the sidecar's answer cannot be read");
}

static bool same(struct spn_bytes a, const uint8_t *bytes, size_t size)
{
    return a.size == size && (size == 0 || memcmp(a.data, bytes, size) == 0);
}

static void keep(struct spn_bytes from, uint8_t *bytes, size_t *size)
{
    if (from.size > 0)
        memmove(bytes, from.data, from.size);
    *size = from.size;
}

/* -- sessions ---------------------------------------------------------------------------------- */

static spn_err fetch_page(struct spn_client *client, int timeout_ms)
{
    struct inspect *inspect = client->inspect;
    uint8_t bytes[BODY_SIZE];
    struct wire_out body = wire_out(bytes, sizeof(bytes));
    const struct wire_sessions ask = {.count_max = PAGE_ROWS_MAX,
                                      .after = {inspect->name, inspect->name_size},
                                      .prefix = {inspect->prefix, inspect->prefix_size}};
    const struct client_question question = {WIRE_SESSIONS, WIRE_SESSIONS_ARE, &body};
    struct wire_sessions_are head;
    struct wire_in in;

    inspect->left = 0;
    inspect->more = false;
    wire_put_sessions(&body, &ask);
    calls_clear(&client->call);
    spn_err err =
        client_ask(client, &client->call, &question, client_deadline(client, timeout_ms), &in);
    if (err != SPN_OK)
        return err;
    wire_get_sessions_are(&in, &head);
    if (in.bad || (head.count == 0 && head.more != 0))
        return bad_answer(client);
    size_t at = (size_t)(in.at - (const uint8_t *)zmq_msg_data(&client->call.answer));
    zmq_msg_move(&inspect->page, &client->call.answer);
    inspect->rows = wire_in((const uint8_t *)zmq_msg_data(&inspect->page) + at,
                            zmq_msg_size(&inspect->page) - at);
    inspect->left = head.count;
    inspect->more = head.more != 0;
    calls_clear(&client->call);
    return SPN_OK;
}

static struct spn_session session_of(const struct wire_session_row *row)
{
    return (struct spn_session){.name = row->name,
                                .last_id = row->last_id,
                                .epoch = row->epoch,
                                .seq = row->seq,
                                .markers = row->markers,
                                .position = row->position,
                                .bytes = row->bytes,
                                .opened_ms = row->opened_ms,
                                .last_ms = row->last_ms,
                                .duplicates = row->duplicates,
                                .conflicts = row->conflicts,
                                .state = (spn_session_state)row->state};
}

static spn_err next_row(struct spn_client *client, struct spn_session *ret_session)
{
    struct inspect *inspect = client->inspect;
    struct wire_session_row row;
    wire_get_session_row(&inspect->rows, &row);
    inspect->left--;
    if (inspect->rows.bad || row.name.size == 0) {
        inspect->left = 0;
        return bad_answer(client);
    }
    keep(row.name, inspect->name, &inspect->name_size);
    *ret_session = session_of(&row);
    return SPN_OK;
}

spn_err spn_next_session(spn_client *client, struct spn_bytes after, struct spn_bytes prefix,
                         int timeout_ms, struct spn_session *ret_session)
{
    spn_err err = prepare(client, ret_session);
    if (err != SPN_OK)
        return err;
    if ((after.data == NULL && after.size > 0) || (prefix.data == NULL && prefix.size > 0))
        return client_fail(client, SPN_E_INVALID, NULL);
    if (after.size > WIRE_SESSION_MAX || prefix.size > WIRE_SESSION_MAX)
        return client_fail(client, SPN_E_BAD_SESSION, NULL);
    struct inspect *inspect = client->inspect;
    bool goes_on = after.size > 0 && same(after, inspect->name, inspect->name_size) &&
                   same(prefix, inspect->prefix, inspect->prefix_size);
    if (!goes_on || inspect->left == 0) {
        bool at_end = goes_on && !inspect->more;
        keep(after, inspect->name, &inspect->name_size); /* it may point into the page */
        keep(prefix, inspect->prefix, &inspect->prefix_size);
        if (at_end) {
            inspect->name_size = 0; /* the next walk requests a page again */
            return client_fail(client, SPN_E_END, NULL);
        }
        err = fetch_page(client, timeout_ms);
        if (err != SPN_OK)
            return err;
    }
    if (inspect->left == 0)
        return client_fail(client, SPN_E_END, NULL);
    return next_row(client, ret_session);
}

/* The bytes that are lent stay in the answer. */
spn_err spn_get_session(spn_client *client, struct spn_bytes name, int timeout_ms,
                        struct spn_session_info *ret_info)
{
    uint8_t bytes[TEXT_SIZE];
    struct wire_out body = wire_out(bytes, sizeof(bytes));
    const struct client_question question = {WIRE_INFO, WIRE_INFO_IS, &body};
    struct wire_info_is info;
    struct wire_in in;
    spn_err err = client_check_for(client, ret_info);
    if (err != SPN_OK)
        return err;
    err = wire_check_session(name);
    if (err != SPN_OK)
        return client_fail(client, err, NULL);
    wire_put_info(&body, name); /* before the clear: name may lie in the previous answer */
    calls_clear(&client->call);
    err = client_ask(client, &client->call, &question, client_deadline(client, timeout_ms), &in);
    if (err != SPN_OK)
        return err;
    wire_get_info_is(&in, &info);
    if (!wire_in_done(&in) || info.row.name.size == 0)
        return bad_answer(client);
    *ret_info = (struct spn_session_info){
        .session = session_of(&info.row), .first_seq = info.first_seq, .markers = info.markers};
    return SPN_OK;
}

/* -- health and counters ----------------------------------------------------------------------- */

static const char *keep_text(struct spn_bytes from, char text[TEXT_SIZE])
{
    if (from.size > 0)
        memcpy(text, from.data, from.size);
    text[from.size] = '\0';
    return text;
}

spn_err spn_get_health(spn_client *client, int timeout_ms, struct spn_health *ret_health)
{
    const struct client_question question = {WIRE_HEALTH, WIRE_HEALTH_IS, NULL};
    struct wire_health health;
    struct wire_in in;
    spn_err err = prepare(client, ret_health);
    if (err != SPN_OK)
        return err;
    calls_clear(&client->call);
    err = client_ask(client, &client->call, &question, client_deadline(client, timeout_ms), &in);
    if (err != SPN_OK)
        return err;
    wire_get_health(&in, &health);
    if (!wire_in_done(&in))
        return bad_answer(client);
    *ret_health = (struct spn_health){
        .status = (spn_status)health.status,
        .reason = keep_text(health.reason, client->inspect->reason),
        .version = keep_text(health.version, client->inspect->version),
        .pid = health.pid,
        .instance = health.instance,
        .uptime_ms = health.uptime_ms,
        .durable = health.durable,
        .checkpoint = health.checkpoint,
    };
    return SPN_OK;
}

/* One block: the counters, then their names with a NUL each. The names take less room than on the
 * wire, where each also has a length byte and a value of eight bytes. */
static spn_err keep_stats(struct spn_client *client, struct wire_in in, uint32_t count)
{
    struct inspect *inspect = client->inspect;
    size_t left = (size_t)(in.end - in.at);
    if (count > left / STAT_SIZE_MIN)
        return bad_answer(client);
    struct spn_stat *stats = malloc(count * sizeof(*stats) + left + 1);
    if (stats == NULL)
        return client_fail(client, SPN_E_NOMEM, NULL);
    char *names = (char *)(stats + count);
    for (uint32_t i = 0; i < count && !in.bad; i++) {
        struct wire_stat stat;
        wire_get_stat(&in, &stat);
        if (stat.name.size > 0)
            memcpy(names, stat.name.data, stat.name.size);
        names[stat.name.size] = '\0';
        stats[i] = (struct spn_stat){.name = names, .value = stat.value};
        names += stat.name.size + 1;
    }
    if (!wire_in_done(&in)) {
        free(stats);
        return bad_answer(client);
    }
    free(inspect->stats);
    inspect->stats = stats;
    return SPN_OK;
}

spn_err spn_get_stats(spn_client *client, int timeout_ms, const struct spn_stat **ret_stats,
                      size_t *ret_count)
{
    const struct client_question question = {WIRE_STATS, WIRE_STATS_ARE, NULL};
    struct wire_stats_are head;
    struct wire_in in;
    spn_err err = prepare(client, ret_stats != NULL ? (const void *)ret_count : NULL);
    if (err != SPN_OK)
        return err;
    calls_clear(&client->call);
    err = client_ask(client, &client->call, &question, client_deadline(client, timeout_ms), &in);
    if (err != SPN_OK)
        return err;
    wire_get_stats_are(&in, &head);
    if (in.bad)
        return bad_answer(client);
    err = keep_stats(client, in, head.count);
    if (err != SPN_OK)
        return err;
    *ret_stats = client->inspect->stats;
    *ret_count = head.count;
    return SPN_OK;
}
