/* SPDX-License-Identifier: Apache-2.0 */
/* peer_uid: the user whose process is at the other end of a connection.
 */
#ifndef SPN_PEER_UID_H
#define SPN_PEER_UID_H

#include <sys/types.h>
#include <zmq.h>

#define PEER_NO_UID ((uid_t)-1)

/* The user whose process made the connection on which the message came, as reported by the kernel.
 * On ipc://, ZeroMQ has it as `localhost:uid:gid:pid`. PEER_NO_UID: it is not known. */
uid_t peer_uid(zmq_msg_t *message);

/* Counts the ':' from the right, since a name before the uid may contain ':'. PEER_NO_UID: it is
 * not such an address. */
uid_t peer_uid_of_address(const char *address);

#endif
