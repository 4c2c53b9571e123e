/* SPDX-License-Identifier: Apache-2.0 */
/* err: an error code's name and text, for the library, the daemon and the command line. */
#ifndef SPN_PROTO_ERR_H
#define SPN_PROTO_ERR_H

#include "spn_err.h"

/* "SPN_E_TIMEOUT"; constant. A number that is not a code gives "SPN_E_?". */
const char *err_name(spn_err err);

/* A short English sentence without a full stop; constant. */
const char *err_text(spn_err err);

/* The code for a number that came over the wire. A number that this build does not know gives
 * SPN_E_PROTOCOL, so that a later sidecar's new code is still an error. */
spn_err err_from_wire(unsigned number);

#endif
