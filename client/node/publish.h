/* SPDX-License-Identifier: Apache-2.0 */
/* publish: a producer. Its calls return a ticket, or an error as a negative number. */
#ifndef SPONSON_NODE_PUBLISH_H
#define SPONSON_NODE_PUBLISH_H

#include <node_api.h>
#include <stdbool.h>

bool publish_export(napi_env env, napi_value exports);

#endif
