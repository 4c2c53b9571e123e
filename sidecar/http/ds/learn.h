/* SPDX-License-Identifier: Apache-2.0 */
/* ds_learn: the step of a request that changes a Durable Stream in which it reads the events that
 * its decision rests on: who has appended what, and whether its own event is among them already.
 *
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_LEARN_H
#define SPN_HTTP_DS_LEARN_H

#include "http/ds/writing.h"

/* Reads what is not known yet of writing->stream, which may be nothing. Then calls->know is called,
 * unless the request looks again or was answered. */
void ds_learn_begin(struct ds_writing *writing);

#endif
