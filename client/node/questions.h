/* SPDX-License-Identifier: Apache-2.0 */
/* questions: asked of a client, each answered once. */
#ifndef SPONSON_NODE_QUESTIONS_H
#define SPONSON_NODE_QUESTIONS_H

#include <node_api.h>
#include <stdbool.h>

bool questions_export(napi_env env, napi_value exports);

/* Of a client. takeAnswered(): the number of a question whose answer came, or -1. */
napi_value method_take_answered(napi_env env, napi_callback_info info);

#endif
