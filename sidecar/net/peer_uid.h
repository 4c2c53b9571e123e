/* SPDX-License-Identifier: Apache-2.0 */
/* peer_uid: whose process is at the other end of a connection.
 */
#ifndef SPN_PEER_UID_H
#define SPN_PEER_UID_H

#include <sys/types.h>
#include <zmq.h>

#define PEER_NO_UID ((uid_t)-1)

/* The user whose process made the connection that a message came on, as the kernel says; ZeroMQ has
 * it as `localhost:uid:gid:pid` on ipc://. PEER_NO_UID: it is not known. */
uid_t peer_uid(zmq_msg_t *message);

/* Ends at ':' from the right: a name before it may have such. PEER_NO_UID: it is no such address.
 */
uid_t peer_uid_of_address(const char *address);

#endif
