/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ack_log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

enum {
    PIECE_PAGE_SIZE = 4096, /* if pages are larger: a part of a page */
    LINE_SIZE_MAX = 20 + 1 + WIRE_ID_MAX,
};

/* -- the end of a file that is there ----------------------------------------------------------- */

/* True for "17", "17 " or "17 an i": a number, and perhaps a space and more. */
static bool may_be_ours(const char *line, size_t size)
{
    size_t digits = 0;
    while (digits < size && line[digits] >= '0' && line[digits] <= '9')
        digits++;
    return digits > 0 && (digits == size || line[digits] == ' ');
}

static spn_err end_last_line(struct ack_log *log)
{
    char tail[LINE_SIZE_MAX + 1]; /* one more byte for the line end before the longest line */
    size_t size = log->size < sizeof(tail) ? (size_t)log->size : sizeof(tail);
    ssize_t got = pread(log->fd, tail, size, (off_t)(log->size - size));
    if (got < 0)
        return SPN_E_SYSTEM;
    const char *end = memrchr(tail, '\n', (size_t)got);
    const char *line = end ? end + 1 : tail;
    size_t line_size = (size_t)(tail + got - line);
    if (line_size == 0)
        return SPN_OK;
    if ((!end && log->size > size) || !may_be_ours(line, line_size)) {
        out_text(&log->lines, "\n");
        return SPN_OK;
    }
    log->size -= line_size;
    return ftruncate(log->fd, (off_t)log->size) == 0 ? SPN_OK : SPN_E_SYSTEM;
}

spn_err ack_log_open(struct ack_log *log, const char *path)
{
    *log = (struct ack_log){.fd = -1};
    out_init(&log->lines, -1);
    if (!path)
        return SPN_OK;
    log->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log->fd < 0)
        return SPN_E_SYSTEM;
    off_t size = lseek(log->fd, 0, SEEK_END);
    if (size <= 0) /* empty, or not a file that has a size */
        return SPN_OK;
    log->size = (uint64_t)size;
    spn_err err = end_last_line(log);
    if (err != SPN_OK)
        ack_log_close(log);
    return err;
}

void ack_log_close(struct ack_log *log)
{
    int saved = errno;
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
    out_release(&log->lines);
    errno = saved;
}

/* -- lines ------------------------------------------------------------------------------------- */

void ack_log_add(struct ack_log *log, uint64_t number, struct spn_bytes id)
{
    if (log->fd < 0)
        return;
    out_number(&log->lines, number);
    out_text(&log->lines, " ");
    out_put(&log->lines, id.data, id.size);
    out_text(&log->lines, "\n");
}

/* All lines that end in this page; if there are none, the line that crosses into the next page. */
static size_t piece_size(const struct ack_log *log, const char *lines, size_t size)
{
    size_t room = PIECE_PAGE_SIZE - log->size % PIECE_PAGE_SIZE;
    if (size <= room)
        return size;
    const char *end = memrchr(lines, '\n', room);
    if (!end)
        end = memchr(lines + room, '\n', size - room);
    assert(end);
    return (size_t)(end - lines) + 1;
}

spn_err ack_log_write(struct ack_log *log)
{
    const char *at = log->lines.data;
    size_t left = log->lines.size;
    if (log->lines.error) {
        errno = log->lines.error;
        return SPN_E_SYSTEM;
    }
    while (left > 0) {
        ssize_t written = write(log->fd, at, piece_size(log, at, left));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return SPN_E_SYSTEM;
        at += written;
        left -= (size_t)written;
        log->size += (uint64_t)written;
    }
    log->lines.size = 0;
    return SPN_OK;
}
