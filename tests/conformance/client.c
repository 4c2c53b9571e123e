/* SPDX-License-Identifier: Apache-2.0 */
/* conformance-client: libsponson behind the lines of README.md, for sponson-conformance.
 *
 * Between lines it does what an app's loop does: it steps the client when its descriptor is
 * readable.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_words.h"

enum {
    WAIT_MS = CLIENT_WAIT_MS,
    LINE_SIZE = 1 << 16,
    WORDS_MAX = 16,
    READERS_MAX = 8,
    TEXT_MAX = 256
};

struct reader {
    char name[32];
    spn_subscription *subscription;
};

static spn_client *client;
static spn_producer *producer;
static spn_level level;
static struct reader readers[READERS_MAX];
static size_t reader_count;

/* -- publishing -------------------------------------------------------------------------------- */

static void run_connect(char **words)
{
    (void)words;
    char detail[256];
    struct spn_client_options options = {.size = sizeof(options)};
    put_outcome(spn_client_open(&client, &options, WAIT_MS, detail, sizeof(detail)));
}

/* producer LEVEL [ID] */
static void run_producer(char **words)
{
    uint8_t id[SPN_PRODUCER_ID_SIZE];
    struct spn_producer_options options = spn_producer_defaults();
    level = strcmp(words[1], "none") == 0       ? SPN_NONE
            : strcmp(words[1], "accepted") == 0 ? SPN_ACCEPTED
                                                : SPN_DURABLE;
    options.level = level;
    for (size_t i = 0; words[2] != NULL && i < sizeof(id); i++) {
        char pair[3] = {words[2][2 * i], words[2][2 * i + 1], '\0'};
        id[i] = (uint8_t)strtoul(pair, NULL, 16);
        options.id = id;
    }
    spn_err err = spn_producer_open(&producer, client, &options, WAIT_MS);
    if (err == SPN_OK)
        printf("ok %llu\n", (unsigned long long)spn_producer_committed(producer));
    else
        put_outcome(err);
}

static void put_ticket(spn_err err, uint64_t ticket)
{
    if (err == SPN_OK)
        printf("ticket %llu\n", (unsigned long long)ticket);
    else
        put_outcome(err);
}

static struct spn_event event_of(char **words, const struct extra *extra)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.id = bytes_of(words[0]);
    event.type = bytes_of(words[1]);
    event.data = bytes_of(words[2]);
    event.note = extra->note;
    return event;
}

/* publish SESSION ID TYPE DATA ... */
static void run_publish(char **words)
{
    uint64_t ticket = 0;
    struct extra extra;
    read_extra(words + 5, &extra);
    struct spn_event event = event_of(words + 2, &extra);
    spn_err err = spn_publish_with(producer, bytes_of(words[1]), &event, &extra.options, &ticket);
    put_ticket(err, ticket);
}

static void run_close(char **words)
{
    uint64_t ticket = 0;
    struct extra extra;
    read_extra(words + 2, &extra);
    extra.options.closes = false;
    spn_err err = spn_session_close_with(producer, bytes_of(words[1]), &extra.options, &ticket);
    put_ticket(err, ticket);
}

static void run_delete(char **words)
{
    uint64_t ticket = 0;
    struct extra extra;
    read_extra(words + 2, &extra);
    spn_err err = spn_session_delete_with(producer, bytes_of(words[1]), &extra.options, &ticket);
    put_ticket(err, ticket);
}

static void run_touch(char **words)
{
    uint64_t ticket = 0;
    struct extra extra;
    read_extra(words + 2, &extra);
    spn_err err = spn_session_touch(producer, bytes_of(words[1]), &extra.options, &ticket);
    put_ticket(err, ticket);
}

/* TTL_MS IDLE_CLOSE_MS CONTENT_TYPE NOTE */
static struct spn_attributes attributes_of(char **words)
{
    struct spn_attributes attributes = {.size = sizeof(attributes)};
    attributes.ttl_ms = strtoull(words[0], NULL, 10);
    attributes.idle_close_ms = strtoull(words[1], NULL, 10);
    attributes.content_type = bytes_of(words[2]);
    attributes.note = bytes_of(words[3]);
    return attributes;
}

/* set SESSION TTL_MS IDLE_CLOSE_MS CONTENT_TYPE NOTE ... */
static void run_set(char **words)
{
    uint64_t ticket = 0;
    struct extra extra;
    read_extra(words + 6, &extra);
    struct spn_attributes attributes = attributes_of(words + 2);
    spn_err err =
        spn_session_set(producer, bytes_of(words[1]), &attributes, &extra.options, &ticket);
    put_ticket(err, ticket);
}

