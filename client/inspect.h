/* SPDX-License-Identifier: Apache-2.0 */
/* inspect: what a sidecar says about itself and its sessions.
 *
 * spn_next_session walks a list by name; behind it a page of rows is kept and used for as long as
 * the walk goes on where the last call ended.
 *
 * Owns     a page of session rows, the texts of the last health, the last counters. Made with the
 *          first question, freed with the client.
 * Lends    bytes of those: until the same question is asked again; those of spn_get_session, which
 *          lie in the client's call, until anything is asked.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_INSPECT_H
#define SPN_CLIENT_INSPECT_H

struct inspect;

void inspect_free(struct inspect *inspect); /* takes NULL */

#endif
