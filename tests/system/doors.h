/* SPDX-License-Identifier: Apache-2.0 */
/* doors: ZMTP spoken byte by byte, for what no library would send.
 *
 * Owns     nothing: descriptors are the caller's to close.
 * Errors   a connection that cannot be made fails the test; one that is cut is what tests are
 * about.
 */
#ifndef SPN_DOORS_H
#define SPN_DOORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A plain connection to a socket in this directory; waits for nothing. */
int doors_connect(const char *socket_dir, const char *name);
/* The same, with a greeting and a READY that names this identity; NULL: none. */
int doors_enter(const char *socket_dir, const char *name, const void *identity, size_t size);

/* Sends all of it, however long that takes. False: the other side has closed. */
bool doors_send(int fd, const void *bytes, size_t size);
/* The head of a frame: flags as in ZMTP, the size in eight bytes. */
bool doors_send_head(int fd, uint8_t flags, uint64_t size);
/* Waits until the other side closes, and passes over what it sends. False: it did not in time. */
bool doors_is_closed(int fd);

#endif
