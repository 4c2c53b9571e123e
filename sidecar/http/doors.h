/* SPDX-License-Identifier: Apache-2.0 */
/* doors: the listening sockets: handed over by whoever started us, or opened here.
 *
 * Sockets that were handed over (LISTEN_FDS, as systemd does it) replace all that the options name.
 * One that is called `admin` there is the admin listener.
 *
 * Owns     the descriptors until the web has them; the file of a Unix socket that it opened.
 * Threads  the first one, while it is alone.
 */
#ifndef SPN_HTTP_DOORS_H
#define SPN_HTTP_DOORS_H

#include "http/options.h"
#include "http/web.h"

enum { DOORS_HOST_SIZE = 64 };

struct doors {
    struct web_door list[WEB_DOORS_MAX];
    char hosts[WEB_DOORS_MAX][DOORS_HOST_SIZE]; /* addresses, where web_door.host points to */
    size_t count;
    bool owns_socket; /* the Unix socket's file is ours: deleted at the end */
};

/* False: ret_detail describes what failed, with the address. */
bool doors_open(struct doors *ret_doors, const struct http_options *options, char *ret_detail,
                size_t detail_size);

/* Deletes the file of the Unix socket, if it is ours. */
void doors_close(struct doors *doors, const struct http_options *options);

#endif
