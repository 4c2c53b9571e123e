/* SPDX-License-Identifier: Apache-2.0 */
/* http: answers GET /SESSION with the session as text/event-stream, after Last-Event-ID if it came.
 *
 *     http PORT      on 127.0.0.1; 0: any that is free. It is printed
 *     cc http.c -o http -pthread $(pkg-config --cflags --libs sponson)
 *
 * Each connection has a thread and a client of its own; many.c shows many readers in one thread. A
 * browser that reads slowly fills its socket, and then nothing more is taken from the subscription.
 * Credit is granted for what was taken, so the sidecar stops after one window. The client still
 * gets its turns, since a subscription that is not heard of is given up. When the socket has room,
 * the handler goes on where it stopped.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sponson.h>

enum { WINDOW = 64 * 1024, WAIT_MS = 2000, IDLE_S = 15 };

struct browser {
    int fd;
    const char *request;
    char *text; /* of one event, on its way to the socket */
    size_t size, sent;
    time_t sent_s; /* when something was last sent */
};

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static struct spn_bytes session_of(const char *request)
{
    const char *path = request + strlen("GET /");
    return (struct spn_bytes){path, strcspn(path, " ?\r\n")};
}

static struct spn_bytes last_id_of(const char *request)
{
    for (const char *line = request; (line = strstr(line, "\r\n")) != NULL; line += 2)
        if (strncasecmp(line + 2, "Last-Event-ID:", 14) == 0) {
            const char *id = line + 16 + strspn(line + 16, " ");
            return (struct spn_bytes){id, strcspn(id, "\r\n")};
        }
    return (struct spn_bytes){NULL, 0};
}

/* False: some of the text is left, because the socket is full. *ret_err: the browser is gone. */
static bool send_text(struct browser *browser, spn_err *ret_err)
{
    while (browser->sent < browser->size) {
        ssize_t sent = send(browser->fd, browser->text + browser->sent,
                            browser->size - browser->sent, MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            *ret_err = SPN_E_SYSTEM;
        if (sent < 0)
            return false;
        browser->sent += (size_t)sent;
        browser->sent_s = now_s();
    }
    browser->sent = browser->size = 0;
    return true;
}

/* Called when nothing is left. event: NULL for a comment, which keeps the connection alive. */
static spn_err put(struct browser *browser, const struct spn_event *event)
{
    static const char comment[] = ":\n\n";
    size_t size = sizeof(comment) - 1;
    if (event != NULL && spn_sse_format(event, NULL, 0, &size) != SPN_E_INVALID)
        return SPN_E_INVALID; /* too small for it is what it should say, with the size */
    char *text = realloc(browser->text, size);
    if (text == NULL)
        return SPN_E_NOMEM;
    browser->text = text;
    browser->size = size;
    if (event != NULL)
        return spn_sse_format(event, text, size, &size);
    memcpy(text, comment, size);
    return SPN_OK;
}

/* Takes the next item when the socket has taken the one before. SPN_E_TIMEOUT: there is none yet;
 * SPN_E_BACKPRESSURE: the socket is full; SPN_E_END: the session ended. */
static spn_err serve(struct browser *browser, spn_subscription *events)
{
    spn_err err = SPN_OK;
    while (err == SPN_OK && send_text(browser, &err)) {
        const struct spn_item *item;
        err = spn_subscription_next(events, 0, &item);
        if (err == SPN_OK && item->kind == SPN_ITEM_EVENT)
            err = put(browser, item->event);
        else if (err == SPN_E_TIMEOUT && now_s() - browser->sent_s >= IDLE_S)
            err = put(browser, NULL);
    }
    return err == SPN_OK ? SPN_E_BACKPRESSURE : err;
}

/* Until the session ends or the browser is gone. */
static void stream(struct browser *browser, spn_client *client, spn_subscription *events)
{
    char ignored[512];
    struct pollfd fds[2] = {{.fd = browser->fd}, {.fd = spn_client_fd(client), .events = POLLIN}};
    for (;;) {
        spn_err err = serve(browser, events);
        if (err != SPN_E_TIMEOUT && err != SPN_E_BACKPRESSURE)
            return;
        fds[0].events = err == SPN_E_BACKPRESSURE ? POLLIN | POLLOUT : POLLIN;
        int count = poll(fds, 2, IDLE_S * 1000);
        if (count > 0 && fds[1].revents != 0 && spn_client_step(client) != SPN_OK)
            return;
        if (count > 0 && (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
            recv(browser->fd, ignored, sizeof(ignored), MSG_DONTWAIT) <= 0)
            return;
    }
}

/* A browser whose request is answered by 204 does not ask again: a closed session has no more. */
static const char *status_of(spn_client *client, const char *request)
{
    const struct spn_session_info *info;
    struct spn_bytes after = last_id_of(request);
    spn_err err = strncmp(request, "GET /", 5) == 0
                      ? spn_get_session(client, session_of(request), WAIT_MS, &info)
                      : SPN_E_BAD_SESSION;
    if (err != SPN_OK)
        return err == SPN_E_UNKNOWN_SESSION || err == SPN_E_BAD_SESSION ? "404 Not Found"
                                                                        : "503 Unavailable";
    bool has_all = after.size > 0 && after.size == info->session->last_id.size &&
                   memcmp(after.data, info->session->last_id.data, after.size) == 0;
    return info->session->state == SPN_CLOSED && has_all ? "204 No Content" : "200 OK";
}

static void answer(struct browser *browser, spn_client *client)
{
    spn_subscription *events = NULL;
    struct spn_subscription_options options = {.size = sizeof(options),
                                               .after = last_id_of(browser->request),
                                               .otherwise = SPN_RESTART,
                                               .window_bytes = WINDOW};
    const char *status = client != NULL ? status_of(client, browser->request) : "503 Unavailable";
    bool ok = strcmp(status, "200 OK") == 0;
    dprintf(browser->fd, "HTTP/1.1 %s\r\nConnection: close\r\n%s\r\n", status,
            ok ? "Content-Type: text/event-stream\r\nCache-Control: no-store\r\n" : "");
    options.start = options.after.size > 0 ? SPN_AFTER_ID : SPN_EARLIEST;
    if (ok && spn_subscribe(&events, client, session_of(browser->request), &options) == SPN_OK)
        stream(browser, client, events);
    spn_unsubscribe(events);
}

static void *handle(void *fd)
{
    char request[8192] = "";
    struct browser browser = {.fd = (int)(intptr_t)fd, .request = request, .sent_s = now_s()};
    spn_client *client = NULL;
    ssize_t got = 1;
    for (size_t end = 0; got > 0 && strstr(request, "\r\n\r\n") == NULL; end += (size_t)got)
        got = recv(browser.fd, request + end, sizeof(request) - 1 - end, 0);
    if (got > 0 && spn_client_open(&client, NULL, WAIT_MS, NULL, 0) != SPN_OK)
        client = NULL; /* answered with 503 */
    if (got > 0)
        answer(&browser, client);
    spn_client_close(client);
    close(browser.fd);
    free(browser.text);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    signal(SIGPIPE, SIG_IGN); /* a browser that is gone is an error of its connection only */
    at.sin_port = htons(argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 0);
    if (bind(listener, (struct sockaddr *)&at, size) != 0 || listen(listener, 128) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &size) != 0) {
        perror("http");
        return 1;
    }
    printf("%u\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && pthread_create(&thread, NULL, handle, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
        else if (fd >= 0)
            close(fd);
    }
}
