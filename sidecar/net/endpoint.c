/* SPDX-License-Identifier: Apache-2.0 */
#include "net/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "base/own_files.h"

/* So that the last acknowledgements reach peers that read. */
enum { LINGER_MS = 100 };

enum { PATH_SIZE = PATH_MAX + 32, BOUND_MAX = 8 };

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

/* False: the path is too long for a socket. */
static bool put_path(const struct endpoint *endpoint, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", endpoint->options.dir, endpoint->options.name);
    return strlen(path) <= endpoint_path_max();
}

static spn_err bind_path(struct endpoint *endpoint, const char *path)
{
    const struct endpoint_options *options = &endpoint->options;
    char address[PATH_SIZE + 8];
    struct stat status;
    snprintf(address, sizeof(address), "ipc://%s", path);
    if (own_files_check(options->dir, options->name, S_IFSOCK))
        return SPN_E_PATH; /* libzmq would delete it */
    /* Each bind adds a listener, so that connections stay. Their descriptors must not add up. */
    if (endpoint->bound >= BOUND_MAX && zmq_unbind(endpoint->socket, address) == 0)
        endpoint->bound = 0;
    /* Nobody can connect between the bind and the chmod who could not connect afterwards. Until the
     * socket has its group, that is nobody but its user: its first group is another one. */
    bool regroups = options->group != (gid_t)-1;
    mode_t before = umask(0777 & ~(regroups ? options->mode & S_IRWXU : options->mode));
    int rc = zmq_bind(endpoint->socket, address);
    umask(before);
    if (rc != 0)
        return SPN_E_SYSTEM;
    endpoint->bound++;
    if ((regroups && chown(path, (uid_t)-1, options->group) != 0) ||
        chmod(path, options->mode) != 0 || lstat(path, &status) != 0)
        return SPN_E_SYSTEM;
    atomic_store_explicit(&endpoint->inode, status.st_ino, memory_order_relaxed);
    return SPN_OK;
}

/* Whether somebody listens at the path. That can only be whoever holds the socket that was handed
 * over: the caller has the directory's lock. The connection is closed at once. */
static bool is_answered(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true; /* that says nothing about the path */
    bool refused = connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 &&
                   errno != EAGAIN; /* its queue is full */
    (void)close(fd);
    return !refused;
}

/* libzmq closes the descriptor that it gets, and accepts until nobody waits. */
static spn_err adopt(struct endpoint *endpoint, const char *path)
{
    char address[PATH_SIZE + 8];
    struct stat status;
    int none = -1;
    int fd = fcntl(endpoint->options.handed_fd, F_DUPFD_CLOEXEC, 0);
    int flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;
    (void)snprintf(address, sizeof(address), "ipc://%s", path);
    bool is_bound = flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
                    zmq_setsockopt(endpoint->socket, ZMQ_USE_FD, &fd, sizeof(fd)) == 0 &&
                    zmq_bind(endpoint->socket, address) == 0;
    if (!is_bound && fd >= 0)
        (void)close(fd);
    if (!is_bound || zmq_setsockopt(endpoint->socket, ZMQ_USE_FD, &none, sizeof(none)) != 0)
        return SPN_E_SYSTEM;
    endpoint->bound++;
    if (is_answered(path) && lstat(path, &status) == 0)
        atomic_store_explicit(&endpoint->inode, status.st_ino, memory_order_relaxed);
    return SPN_OK; /* without an inode, the first check finds the path gone */
}

spn_err endpoint_open(struct endpoint *endpoint, void *context,
                      const struct endpoint_options *options)
{
    char path[PATH_SIZE];
    endpoint->options = *options;
    if (!put_path(endpoint, path))
        return SPN_E_PATH;
    endpoint->socket = zmq_socket(context, ZMQ_ROUTER);
    if (!endpoint->socket)
        return SPN_E_SYSTEM;
    spn_err err = configure(endpoint->socket, options);
    if (err == SPN_OK)
        err = options->handed_fd > 0 ? adopt(endpoint, path) : bind_path(endpoint, path);
    int saved = errno;
    if (err != SPN_OK)
        endpoint_close(endpoint);
    errno = saved;
    return err;
}

void endpoint_close(struct endpoint *endpoint)
{
    if (endpoint->socket)
        zmq_close(endpoint->socket);
    endpoint->socket = NULL;
}

bool endpoint_is_there(const struct endpoint *endpoint)
{
    char path[PATH_SIZE];
    struct stat status;
    return put_path(endpoint, path) && lstat(path, &status) == 0 &&
           status.st_ino == atomic_load_explicit(&endpoint->inode, memory_order_relaxed);
}

spn_err endpoint_bind_again(struct endpoint *endpoint)
{
    char path[PATH_SIZE];
    spn_err err = put_path(endpoint, path) ? bind_path(endpoint, path) : SPN_E_PATH;
    const char *why = err == SPN_E_SYSTEM ? strerrordesc_np(errno) : NULL;
    if (err == SPN_E_PATH)
        why = own_files_check(endpoint->options.dir, endpoint->options.name, S_IFSOCK);
    atomic_store_explicit(&endpoint->obstacle, why, memory_order_relaxed);
    return err;
}

void endpoint_bind_wanted(struct endpoint *endpoint)
{
    if (!atomic_exchange(&endpoint->is_wanted, false))
        return;
    spn_err err = endpoint_bind_again(endpoint);
    (void)err;
}
