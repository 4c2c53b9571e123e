/* SPDX-License-Identifier: Apache-2.0 */
/* connection: a client. */
#ifndef SPONSON_NODE_CONNECTION_H
#define SPONSON_NODE_CONNECTION_H

#include <node_api.h>
#include <stdbool.h>

bool connection_export(napi_env env, napi_value exports);

#endif
