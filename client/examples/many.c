/* SPDX-License-Identifier: Apache-2.0 */
/* many: many readers on one client, in one thread, in one epoll loop beside other descriptors.
 *
 *     ... | many EVENTS      each line is "SESSION" or "SESSION LAST-EVENT-ID": one reader more
 *     cc many.c -o many $(pkg-config --cflags --libs sponson)
 *
 * Writes each event as "READER SESSION ID DATA", and ends after EVENTS events, or when no reader
 * and no input is left. The readers share one connection to the sidecar and one descriptor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <sponson.h>

enum {
    ITEMS_MAX = 256, /* taken in one turn: then the other descriptors are looked at again */
};

/* What the app knows of a subscription: its context. */
struct reader {
    unsigned long number;
    char session[256];
    spn_subscription *events;
    struct reader *before, *next;
};

struct app {
    spn_client *client;
    int epoll;
    bool input_open;
    struct reader *readers;
    unsigned long opened; /* so far */
    unsigned long events_left;
    char input[4096];
    size_t input_size;
};

static void close_reader(struct app *app, struct reader *reader)
{
    spn_unsubscribe(reader->events);
    if (reader->before != NULL)
        reader->before->next = reader->next;
    else
        app->readers = reader->next;
    if (reader->next != NULL)
        reader->next->before = reader->before;
    free(reader);
}

static spn_err open_reader(struct app *app, const char *line)
{
    struct spn_subscription_options options = {.size = sizeof(options), .otherwise = SPN_RESTART};
    struct reader *reader = calloc(1, sizeof(*reader));
    size_t name_size = strcspn(line, " ");
    if (reader == NULL)
        return SPN_E_NOMEM;
    if (name_size >= sizeof(reader->session)) {
        free(reader);
        return SPN_E_BAD_SESSION;
    }
    reader->number = ++app->opened;
    snprintf(reader->session, sizeof(reader->session), "%.*s", (int)name_size, line);
    if (line[name_size] == ' ' && line[name_size + 1] != '\0') {
        options.start = SPN_AFTER_ID;
        options.after = spn_text(line + name_size + 1);
    }
    spn_err err = spn_subscribe(&reader->events, app->client, spn_text(reader->session), &options);
    if (err != SPN_OK) {
        free(reader);
        return err;
    }
    spn_subscription_set_context(reader->events, reader);
    reader->next = app->readers;
    if (reader->next != NULL)
        reader->next->before = reader;
    app->readers = reader;
    return SPN_OK;
}

/* Opens a reader for each whole line that has come. */
static spn_err read_input(struct app *app)
{
    ssize_t got =
        read(STDIN_FILENO, app->input + app->input_size, sizeof(app->input) - 1 - app->input_size);
    if (got <= 0) { /* the end, or a line that is too long */
        app->input_open = false;
        return epoll_ctl(app->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL) == 0 ? SPN_OK
                                                                             : SPN_E_SYSTEM;
    }
    app->input_size += (size_t)got;
    app->input[app->input_size] = '\0';
    spn_err err = SPN_OK;
    char *line = app->input;
    for (char *end; err == SPN_OK && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        err = open_reader(app, line);
    }
    app->input_size -= (size_t)(line - app->input);
    memmove(app->input, line, app->input_size);
    return err;
}

/* The context says whose item it is; a server would find its connection there. */
static void take_item(struct app *app, struct reader *reader, const struct spn_item *item)
{
    const struct spn_event *event = item->event;
    switch (item->kind) {
    case SPN_ITEM_EVENT:
        printf("%lu %s %.*s %.*s\n", reader->number, reader->session, (int)event->id.size,
               (const char *)event->id.data, (int)event->data.size, (const char *)event->data.data);
        app->events_left--;
        break;
    case SPN_ITEM_GAP:
        printf("%lu %s: %llu events are gone\n", reader->number, reader->session,
               (unsigned long long)item->missing);
        break;
    case SPN_ITEM_END:
        printf("%lu %s: %s\n", reader->number, reader->session, spn_err_text(item->why));
        close_reader(app, reader);
        break;
    default: /* a verdict, or it has caught up */
        break;
    }
}

/* Whoever has items gets its turn: spn_next_of_any goes round. *ret_more: there may be more, which
 * the client's descriptor does not show, because they have been received already. */
static spn_err take_items(struct app *app, bool *ret_more)
{
    spn_err err = SPN_OK;
    int count = 0;
    while (app->events_left > 0 && count++ < ITEMS_MAX) {
        spn_subscription *subscription;
        const struct spn_item *item;
        err = spn_next_of_any(app->client, 0, &subscription, &item);
        if (err != SPN_OK)
            break;
        take_item(app, spn_subscription_context(subscription), item);
    }
    *ret_more = err == SPN_OK;
    return err == SPN_E_TIMEOUT || err == SPN_E_END ? SPN_OK : err;
}

static spn_err turn(struct app *app, bool *more)
{
    struct epoll_event ready[2];
    int count = epoll_wait(app->epoll, ready, 2, *more ? 0 : -1);
    if (count < 0)
        return errno == EINTR ? SPN_OK : SPN_E_SYSTEM;
    spn_err err = SPN_OK;
    for (int i = 0; i < count && err == SPN_OK; i++)
        err = ready[i].data.fd == STDIN_FILENO ? read_input(app) : spn_client_step(app->client);
    return err == SPN_OK ? take_items(app, more) : err;
}

int main(int argc, char **argv)
{
    char detail[256];
    struct app app = {.epoll = epoll_create1(EPOLL_CLOEXEC), .input_open = true};
    struct epoll_event input = {.events = EPOLLIN, .data.fd = STDIN_FILENO};
    app.events_left = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    spn_err err = spn_client_open(&app.client, NULL, 2000, detail, sizeof(detail));
    if (err == SPN_OK) {
        int fd = spn_client_fd(app.client);
        struct epoll_event client = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(app.epoll, EPOLL_CTL_ADD, fd, &client) != 0 ||
            epoll_ctl(app.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0) /* not for a file */
            err = SPN_E_SYSTEM;
    }
    bool more = false;
    while (err == SPN_OK && app.events_left > 0 && (app.input_open || app.readers != NULL))
        err = turn(&app, &more);
    if (err != SPN_OK)
        fprintf(stderr, "%s: %s\n", spn_err_name(err),
                app.client ? spn_client_detail(app.client) : detail);
    for (struct reader *reader = app.readers, *next; reader != NULL; reader = next) {
        next = reader->next;
        close_reader(&app, reader);
    }
    spn_client_close(app.client);
    close(app.epoll);
    return err == SPN_OK ? 0 : 1;
}
