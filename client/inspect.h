/* SPDX-License-Identifier: Apache-2.0 */
/* inspect: what a sidecar reports about itself and its sessions.
 *
 * spn_next_session walks a list by name. It keeps a page of rows and uses it as long as each call
 * goes on where the last one ended.
 *
 * Owns     a page of session rows, the texts of the last health, the last counters. Created by the
 *          first call that needs it, freed with the client.
 * Lends    bytes of those: until the same call is made again. The bytes of spn_get_session lie in
 *          the client's call: until the next request.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_INSPECT_H
#define SPN_CLIENT_INSPECT_H

struct inspect;

void inspect_free(struct inspect *inspect); /* takes NULL */

#endif
