/* SPDX-License-Identifier: Apache-2.0 */
/* subscribe: subscriptions, of a session and of the log, and replays. */
#ifndef SPONSON_NODE_SUBSCRIBE_H
#define SPONSON_NODE_SUBSCRIBE_H

#include <node_api.h>
#include <stdbool.h>

bool subscribe_export(napi_env env, napi_value exports);

/* Of a client. takeItems(values): the next items of its subscriptions that are not paused, into the
 * client's room and the array. Returns how many; there may be more, unless it is 0. */
napi_value method_take_items(napi_env env, napi_callback_info info);

#endif
