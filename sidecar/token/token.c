/* SPDX-License-Identifier: Apache-2.0 */
#include "token/token.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/base64.h"

static const char session_word[] = "v1.";
static const char words_shape[] = "it is not a token";

/* A token in its parts, none of them decoded. */
struct parts {
    struct spn_bytes kid; /* of a session token only */
    struct spn_bytes header;
    struct spn_bytes payload;
    struct spn_bytes proved; /* everything before the last dot */
    struct spn_bytes signature;
};

/* -- parts ------------------------------------------------------------------------------------- */

/* Cuts at the last dot. False: there is none, or nothing before or after it. */
static bool cut_at_last_dot(struct spn_bytes text, struct spn_bytes *ret_before,
                            struct spn_bytes *ret_after)
{
    const char *bytes = text.data;
    const char *dot = text.size > 0 ? memrchr(bytes, '.', text.size) : NULL;
    if (!dot || dot == bytes || dot + 1 == bytes + text.size)
        return false;
    size_t before = (size_t)(dot - bytes);
    *ret_before = (struct spn_bytes){bytes, before};
    *ret_after = (struct spn_bytes){dot + 1, text.size - before - 1};
    return true;
}

static bool has_dot(struct spn_bytes text)
{
    return memchr(text.data, '.', text.size) != NULL;
}

static bool is_session_token(struct spn_bytes text)
{
    size_t size = strlen(session_word);
    return text.size >= size && memcmp(text.data, session_word, size) == 0;
}

static bool cut_session_token(struct spn_bytes text, struct parts *ret_parts)
{
    struct spn_bytes rest;
    size_t word_size = strlen(session_word);
    if (!cut_at_last_dot(text, &ret_parts->proved, &ret_parts->signature) ||
        ret_parts->proved.size <= word_size)
        return false;
    rest.data = (const char *)text.data + word_size;
    rest.size = ret_parts->proved.size - word_size;
    return cut_at_last_dot(rest, &ret_parts->kid, &ret_parts->payload) && !has_dot(ret_parts->kid);
}

static bool cut_jwt(struct spn_bytes text, struct parts *ret_parts)
{
    return cut_at_last_dot(text, &ret_parts->proved, &ret_parts->signature) &&
           cut_at_last_dot(ret_parts->proved, &ret_parts->header, &ret_parts->payload) &&
           !has_dot(ret_parts->header);
}

/* -- checks ------------------------------------------------------------------------------------ */

struct decoded {
    uint8_t bytes[TOKEN_SIZE_MAX];
    size_t size;
};

static bool decode(struct spn_bytes text, struct decoded *ret_decoded, struct spn_bytes *ret_bytes)
{
    if (!base64url_read(text, ret_decoded->bytes, sizeof(ret_decoded->bytes), &ret_decoded->size))
        return false;
    *ret_bytes = (struct spn_bytes){ret_decoded->bytes, ret_decoded->size};
    return true;
}

static const char *check_session_token(const struct keys *keys, uint64_t now_s,
                                       struct spn_bytes text, struct grant *grant)
{
    struct parts parts = {0};
    struct decoded decoded;
    struct spn_bytes json;
    if (!cut_session_token(text, &parts))
        return words_shape;
    const struct key *key = keys_find(keys, parts.kid);
    if (!key || key_is_public(key))
        return "its key is not known";
    if (!key_proves(key, parts.proved, parts.signature))
        return "its signature is wrong";
    if (!decode(parts.payload, &decoded, &json))
        return "its payload is not base64url without padding";
    grant->key_mark = key_mark(key);
    return claims_read(json, now_s, grant);
}

/* The key that proves the signature. Its length says which kind it is: others are not tried. */
static const struct key *find_proof(const struct keys *keys, const struct parts *parts)
{
    bool is_public = parts->signature.size == BASE64URL_SIZE(KEY_SIGNATURE_SIZE);
    for (size_t i = 0; i < keys_count(keys); i++) {
        const struct key *key = keys_at(keys, i);
        if (key_is_public(key) == is_public && key_proves(key, parts->proved, parts->signature))
            return key;
    }
    return NULL;
}

static const char *check_jwt(const struct keys *keys, uint64_t now_s, struct spn_bytes text,
                             struct grant *grant)
{
    struct parts parts = {0};
    struct decoded decoded;
    struct spn_bytes json;
    if (!cut_jwt(text, &parts))
        return words_shape;
    const struct key *key = find_proof(keys, &parts);
    if (!key)
        return "no key fits its signature";
    if (!decode(parts.header, &decoded, &json))
        return "its header is not base64url without padding";
    const char *why =
        claims_check_header(json, key_is_public(key) ? "EdDSA" : "HS256", key_kid(key));
    if (why)
        return why;
    if (!decode(parts.payload, &decoded, &json))
        return "its claims are not base64url without padding";
    grant->key_mark = key_mark(key);
    return claims_read_jwt(json, now_s, grant);
}

const char *token_check(const struct keys *keys, uint64_t now_s, struct spn_bytes text,
                        struct grant *ret_grant)
{
    struct grant grant = {0};
    if (text.size > TOKEN_SIZE_MAX)
        return "it is longer than 4,096 bytes";
    const char *why = is_session_token(text) ? check_session_token(keys, now_s, text, &grant)
                                             : check_jwt(keys, now_s, text, &grant);
    if (!why)
        *ret_grant = grant;
    return why;
}

bool token_is_same(struct spn_bytes one, struct spn_bytes other)
{
    return one.size == other.size &&
           (one.size == 0 || CRYPTO_memcmp(one.data, other.data, one.size) == 0);
}

/* -- making one -------------------------------------------------------------------------------- */

static bool put_mac(const struct key *key, size_t begin, struct out *out)
{
    uint8_t mac[KEY_MAC_SIZE];
    if (out->error || !key_sign(key, (struct spn_bytes){out->data + begin, out->size - begin}, mac))
        return false;
    out_text(out, ".");
    base64url_put(out, (struct spn_bytes){mac, sizeof(mac)});
    return !out->error;
}

bool token_make(const struct key *key, const struct grant *grant, struct out *out)
{
    struct out json;
    size_t begin = out->size;
    out_init(&json, -1);
    bool made = claims_put(grant, &json);
    if (made) {
        out_text(out, session_word);
        out_text(out, key_kid(key));
        out_text(out, ".");
        base64url_put(out, (struct spn_bytes){json.data, json.size});
        made = put_mac(key, begin, out);
    }
    out_release(&json);
    return made;
}