static void run_send(char **words)
{
    (void)words;
    spn_err err = spn_producer_flush(producer, 0);
    put_outcome(err == SPN_E_TIMEOUT ? SPN_OK : err);
}

static void run_flush(char **words)
{
    (void)words;
    put_outcome(spn_producer_flush(producer, WAIT_MS));
}

/* At level none nothing is outstanding, and a refusal may come all the same. False: none came. */
static bool wait_for_refusal(void)
{
    struct pollfd readable = {.fd = spn_client_fd(client), .events = POLLIN};
    return level == SPN_NONE && poll(&readable, 1, WAIT_MS) > 0 &&
           spn_client_step(client) == SPN_OK;
}

static void run_result(char **words)
{
    (void)words;
    const struct spn_ack *ack;
    spn_err err;
    do
        err = spn_producer_next_ack(producer, WAIT_MS, &ack);
    while (err == SPN_E_END && wait_for_refusal());
    if (err == SPN_OK)
        printf("result %llu %s %d\n", (unsigned long long)ack->ticket, spn_result_name(ack->result),
               ack->code);
    else if (err == SPN_E_END)
        puts("none");
    else
        put_outcome(err);
}

static void put_published(spn_err err, const struct spn_published *published)
{
    if (err != SPN_OK) {
        put_outcome(err);
        return;
    }
    printf("published %s %d %llu", spn_result_name(published->result), published->code,
           (unsigned long long)published->seq);
    put_life(published->life.bytes);
    putchar('\n');
}

/* once SESSION ID TYPE DATA LEVEL ... */
static void run_once(char **words)
{
    const struct spn_published *published = NULL;
    struct extra extra;
    read_extra(words + 6, &extra);
    struct spn_event event = event_of(words + 2, &extra);
    spn_level once = strcmp(words[5], "accepted") == 0 ? SPN_ACCEPTED : SPN_DURABLE;
    spn_err err = spn_publish_once_with(client, bytes_of(words[1]), &event, &extra.options, once,
                                        extra.within_ms, &published);
    put_published(err, published);
}

static void run_once_close(char **words)
{
    const struct spn_published *published = NULL;
    struct extra extra;
    read_extra(words + 2, &extra);
    extra.options.closes = false;
    spn_err err = spn_close_once_with(client, bytes_of(words[1]), &extra.options, extra.within_ms,
                                      &published);
    put_published(err, published);
}

static void run_once_delete(char **words)
{
    const struct spn_published *published = NULL;
    struct extra extra;
    read_extra(words + 2, &extra);
    spn_err err = spn_delete_once_with(client, bytes_of(words[1]), &extra.options, extra.within_ms,
                                       &published);
    put_published(err, published);
}

static void run_once_touch(char **words)
{
    const struct spn_published *published = NULL;
    struct extra extra;
    read_extra(words + 2, &extra);
    spn_err err =
        spn_touch_once(client, bytes_of(words[1]), &extra.options, extra.within_ms, &published);
    put_published(err, published);
}

/* once-set SESSION TTL_MS IDLE_CLOSE_MS CONTENT_TYPE NOTE ... */
static void run_once_set(char **words)
{
    const struct spn_published *published = NULL;
    struct extra extra;
    read_extra(words + 6, &extra);
    struct spn_attributes attributes = attributes_of(words + 2);
    spn_err err = spn_set_once(client, bytes_of(words[1]), &attributes, &extra.options,
                               extra.within_ms, &published);
    put_published(err, published);
}

static void run_leave(char **words)
{
    (void)words;
    put_outcome(spn_producer_close(producer, WAIT_MS, NULL));
    producer = NULL;
}

/* -- reading ----------------------------------------------------------------------------------- */

static void run_limits(char **words)
{
    (void)words;
    printf("limits %zu\n", spn_client_data_max(client));
}

static void run_last(char **words)
{
    const struct spn_last *last;
    spn_err err = spn_last_event(client, bytes_of(words[1]), WAIT_MS, &last);
    if (err != SPN_OK) {
        put_outcome(err);
        return;
    }
    printf("last %llu", (unsigned long long)last->seq);
    put_bytes(last->id);
    putchar('\n');
}

