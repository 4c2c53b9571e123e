/* SPDX-License-Identifier: Apache-2.0 */
#include "net/peer_uid.h"

#include <stdlib.h>
#include <string.h>

enum { FIELDS_BEHIND = 3 }; /* uid, gid, pid */

uid_t peer_uid_of_address(const char *address)
{
    const char *at = address + strlen(address);
    for (int fields = 0; fields < FIELDS_BEHIND; fields++) {
        while (at > address && at[-1] != ':')
            at--;
        if (at == address)
            return PEER_NO_UID;
        at--;
    }
    if (at[1] < '0' || at[1] > '9')
        return PEER_NO_UID;
    char *end;
    unsigned long uid = strtoul(at + 1, &end, 10);
    return *end == ':' && uid < PEER_NO_UID ? (uid_t)uid : PEER_NO_UID;
}

uid_t peer_uid(zmq_msg_t *message)
{
    const char *address = zmq_msg_gets(message, "Peer-Address");
    return address ? peer_uid_of_address(address) : PEER_NO_UID;
}
