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

#include "sponson.h"

enum { WAIT_MS = 12000, LINE_SIZE = 1 << 16, WORDS_MAX = 16, READERS_MAX = 8, TEXT_MAX = 256 };

struct reader {
    char name[32];
    spn_subscription *subscription;
};

static spn_client *client;
static spn_producer *producer;
static spn_level level;
static struct reader readers[READERS_MAX];
static size_t reader_count;

/* -- words ------------------------------------------------------------------------------------- */

/* Decodes in place. `-` is nothing. */
static struct spn_bytes bytes_of(char *word)
{
    char *to = word;
    if (word == NULL || strcmp(word, "-") == 0)
        return (struct spn_bytes){NULL, 0};
    for (const char *from = word; *from != '\0'; from++) {
        char pair[3] = {0};
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        memcpy(pair, from + 1, 2);
        *to++ = (char)strtoul(pair, NULL, 16);
        from += 2;
    }
    return (struct spn_bytes){word, (size_t)(to - word)};
}

static void put_bytes(struct spn_bytes bytes)
{
    const unsigned char *at = bytes.data;
    putchar(' ');
    if (bytes.size == 0)
        putchar('-');
    for (size_t i = 0; i < bytes.size; i++)
        if (at[i] > 0x20 && at[i] < 0x7f && at[i] != '%' && at[i] != '$')
            putchar(at[i]);
        else
            printf("%%%02x", at[i]);
}

static void put_outcome(spn_err err)
{
    if (err == SPN_OK)
        puts("ok");
    else
        printf("error %d\n", err);
}

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

/* publish SESSION ID TYPE DATA */
static void run_publish(char **words)
{
    uint64_t ticket = 0;
    struct spn_event event = SPN_EVENT_INIT;
    event.id = bytes_of(words[2]);
    event.type = bytes_of(words[3]);
    event.data = bytes_of(words[4]);
    spn_err err = spn_publish(producer, bytes_of(words[1]), &event, &ticket);
    put_ticket(err, ticket);
}

static void run_close(char **words)
{
    uint64_t ticket = 0;
    spn_err err = spn_session_close(producer, bytes_of(words[1]), 0, &ticket);
    put_ticket(err, ticket);
}

static void run_delete(char **words)
{
    uint64_t ticket = 0;
    spn_err err = spn_session_delete(producer, bytes_of(words[1]), 0, &ticket);
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

/* once SESSION ID TYPE DATA LEVEL */
static void run_once(char **words)
{
    const struct spn_published *published;
    struct spn_event event = SPN_EVENT_INIT;
    event.id = bytes_of(words[2]);
    event.type = bytes_of(words[3]);
    event.data = bytes_of(words[4]);
    spn_level once = strcmp(words[5], "accepted") == 0 ? SPN_ACCEPTED : SPN_DURABLE;
    spn_err err = spn_publish_once(client, bytes_of(words[1]), &event, once, WAIT_MS, &published);
    if (err == SPN_OK)
        printf("published %s %d %llu\n", spn_result_name(published->result), published->code,
               (unsigned long long)published->seq);
    else
        put_outcome(err);
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
    printf(" %llu\n", (unsigned long long)info->first_seq);
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
    for (size_t i = 0; i < sizeof(options->after_life.bytes); i++) {
        char pair[3] = {word[4 + 2 * i], word[5 + 2 * i], '\0'};
        options->after_life.bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    options->after_seq = strtoull(strchr(word, ':') + 1, NULL, 10);
}

/* subscribe NAME SESSION START fail|restart|wait|restart+wait [WINDOW] */
static void run_subscribe(char **words)
{
    struct spn_subscription_options options = {.size = sizeof(options)};
    struct reader *reader = &readers[reader_count];
    if (reader_count == READERS_MAX) {
        put_outcome(SPN_E_TOO_MANY);
        return;
    }
    read_start(words[3], &options);
    options.otherwise = (strstr(words[4], "restart") != NULL ? SPN_RESTART : 0U) |
                        (strstr(words[4], "wait") != NULL ? SPN_WAIT : 0U);
    options.window_bytes = words[5] != NULL ? strtoul(words[5], NULL, 10) : 0;
    spn_err err = spn_subscribe(&reader->subscription, client, bytes_of(words[2]), &options);
    if (err == SPN_OK) {
        snprintf(reader->name, sizeof(reader->name), "%s", words[1]);
        reader_count++;
    }
    put_outcome(err);
}

static struct reader *reader_of(const char *name)
{
    for (size_t i = 0; i < reader_count; i++)
        if (strcmp(readers[i].name, name) == 0)
            return &readers[i];
    fprintf(stderr, "no subscription %s\n", name);
    exit(2);
}

static const char *why_word(spn_err why)
{
    switch (why) {
    case SPN_E_UNKNOWN_ID:
        return "unknown-id";
    case SPN_E_UNKNOWN_SESSION:
        return "unknown-session";
    case SPN_E_OTHER_LIFE:
        return "other-life";
    case SPN_E_CLOSED:
        return "closed";
    case SPN_E_DELETED:
        return "deleted";
    case SPN_E_CORRUPT:
        return "damaged";
    case SPN_E_IO:
        return "failed";
    case SPN_E_PROTOCOL:
        return "broken";
    default:
        return "refused";
    }
}

/* A refusal has its code. */
static void put_end(spn_err why)
{
    const char *word = why_word(why);
    if (strcmp(word, "refused") == 0)
        printf("end %s %d\n", word, why);
    else
        printf("end %s\n", word);
}

static const char *verdict_word(spn_err why)
{
    return why == SPN_OK ? "resumed" : why == SPN_E_TRIMMED ? "trimmed" : why_word(why);
}

static void put_event(const struct spn_event *event)
{
    static const char *const kinds[] = {"event", "marker", "reset"};
    printf("%s %llu", kinds[event->kind], (unsigned long long)event->seq);
    put_bytes(event->id);
    if (event->kind == SPN_EVENT) {
        put_bytes(event->type);
        put_bytes(event->data);
    }
    putchar('\n');
}

static void put_item(const struct spn_item *item)
{
    unsigned long long missing = (unsigned long long)item->missing;
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
        printf("verdict %s %llu\n", verdict_word(item->why), missing);
        break;
    case SPN_ITEM_EVENT:
        put_event(item->event);
        break;
    case SPN_ITEM_GAP:
        printf("gap %llu\n", missing);
        break;
    case SPN_ITEM_END:
        put_end(item->why);
        break;
    default: /* is not of a session's subscription */
        break;
    }
}

static void run_next(char **words)
{
    const struct spn_item *item;
    spn_subscription *subscription = reader_of(words[1])->subscription;
    spn_err err = spn_subscription_next(subscription, WAIT_MS, &item);
    while (err == SPN_OK && item->kind == SPN_ITEM_CAUGHT_UP) /* is not the protocol's */
        err = spn_subscription_next(subscription, WAIT_MS, &item);
    if (err == SPN_OK)
        put_item(item);
    else
        put_outcome(err);
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
    {"once", 6, run_once},
    {"leave", 1, run_leave},
    {"limits", 1, run_limits},
    {"last", 2, run_last},
    {"info", 2, run_info},
    {"sessions", 2, run_sessions},
    {"replay", 3, run_replay},
    {"subscribe", 5, run_subscribe},
    {"unsubscribe", 2, run_unsubscribe},
    {"next", 2, run_next},
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