static void run_info(char **words)
{
    const struct spn_session_info *info;
    spn_err err = spn_get_session(client, bytes_of(words[1]), WAIT_MS, &info);
    if (err != SPN_OK) {
        put_outcome(err);
        return;
    }
    printf("info %s %llu", spn_session_state_name(info->session->state),
           (unsigned long long)info->session->seq);
    put_bytes(info->session->last_id);
    printf(" %llu", (unsigned long long)info->first_seq);
    put_named("reason", info->session->reason);
    if (info->session->ttl_ms > 0)
        printf(" ttl=%llu", (unsigned long long)info->session->ttl_ms);
    if (info->session->idle_close_ms > 0)
        printf(" idle=%llu", (unsigned long long)info->session->idle_close_ms);
    put_named("type", info->session->content_type);
    put_named("note", info->note);
    putchar('\n');
}

/* sessions PREFIX */
static void run_sessions(char **words)
{
    char name[TEXT_MAX];
    struct spn_bytes prefix = bytes_of(words[1]);
    struct spn_bytes after = {NULL, 0};
    const struct spn_session *session;
    spn_err err;
    fputs("sessions", stdout);
    while ((err = spn_next_session(client, after, prefix, WAIT_MS, &session)) == SPN_OK) {
        put_bytes(session->name);
        memcpy(name, session->name.data, session->name.size);
        after = (struct spn_bytes){name, session->name.size};
    }
    if (err != SPN_E_END)
        printf(" error %d", err);
    putchar('\n');
}

/* replay SESSION AFTER */
static void run_replay(char **words)
{
    spn_replay *replay;
    const struct spn_event *event;
    struct spn_bytes session = bytes_of(words[1]);
    spn_err err = spn_replay_open(&replay, client, session, bytes_of(words[2]), WAIT_MS);
    if (err != SPN_OK) {
        put_outcome(err);
        return;
    }
    fputs("replayed", stdout);
    while ((err = spn_replay_next(replay, WAIT_MS, &event)) == SPN_OK)
        printf(" %llu", (unsigned long long)event->seq);
    if (err != SPN_E_END)
        printf(" error %d", err);
    putchar('\n');
    spn_replay_close(replay);
}

/* id=ID, seq=LIFE:SEQ */
static void read_start(char *word, struct spn_subscription_options *options)
{
    if (strcmp(word, "now") == 0)
        options->start = SPN_NOW;
    if (strncmp(word, "id=", 3) == 0) {
        options->start = SPN_AFTER_ID;
        options->after = bytes_of(word + 3);
    }
    if (strncmp(word, "seq=", 4) != 0)
        return;
    options->start = SPN_AFTER_SEQ;
    read_life(word + 4, options->after_life.bytes);
    options->after_seq = strtoull(strchr(word, ':') + 1, NULL, 10);
}

/* NULL, with an answer: there are too many. */
static struct reader *new_reader(void)
{
    if (reader_count < READERS_MAX)
        return &readers[reader_count];
    put_outcome(SPN_E_TOO_MANY);
    return NULL;
}

static void keep_reader(struct reader *reader, const char *name, spn_err err)
{
    if (err == SPN_OK) {
        snprintf(reader->name, sizeof(reader->name), "%s", name);
        reader_count++;
    }
    put_outcome(err);
}

/* subscribe NAME SESSION START fail|restart|wait|restart+wait [WINDOW] */
static void run_subscribe(char **words)
{
    struct spn_subscription_options options = {.size = sizeof(options)};
    struct reader *reader = new_reader();
    if (reader == NULL)
        return;
    read_start(words[3], &options);
    options.otherwise = (strstr(words[4], "restart") != NULL ? SPN_RESTART : 0U) |
                        (strstr(words[4], "wait") != NULL ? SPN_WAIT : 0U);
    options.window_bytes = words[5] != NULL ? strtoul(words[5], NULL, 10) : 0;
    spn_err err = spn_subscribe(&reader->subscription, client, bytes_of(words[2]), &options);
    keep_reader(reader, words[1], err);
}

/* follow NAME PREFIX earliest|now|position=DATABASE:POSITION [WINDOW|-] [touches] */
static void run_follow(char **words)
{
    struct spn_follow_options options = {.size = sizeof(options)};
    struct reader *reader = new_reader();
    char *cursor = value_of(words[3], "position");
    if (reader == NULL)
        return;
    options.start = strcmp(words[3], "now") == 0 ? SPN_NOW : SPN_EARLIEST;
    if (cursor != NULL) {
        options.start = SPN_AFTER_POSITION;
        read_life(cursor, options.database);
        options.position = strtoull(strchr(cursor, ':') + 1, NULL, 10);
    }
    options.prefix = bytes_of(words[2]);
    if (words[4] != NULL) {
        options.window_bytes = strtoul(words[4], NULL, 10);
        options.touches = words[5] != NULL;
    }
    spn_err err = spn_follow(&reader->subscription, client, &options);
    keep_reader(reader, words[1], err);
}

