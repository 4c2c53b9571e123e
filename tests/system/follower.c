/* SPDX-License-Identifier: Apache-2.0 */
#include "follower.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "http_gateway.h"

enum { PIECE = 128 * 1024, PIECES_AT_A_TIME = 8 };

enum { AT_HEAD, AT_SIZE, IN_CHUNK, AT_CHUNK_END, AT_END };

static char piece[PIECE];

/* -- a connection ------------------------------------------------------------------------------ */

void follower_open(struct follower *follower, struct stage *stage, const char *path,
                   const char *after, uint64_t first)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", http_socket(stage));
    char request[512];
    int size =
        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n%s%s%s\r\n",
                 path, after != NULL ? "Last-Event-ID: " : "", after != NULL ? after : "",
                 after != NULL ? "\r\n" : "");
    *follower = (struct follower){.next = first};
    follower->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (follower->fd < 0 ||
        connect(follower->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail_msg("cannot connect: %s", strerror(errno));
    assert_int_equal(send(follower->fd, request, (size_t)size, MSG_NOSIGNAL), size);
    assert_int_equal(fcntl(follower->fd, F_SETFL, O_NONBLOCK), 0);
}

void follower_close(struct follower *follower)
{
    if (follower->fd >= 0)
        close(follower->fd);
    free(follower->line);
    follower->line = NULL;
    follower->fd = -1;
}

bool follower_is_over(const struct follower *follower)
{
    return follower->has_ended || follower->is_cut;
}

/* -- events ------------------------------------------------------------------------------------ */

static void copy_word(char *word, const char *from)
{
    (void)snprintf(word, FOLLOWER_WORD, "%s", from);
}

/* An event counts when its last line has come. */
static void take_event(struct follower *follower)
{
    uint64_t number = strtoull(follower->data, NULL, 10);
    if (follower->is_anywhere)
        follower->next = number;
    follower->is_anywhere = false;
    if (number != follower->next)
        fail_msg("event %llu instead of %llu; %llu received, %llu missing",
                 (unsigned long long)number, (unsigned long long)follower->next,
                 (unsigned long long)follower->received, (unsigned long long)follower->missing);
    follower->next++;
    follower->received++;
    if (follower->on_event != NULL)
        follower->on_event(follower);
}

static void take_own_event(struct follower *follower)
{
    const char *missing = strstr(follower->data, "\"missing\":");
    const char *reason = strstr(follower->data, "\"reason\":\"");
    uint64_t count = missing != NULL ? strtoull(missing + 10, NULL, 10) : 0;
    if (strcmp(follower->type, "sponson-gap") == 0 && count > 0) {
        follower->missing += count;
        follower->next += count;
    } else if (strcmp(follower->type, "sponson-reset") == 0 && count >= follower->next) {
        follower->missing += count - follower->next; /* of the life, from number 0 */
        follower->next = count;
    } else if (strcmp(follower->type, "sponson-end") == 0 && reason != NULL) {
        copy_word(follower->ended, reason + 10);
        follower->ended[strcspn(follower->ended, "\"")] = '\0';
    } else {
        fail_msg("%s: %s", follower->type, follower->data);
    }
}

static void take_block(struct follower *follower)
{
    if (follower->new_id[0] != '\0')
        memcpy(follower->id, follower->new_id, sizeof(follower->id));
    if (follower->data[0] != '\0' && follower->type[0] != '\0')
        take_own_event(follower);
    else if (follower->data[0] != '\0')
        take_event(follower);
    follower->new_id[0] = follower->type[0] = follower->data[0] = '\0';
}

static void take_line(struct follower *follower, const char *line)
{
    if (line[0] == ':')
        follower->comments++;
    else if (line[0] == '\0')
        take_block(follower);
    else if (strncmp(line, "event: ", 7) == 0)
        copy_word(follower->type, line + 7);
    else if (strncmp(line, "id: ", 4) == 0)
        copy_word(follower->new_id, line + 4);
    else if (strncmp(line, "data: ", 6) == 0)
        copy_word(follower->data, line + 6);
    else if (strncmp(line, "retry: ", 7) != 0)
        fail_msg("a line that is none: %.100s", line);
}

/* -- bytes ------------------------------------------------------------------------------------- */

/* Takes up to the end of a line. Returns how many bytes it used; *ret_line: NULL, or the line,
 * which is used before the next call. */
static size_t collect_line(struct follower *follower, const char *bytes, size_t size,
                           char **ret_line)
{
    const char *end = memchr(bytes, '\n', size);
    size_t used = end != NULL ? (size_t)(end - bytes) + 1 : size;
    if (follower->line_size + used + 1 > follower->line_room) {
        follower->line_room = follower->line_size + used + 1;
        follower->line = realloc(follower->line, follower->line_room);
        assert_non_null(follower->line);
    }
    memcpy(follower->line + follower->line_size, bytes, used);
    follower->line_size += used;
    *ret_line = end != NULL ? follower->line : NULL;
    if (end == NULL)
        return used;
    follower->line[follower->line_size - 1] = '\0';
    follower->line_size = 0;
    return used;
}

static void drop_line(struct follower *follower)
{
    free(follower->line); /* thousands of followers are idle */
    follower->line = NULL;
    follower->line_room = 0;
}

static void take_framing_line(struct follower *follower, char *line)
{
    size_t size = strlen(line);
    assert_true(size > 0 && line[size - 1] == '\r');
    line[size - 1] = '\0';
    if (follower->chunk_step == AT_HEAD) {
        if (follower->status == 0)
            follower->status = (unsigned)strtoul(line + 9, NULL, 10);
        else if (line[0] == '\0')
            follower->chunk_step = AT_SIZE;
    } else if (follower->chunk_step == AT_SIZE) {
        char *end;
        follower->chunk_left = strtoul(line, &end, 16);
        assert_true(end != line && *end == '\0');
        follower->chunk_step = follower->chunk_left > 0 ? IN_CHUNK : AT_END;
    } else {
        assert_int_equal(line[0], '\0');
        follower->has_ended = follower->chunk_step == AT_END;
        follower->chunk_step = AT_SIZE;
    }
}

/* The gateway writes whole lines in each chunk. */
static size_t take_bytes(struct follower *follower, const char *bytes, size_t size)
{
    char *line;
    if (follower->chunk_step != IN_CHUNK) {
        size_t used = collect_line(follower, bytes, size, &line);
        if (line != NULL)
            take_framing_line(follower, line);
        return used;
    }
    size_t some = size < follower->chunk_left ? size : follower->chunk_left;
    size_t used = collect_line(follower, bytes, some, &line);
    if (line != NULL)
        take_line(follower, line);
    follower->chunk_left -= used;
    if (follower->chunk_left == 0) {
        follower->chunk_step = AT_CHUNK_END;
        assert_int_equal(follower->line_size, 0);
    }
    return used;
}

bool follower_read(struct follower *follower)
{
    bool has_read = false;
    for (unsigned i = 0; i < PIECES_AT_A_TIME && !follower_is_over(follower); i++) {
        ssize_t got = recv(follower->fd, piece, sizeof(piece), 0);
        if (got < 0 && errno == EAGAIN)
            break;
        has_read = true;
        follower->is_cut = got <= 0;
        for (size_t at = 0; got > 0 && at < (size_t)got && !follower->has_ended;)
            at += take_bytes(follower, piece + at, (size_t)got - at);
    }
    if (follower->line_size == 0)
        drop_line(follower);
    return has_read;
}

void follower_read_to(struct follower *const *followers, size_t count, uint64_t next,
                      uint64_t due_ns)
{
    for (size_t i = 0; i < count; i++) {
        struct follower *follower = followers[i];
        while (follower->next < next) {
            if (!follower_read(follower) && !until_readable(due_ns, follower->fd))
                fail_msg("follower %zu has %llu of %llu events", i,
                         (unsigned long long)follower->next, (unsigned long long)next);
            if (follower_is_over(follower) && follower->next < next)
                fail_msg("stream %zu ended at %llu of %llu events: status %u, %s", i,
                         (unsigned long long)follower->next, (unsigned long long)next,
                         follower->status, follower->ended);
        }
        assert_int_equal(follower->next, next);
    }
}

void follower_allow_many(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}
