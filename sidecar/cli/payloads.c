/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/payloads.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire.h"

enum { EVENTS_FIRST = 64 };

void payloads_release(struct payloads *payloads)
{
    free(payloads->events);
    free(payloads->memory);
    *payloads = (struct payloads){0};
}

spn_err payloads_make(struct payloads *payloads, size_t size)
{
    *payloads = (struct payloads){.count = 1, .bytes = size};
    payloads->events = malloc(sizeof(*payloads->events));
    payloads->memory = malloc(size + 1);
    if (!payloads->events || !payloads->memory) {
        payloads_release(payloads);
        return SPN_E_NOMEM;
    }
    memset(payloads->memory, 'x', size);
    payloads->events[0] = (struct spn_event){.size = sizeof(struct spn_event),
                                             .data = {payloads->memory, size},
                                             .retry_ms = SPN_RETRY_NONE};
    return SPN_OK;
}

/* -- a recorded stream ------------------------------------------------------------------------- */

static spn_err make_room(struct payloads *payloads, size_t *room)
{
    if (payloads->count < *room)
        return SPN_OK;
    size_t more = *room > 0 ? *room * 2 : EVENTS_FIRST;
    struct spn_event *events = realloc(payloads->events, more * sizeof(*events));
    if (!events)
        return SPN_E_NOMEM;
    payloads->events = events;
    *room = more;
    return SPN_OK;
}

static struct spn_bytes copy(char **at, struct spn_bytes bytes)
{
    char *begin = *at;
    if (bytes.size > 0)
        memcpy(begin, bytes.data, bytes.size);
    *at += bytes.size;
    return (struct spn_bytes){begin, bytes.size};
}

static void add(struct payloads *payloads, const struct spn_event *event, char **at)
{
    payloads->events[payloads->count++] = (struct spn_event){
        .size = sizeof(struct spn_event),
        .type = copy(at, event->type),
        .data = copy(at, event->data),
        .retry_ms = event->retry_ms,
    };
    payloads->bytes += event->data.size;
}

static spn_err parse(struct payloads *payloads, spn_sse *sse, struct spn_bytes stream)
{
    const char *bytes = stream.data;
    char *at = payloads->memory;
    const struct spn_event *event;
    size_t room = 0;
    size_t done = 0;
    while (done < stream.size) {
        size_t used = 0;
        spn_err err = spn_sse_next(sse, bytes + done, stream.size - done, &used, &event);
        done += used;
        if (err == SPN_E_END)
            break;
        if (err == SPN_OK && event->kind != SPN_EVENT)
            continue;
        if (err == SPN_OK)
            err = make_room(payloads, &room);
        if (err != SPN_OK)
            return err;
        add(payloads, event, &at);
    }
    return payloads->count > 0 ? SPN_OK : SPN_E_END;
}

/* An event's type and data are never longer than the text they were parsed from. So one piece of
 * memory as large as the stream holds them all. */
spn_err payloads_parse(struct payloads *payloads, struct spn_bytes stream)
{
    spn_sse *sse = NULL;
    *payloads = (struct payloads){.memory = malloc(stream.size + 1)};
    spn_err err = payloads->memory ? spn_sse_open(&sse, WIRE_EVENT_DATA_MAX) : SPN_E_NOMEM;
    if (err == SPN_OK)
        err = parse(payloads, sse, stream);
    spn_sse_close(sse);
    if (err != SPN_OK)
        payloads_release(payloads);
    return err;
}

/* -- a file ------------------------------------------------------------------------------------ */

/* SPN_E_SYSTEM: also for a file that shrinks while it is read. */
static spn_err read_whole(int fd, char *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, bytes + done, size - done);
        if (got == 0)
            errno = EIO;
        if (got == 0 || (got < 0 && errno != EINTR))
            return SPN_E_SYSTEM;
        done += got > 0 ? (size_t)got : 0;
    }
    return SPN_OK;
}

static spn_err read_file(struct payloads *payloads, int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return SPN_E_SYSTEM;
    size_t size = (size_t)status.st_size;
    char *bytes = malloc(size + 1);
    if (!bytes)
        return SPN_E_NOMEM;
    spn_err err = read_whole(fd, bytes, size);
    if (err == SPN_OK)
        err = payloads_parse(payloads, (struct spn_bytes){bytes, size});
    int number = errno;
    free(bytes);
    errno = number;
    return err;
}

spn_err payloads_read(struct payloads *payloads, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return SPN_E_SYSTEM;
    spn_err err = read_file(payloads, fd);
    int number = errno;
    close(fd);
    errno = number;
    return err;
}