static struct reader *reader_of(const char *name)
{
    for (size_t i = 0; i < reader_count; i++)
        if (strcmp(readers[i].name, name) == 0)
            return &readers[i];
    fprintf(stderr, "no subscription %s\n", name);
    exit(2);
}

static void put_next(const char *name, bool tells_caught_up)
{
    const struct spn_item *item;
    spn_subscription *subscription = reader_of(name)->subscription;
    spn_err err = spn_subscription_next(subscription, WAIT_MS, &item);
    while (err == SPN_OK && item->kind == SPN_ITEM_CAUGHT_UP && !tells_caught_up)
        err = spn_subscription_next(subscription, WAIT_MS, &item);
    if (err == SPN_OK)
        put_item(item);
    else
        put_outcome(err);
}

static void run_next(char **words)
{
    put_next(words[1], false);
}

/* The same, and it tells when the subscription has caught up. */
static void run_item(char **words)
{
    put_next(words[1], true);
}

static void run_pause(char **words)
{
    put_outcome(spn_subscription_pause(reader_of(words[1])->subscription, true));
}

static void run_resume(char **words)
{
    put_outcome(spn_subscription_pause(reader_of(words[1])->subscription, false));
}

static void run_unsubscribe(char **words)
{
    struct reader *reader = reader_of(words[1]);
    spn_unsubscribe(reader->subscription);
    *reader = readers[--reader_count];
    puts("ok");
}

/* -- lines ------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    size_t words;
    void (*run)(char **);
} commands[] = {
    {"connect", 1, run_connect},
    {"producer", 2, run_producer},
    {"publish", 5, run_publish},
    {"close", 2, run_close},
    {"delete", 2, run_delete},
    {"send", 1, run_send},
    {"flush", 1, run_flush},
    {"result", 1, run_result},
    {"touch", 2, run_touch},
    {"set", 6, run_set},
    {"once", 6, run_once},
    {"once-close", 2, run_once_close},
    {"once-delete", 2, run_once_delete},
    {"once-touch", 2, run_once_touch},
    {"once-set", 6, run_once_set},
    {"leave", 1, run_leave},
    {"limits", 1, run_limits},
    {"last", 2, run_last},
    {"info", 2, run_info},
    {"sessions", 2, run_sessions},
    {"replay", 3, run_replay},
    {"subscribe", 5, run_subscribe},
    {"unsubscribe", 2, run_unsubscribe},
    {"next", 2, run_next},
    {"follow", 4, run_follow},
    {"item", 2, run_item},
    {"pause", 2, run_pause},
    {"resume", 2, run_resume},
};

static void run_line(char *line)
{
    char *words[WORDS_MAX + 1] = {0};
    size_t count = 0;
    for (char *word = strtok(line, " "); word != NULL && count < WORDS_MAX;
         word = strtok(NULL, " "))
        words[count++] = word;
    for (size_t i = 0; count > 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].word, words[0]) == 0 && count >= commands[i].words) {
            commands[i].run(words);
            fflush(stdout);
            return;
        }
    puts("unsupported");
    fflush(stdout);
}

static void leave(void)
{
    while (reader_count > 0)
        spn_unsubscribe(readers[--reader_count].subscription);
    if (producer != NULL && spn_producer_close(producer, 0, NULL) != SPN_OK)
        producer = NULL; /* the scenario left something open */
    spn_client_close(client);
}

/* False: the input has ended, or the line was quit. */
static bool take_input(void)
{
    static char line[LINE_SIZE];
    static size_t filled;
    ssize_t got = read(STDIN_FILENO, line + filled, sizeof(line) - filled);
    if (got <= 0)
        return false;
    filled += (size_t)got;
    for (char *end = memchr(line, '\n', filled); end != NULL; end = memchr(line, '\n', filled)) {
        size_t used = (size_t)(end - line) + 1;
        *end = '\0';
        if (strcmp(line, "quit") == 0)
            return false;
        run_line(line);
        filled -= used;
        memmove(line, line + used, filled);
    }
    return true;
}

int main(void)
{
    bool more = true;
    while (more) {
        struct pollfd fds[2] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = client != NULL ? spn_client_fd(client) : -1, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0)
            break;
        if (fds[1].revents != 0 && spn_client_step(client) != SPN_OK)
            fprintf(stderr, "%s\n", spn_client_detail(client));
        if (fds[0].revents != 0)
            more = take_input();
    }
    leave();
    return 0;
}
