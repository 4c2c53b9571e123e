/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint: a bound ROUTER socket at a path.
 *
 * Binding steals a path that another process serves, without an error: take the lock first.
 */
#ifndef SPN_ENDPOINT_H
#define SPN_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "spn_err.h"

struct endpoint_options {
    const char *dir;
    const char *name;
    mode_t mode;
    gid_t group;     /* (gid_t)-1: as it is */
    int receive_hwm; /* messages per peer */
    int send_hwm;
    int64_t frame_max; /* bytes; a peer that sends a larger one is disconnected */
};

/* Longest path that fits struct sockaddr_un, without its NUL. */
size_t endpoint_path_max(void);

/* SPN_E_PATH: too long. SPN_E_SYSTEM: see errno. The socket is the
 * caller's, to close with zmq_close. */
spn_err endpoint_bind(void **ret_socket, void *context,
                      const struct endpoint_options *options) SPN_MUST_USE;

#endif
