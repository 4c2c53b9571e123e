/* SPDX-License-Identifier: Apache-2.0 */
#include "http/gateway.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "http/access_log.h"
#include "token/key_file.h"

/* What one turn does before others have theirs. An item counts as its bytes and some for itself. */
enum {
    TURN_BYTES = 4 * 1024 * 1024,
    ITEM_BYTES = 1024,
    FED_PER_TURN = 1024,
    FED_AT_ONCE = 64, /* members that write between two looks at how much they have written */
};

enum { FIXED_WAITERS = 3 }; /* memory, the probe and the service manager's */

enum { READ_PART = 8 /* of --memory may wait in the library, beside it */ };

#define PRESSED_EVERY_NS UINT64_C(1000000000) /* streams wait for memory: between two calls */

#define PROBE_NS UINT64_C(2000000000)   /* between two questions whether the daemon is there */
#define SILENCE_NS UINT64_C(5000000000) /* after which it is gone */

uint64_t gateway_now_ns(void)
{
    return clock_monotonic_ns();
}

void gateway_wait(struct gateway *gateway, struct waiter *waiter, uint64_t after_ns)
{
    deadline_heap_remove(&gateway->deadlines, &waiter->deadline);
    if (after_ns > 0)
        deadline_heap_insert(&gateway->deadlines, &waiter->deadline, gateway_now_ns() + after_ns);
}

/* -- is the daemon there? ---------------------------------------------------------------------- */

static void probe_due(struct waiter *waiter)
{
    struct gateway *gateway = LINK_OWNER(waiter, struct gateway, probe);
    if (gateway->probe_question == NULL &&
        spn_ask_health(&gateway->probe_question, gateway->client) == SPN_OK)
        spn_question_set_context(gateway->probe_question, waiter);
    if (gateway->probe_question == NULL)
        gateway_wait(gateway, waiter, PROBE_NS);
}

static void probe_answered(struct waiter *waiter, spn_question *question)
{
    struct gateway *gateway = LINK_OWNER(waiter, struct gateway, probe);
    const struct spn_health *health;
    if (spn_answer_health(question, &health) == SPN_OK)
        gateway->heard_ns = gateway_now_ns();
    spn_question_close(question);
    gateway->probe_question = NULL;
    gateway_wait(gateway, waiter, PROBE_NS);
}

bool gateway_hears_daemon(const struct gateway *gateway)
{
    return gateway->heard_ns > 0 && gateway_now_ns() - gateway->heard_ns < SILENCE_NS;
}

/* -- memory ------------------------------------------------------------------------------------ */

static bool streams_wait(const struct gateway *gateway)
{
    return !link_alone(&gateway->memory[MEMORY_STREAMS].waiting);
}

static void pressed_due(struct waiter *waiter)
{
    struct gateway *gateway = LINK_OWNER(waiter, struct gateway, pressed);
    if (streams_wait(gateway))
        gateway->on_pressed(gateway);
}

static void serve_memory(struct gateway *gateway)
{
    memory_turn(&gateway->memory[MEMORY_STREAMS]);
    if (streams_wait(gateway) && gateway->pressed.deadline.index == DEADLINE_ABSENT)
        gateway_wait(gateway, &gateway->pressed, PRESSED_EVERY_NS);
}

/* -- start and end ----------------------------------------------------------------------------- */

bool gateway_read_keys(struct gateway *gateway, char *ret_why, size_t why_size)
{
    struct keys *keys = NULL;
    char why[KEYS_WHY_SIZE] = "";
    if (gateway->options->key_file == NULL)
        return true;
    spn_err err = key_file_read(gateway->options->key_file, &keys, why);
    if (err != SPN_OK) {
        char words[128];
        (void)snprintf(ret_why, why_size, "%s: %s", gateway->options->key_file,
                       why[0] != '\0' ? why : strerror_r(errno, words, sizeof(words)));
        return false;
    }
    keys_free(gateway->keys);
    gateway->keys = keys;
    return true;
}

/* One id is kept; that of the other producer follows from it. */
static void init_lanes(struct gateway *gateway, const struct gateway_parts *parts)
{
    bool has_id = gateway->state.fd >= 0;
    uint8_t other[STATE_DIR_ID_SIZE];
    memcpy(other, gateway->state.id, sizeof(other));
    other[0] ^= 1;
    lane_init(&gateway->durable, gateway->client, SPN_DURABLE, has_id ? gateway->state.id : NULL,
              &parts->lane);
    lane_init(&gateway->accepted, gateway->client, SPN_ACCEPTED, has_id ? other : NULL,
              &parts->lane);
}

