/* SPDX-License-Identifier: Apache-2.0 */
/* ds_json: the messages of a JSON body: one, or the elements of an array.
 *
 * The text is checked and kept as it is. The messages are what stands between the brackets, so that
 * those of several bodies, joined by commas and put into brackets, are an array again. No memory is
 * taken, and each byte is looked at once.
 *
 * Lends    the messages: they are in the text.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_DS_JSON_H
#define SPN_HTTP_DS_JSON_H

#include <stdbool.h>

#include "spn_err.h"

enum { DS_JSON_DEPTH_MAX = 512 };

/* RFC 8259, nested up to DS_JSON_DEPTH_MAX. *ret_messages: of size 0 if the array is empty. False:
 * it is not JSON; *ret_where is the first byte that cannot be there, and may be the text's size. */
bool ds_json_messages(struct spn_bytes text, struct spn_bytes *ret_messages, size_t *ret_where);

#endif
