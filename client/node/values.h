/* SPDX-License-Identifier: Apache-2.0 */
/* values: bytes, numbers and flags, from JavaScript and to it.
 *
 * take_*   reads an argument or a property. undefined leaves *ret as it is. A wrong type is a
 *          TypeError, a number out of its bounds a RangeError, with the argument's name.
 * make_*   makes a value; NULL: an exception is left.
 * put_*    sets a property of an object that is being made.
 *
 * Owns     copies of strings: `texts` has them until texts_release. Bytes of a Uint8Array are
 *          borrowed until the call from JavaScript returns.
 * Errors   a function that returns false has left an exception for JavaScript.
 */
#ifndef SPONSON_NODE_VALUES_H
#define SPONSON_NODE_VALUES_H

#include <node_api.h>
#include <stdbool.h>

#include <sponson.h>

/* The status of a call of Node-API. If it failed, an exception is left. */
bool ok(napi_env env, napi_status status);
/* Throws an Error whose `code` is the name of err. */
void throw_code(napi_env env, spn_err err, const char *detail);

#define NUMBER_MAX UINT64_C(9007199254740991) /* Number.MAX_SAFE_INTEGER */

enum { TEXTS_ROOM = 8192, TEXTS_LARGE_MAX = 8 };

/* The strings of one call: short ones together in `room`, the others each in its own block. */
struct texts {
    napi_env env;
    size_t used;
    unsigned large_count;
    void *large[TEXTS_LARGE_MAX];
    char room[TEXTS_ROOM]; /* not set */
};

/* Only the members before `room`: to clear that would cost more than the call. */
void texts_init(struct texts *texts, napi_env env);
void texts_release(struct texts *texts);

/* A string, as UTF-8, or a Uint8Array. */
bool take_text(struct texts *texts, napi_value value, const char *name, struct spn_bytes *ret);
bool take_number(napi_env env, napi_value value, const char *name, uint64_t max, uint64_t *ret);
bool take_flag(napi_env env, napi_value value, const char *name, bool *ret);

bool is_undefined(napi_env env, napi_value value);

/* The same of a property. Of an object that is undefined, all of them are. */
bool take_text_of(struct texts *texts, napi_value object, const char *name, struct spn_bytes *ret);
bool take_number_of(napi_env env, napi_value object, const char *name, uint64_t max, uint64_t *ret);
bool take_flag_of(napi_env env, napi_value object, const char *name, bool *ret);
/* 32 hexadecimal digits: a life, the id of a database or of a producer. */
bool take_life_of(napi_env env, napi_value object, const char *name, struct spn_life *ret,
                  bool *ret_given);
/* With a NUL at its end; NULL stays where it is undefined. */
bool take_c_string_of(struct texts *texts, napi_value object, const char *name, const char **ret);

napi_value make_number(napi_env env, double number);
napi_value make_text(napi_env env, struct spn_bytes text);
napi_value make_buffer(napi_env env, struct spn_bytes bytes);
/* A string. What is large is a Buffer in any case: Node's own conversion, which JavaScript calls,
 * is the faster one, and this call stays short. */
napi_value make_content(napi_env env, struct spn_bytes bytes, bool as_bytes);
/* 32 digits; null if all are zero. */
napi_value make_life(napi_env env, const unsigned char bytes[16]);
napi_value make_object(napi_env env);

/* value may be NULL: then it does nothing but return false. */
bool put(napi_env env, napi_value object, const char *name, napi_value value);
bool put_number(napi_env env, napi_value object, const char *name, uint64_t number);
bool put_text(napi_env env, napi_value object, const char *name, struct spn_bytes text);

#endif