spn_err gateway_open(struct gateway *gateway, const struct http_options *options,
                     const struct gateway_parts *parts, const struct web_door *doors,
                     size_t doors_count, char *ret_detail, size_t detail_size)
{
    *gateway = (struct gateway){.options = options, .state = {.fd = -1}};
    link_init(&gateway->streams);
    link_init(&gateway->posts);
    link_init(&gateway->polls);
    ds_states_init(&gateway->ds_states);
    link_init(&gateway->publishers);
    size_t waiters_max = (size_t)options->connections_max * doors_count;
    memory_init(gateway->memory, options->memory_max);
    gateway->on_pressed = parts->pressed;
    gateway->pressed = (struct waiter){.deadline = DEADLINE_INIT, .on_due = pressed_due};
    gateway->probe = (struct waiter){
        .deadline = DEADLINE_INIT, .on_due = probe_due, .on_answer = probe_answered};
    if (options->state_dir != NULL &&
        !state_dir_open(&gateway->state, options->state_dir, ret_detail, detail_size))
        return SPN_E_INVALID;
    if (!gateway_read_keys(gateway, ret_detail, detail_size)) {
        state_dir_close(&gateway->state);
        return SPN_E_INVALID;
    }
    spn_err err = deadline_heap_init(&gateway->deadlines, waiters_max + FIXED_WAITERS);
    if (err == SPN_OK)
        err = places_init(&gateway->sessions, random_fill);
    if (err == SPN_OK)
        err = places_init(&gateway->tokens, random_fill);
    if (err == SPN_OK)
        err = feeds_init(&gateway->feeds, &gateway->memory[MEMORY_STREAMS]);
    const struct spn_client_options client_options = {
        .size = sizeof(client_options),
        .socket_dir = options->socket_dir,
        .read_bytes_max = options->memory_max / READ_PART,
        .questions_max = waiters_max + 1,
    };
    if (err == SPN_OK)
        err = spn_client_begin(&gateway->client, &client_options, ret_detail, detail_size);
    const struct web_options web_options = {
        .connections_max = options->connections_max,
        .header_limit = options->header_limit,
        .header_ns = options->header_ns,
        .body_idle_ns = options->body_idle_ns,
        .body_rate = options->body_rate,
        .stall_ns = options->stall_ns,
        .now_ns = gateway_now_ns,
        .begin = parts->begin,
        .slow = parts->slow,
        .over = options->access_log ? access_log_over : NULL,
        .context = gateway,
    };
    init_lanes(gateway, parts);
    if (err == SPN_OK)
        err = web_open(&gateway->web, &web_options, doors, doors_count);
    if (err == SPN_OK)
        probe_due(&gateway->probe);
    else
        gateway_close(gateway);
    return err;
}

void gateway_close(struct gateway *gateway)
{
    web_close(gateway->web);
    ds_states_release(&gateway->ds_states);
    lane_release(&gateway->accepted);
    lane_release(&gateway->durable);
    spn_question_close(gateway->probe_question);
    spn_client_close(gateway->client);
    feeds_release(&gateway->feeds);
    keys_free(gateway->keys);
    deadline_heap_release(&gateway->deadlines);
    places_release(&gateway->sessions);
    places_release(&gateway->tokens);
    state_dir_close(&gateway->state);
}

/* -- a turn ------------------------------------------------------------------------------------ */

/* How long poll may wait: until the first deadline of the requests or of the web. */
static int wait_ms(const struct gateway *gateway)
{
    const struct deadline *first = deadline_heap_first(&gateway->deadlines);
    uint64_t due_ns = web_due_ns(gateway->web);
    if (first != NULL && first->due_ns < due_ns)
        due_ns = first->due_ns;
    if (feeds_are_due(&gateway->feeds) || memory_is_due(&gateway->memory[MEMORY_STREAMS]))
        return 0;
    if (due_ns == UINT64_MAX)
        return -1;
    uint64_t now_ns = gateway_now_ns();
    uint64_t left_ms = due_ns <= now_ns ? 0 : (due_ns - now_ns) / 1000000 + 1;
    return left_ms > 1000000 ? 1000000 : (int)left_ms;
}

/* What is left makes the client's descriptor readable. */
static void take_items(struct gateway *gateway)
{
    spn_subscription *subscription;
    const struct spn_item *item;
    size_t bytes;
    for (size_t taken = 0; taken < TURN_BYTES; taken += ITEM_BYTES) {
        if (spn_next_ready(gateway->client, &subscription, &bytes) != SPN_OK)
            return;
        struct taker *taker = spn_subscription_context(subscription);
        if (taker->may_take != NULL && !taker->may_take(taker, bytes))
            continue;
        if (spn_subscription_next(subscription, 0, &item) != SPN_OK)
            continue;
        taken += item->event != NULL ? item->event->data.size : 0;
        taker->on_item(taker, item);
    }
}

static void feed(struct gateway *gateway)
{
    uint64_t end = gateway->counts.bytes_written + TURN_BYTES;
    unsigned fed = 0;
    unsigned some;
    do {
        some = feeds_turn(&gateway->feeds, FED_AT_ONCE);
        fed += some;
    } while (some == FED_AT_ONCE && fed < FED_PER_TURN && gateway->counts.bytes_written < end);
}

static void take_answers(struct gateway *gateway)
{
    spn_question *question;
    while (spn_next_answered(gateway->client, 0, &question) == SPN_OK) {
        struct waiter *waiter = spn_question_context(question);
        waiter->on_answer(waiter, question);
    }
}

static void take_due(struct gateway *gateway)
{
    struct deadline *due;
    uint64_t now_ns = gateway_now_ns();
    while ((due = deadline_heap_pop(&gateway->deadlines, now_ns)) != NULL) {
        struct waiter *waiter = LINK_OWNER(due, struct waiter, deadline);
        waiter->on_due(waiter);
    }
}

spn_err gateway_turn(struct gateway *gateway, int stop_fd, bool *ret_signal)
{
    struct pollfd fds[] = {
        {.fd = web_fd(gateway->web), .events = POLLIN},
        {.fd = spn_client_fd(gateway->client), .events = POLLIN},
        {.fd = stop_fd, .events = POLLIN},
    };
    int count = poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms(gateway));
    *ret_signal = count > 0 && fds[2].revents != 0;
    spn_err err = spn_client_step(gateway->client);
    if (err == SPN_OK)
        err = lane_turn(&gateway->accepted);
    if (err == SPN_OK)
        err = lane_turn(&gateway->durable);
    take_answers(gateway);
    serve_memory(gateway);
    take_items(gateway);
    feed(gateway);
    take_due(gateway);
    web_turn(gateway->web);
    return err;
}
