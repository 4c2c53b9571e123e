/* SPDX-License-Identifier: Apache-2.0 */
/* thread_clock: now(), the CPU time of the calling thread in milliseconds. Node 18 has no such
 * clock. */
#include <node_api.h>
#include <time.h>

static napi_value now(napi_env env, napi_callback_info info)
{
    struct timespec time;
    napi_value value = NULL;
    (void)info;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    double now_ms = (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
    return napi_create_double(env, now_ms, &value) == napi_ok ? value : NULL;
}

NAPI_MODULE_INIT()
{
    napi_value function = NULL;
    if (napi_create_function(env, "now", NAPI_AUTO_LENGTH, now, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, "now", function) != napi_ok)
        return NULL;
    return exports;
}
