/* SPDX-License-Identifier: Apache-2.0 */
#include "ack_log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static spn_err end_last_line(struct ack_log *log)
{
    char last = '\n';
    off_t size = lseek(log->out.fd, 0, SEEK_END);
    if (size > 0 && pread(log->out.fd, &last, 1, size - 1) < 0)
        return SPN_E_SYSTEM;
    if (last != '\n')
        out_text(&log->out, "\n");
    return SPN_OK;
}

spn_err ack_log_open(struct ack_log *log, const char *path)
{
    out_init(&log->out, -1);
    if (!path)
        return SPN_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return SPN_E_SYSTEM;
    log->out.fd = fd;
    spn_err err = end_last_line(log);
    if (err != SPN_OK)
        ack_log_close(log);
    return err;
}

void ack_log_close(struct ack_log *log)
{
    int saved = errno;
    if (log->out.fd >= 0)
        close(log->out.fd);
    out_release(&log->out);
    errno = saved;
}

void ack_log_add(struct ack_log *log, uint64_t number, struct spn_bytes id)
{
    if (log->out.fd < 0)
        return;
    out_number(&log->out, number);
    out_text(&log->out, " ");
    out_put(&log->out, id.data, id.size);
    out_text(&log->out, "\n");
}

spn_err ack_log_write(struct ack_log *log)
{
    if (out_flush(&log->out))
        return SPN_OK;
    errno = log->out.error;
    return SPN_E_SYSTEM;
}
