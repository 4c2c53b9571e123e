/* SPDX-License-Identifier: Apache-2.0 */
/* made_sidecar: the other end of a client's sockets, made of an input's choices.
 *
 * It stands in for client/transport.c: there is no ZeroMQ between, and no time but the one below.
 * It remembers what the client requested last, so that most of its messages mean something; what
 * is in them is the program's choice, and some are broken.
 *
 * Owns     what is on its way to the client.
 * Borrows  the program.
 * Units    nanoseconds of made_sidecar_now_ns.
 * Threads  one.
 */
#ifndef SPN_TESTS_MADE_SIDECAR_H
#define SPN_TESTS_MADE_SIDECAR_H

#include "program.h"

void made_sidecar_begin(struct program *program);
/* It sends something, breaks a connection or takes it up, takes nothing more or does again. */
void made_sidecar_step(void);
/* It takes everything, and sends nothing more. */
void made_sidecar_rest(void);

uint64_t made_sidecar_now_ns(void);
void made_sidecar_pass(uint64_t ns);
/* Whether the client's descriptor is readable for something that it has to do at once. */
bool made_sidecar_wakes(void);

#endif
