/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

/* So that the last acknowledgements reach peers that read. */
enum { LINGER_MS = 100 };

size_t endpoint_path_max(void)
{
    return sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
}

static spn_err configure(void *socket, const struct endpoint_options *options)
{
    int mandatory = 1;
    int linger = LINGER_MS;
    if (zmq_setsockopt(socket, ZMQ_ROUTER_MANDATORY, &mandatory, sizeof(mandatory)) != 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger)) != 0 ||
        zmq_setsockopt(socket, ZMQ_SNDHWM, &options->send_hwm, sizeof(options->send_hwm)) != 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &options->receive_hwm, sizeof(options->receive_hwm)) !=
            0 ||
        zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &options->frame_max, sizeof(options->frame_max)) !=
            0)
        return SPN_E_SYSTEM;
    return SPN_OK;
}

spn_err endpoint_bind(void **ret_socket, void *context, const struct endpoint_options *options)
{
    char path[PATH_MAX + 32];
    char address[PATH_MAX + 40];
    snprintf(path, sizeof(path), "%s/%s", options->dir, options->name);
    if (strlen(path) > endpoint_path_max())
        return SPN_E_PATH;
    snprintf(address, sizeof(address), "ipc://%s", path);
    void *socket = zmq_socket(context, ZMQ_ROUTER);
    if (!socket)
        return SPN_E_SYSTEM;
    /* Nobody can connect between the bind and the chmod who could not afterwards. */
    mode_t before = umask(0777 & ~options->mode);
    spn_err err = configure(socket, options);
    if (err == SPN_OK && zmq_bind(socket, address) != 0)
        err = SPN_E_SYSTEM;
    umask(before);
    if (err == SPN_OK && chmod(path, options->mode) != 0)
        err = SPN_E_SYSTEM;
    if (err == SPN_OK && options->group != (gid_t)-1 && chown(path, (uid_t)-1, options->group) != 0)
        err = SPN_E_SYSTEM;
    if (err == SPN_OK) {
        *ret_socket = socket;
        return SPN_OK;
    }
    int saved = errno;
    zmq_close(socket);
    errno = saved;
    return err;
}
