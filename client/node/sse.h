/* SPDX-License-Identifier: Apache-2.0 */
/* sse: text/event-stream, parsed and formatted. Needs no client. */
#ifndef SPONSON_NODE_SSE_H
#define SPONSON_NODE_SSE_H

#include <node_api.h>
#include <stdbool.h>

bool sse_export(napi_env env, napi_value exports);

#endif
