/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_token: is a token taken that nobody signed, or one that says what none may say?
 *
 * The first byte of the input chooses what the rest is: a token as it comes, what our own key signs
 * (without that no input would get past the signature), a key file, headers, or base64url. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/credential.h"
#include "base/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { NOW_S = 1800000000 }; /* of tests/data/tokens.json */

/* Two keys of tests/data/tokens.json: its tokens are seeds. */
static const char keys_text[] = "k1:vSGvaAusPZf0NKaOuJLfAa1llYsHRntw5A1UbFbD4Ak\n"
                                "e1:ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\n";

static struct keys *keys;

static void make_keys(void)
{
    char why[KEYS_WHY_SIZE];
    if (!keys)
        keys = keys_parse((struct spn_bytes){keys_text, sizeof(keys_text) - 1}, why);
    CHECK(keys != NULL);
}

/* -- tokens ------------------------------------------------------------------------------------ */

static void check_grant(const struct grant *grant)
{
    struct spn_bytes name = {grant->name, grant->name_size};
    struct grant again = {0};
    struct out out;
    CHECK(grant->rights > 0 && grant->rights < 16);
    CHECK(grant->expires_s > NOW_S && grant->expires_s <= NOW_S + CLAIMS_AHEAD_MAX_S);
    CHECK(grant->name_size <= WIRE_SESSION_MAX);
    CHECK(grant->is_prefix ? name.size == 0 || grant->name[name.size - 1] == '/' : name.size > 0);
    CHECK(name.size == 0 || wire_check_session(name) == SPN_OK);
    CHECK(keys_have(keys, grant->key_mark));
    CHECK(grant_allows(grant, grant->rights, name, NOW_S));
    CHECK(!grant_allows(grant, grant->rights, name, grant->expires_s));
    CHECK(grant_allows_prefix(grant, grant->rights, name, NOW_S) == grant->is_prefix);
    out_init(&out, -1);
    CHECK(token_make(keys_signer(keys), grant, &out));
    CHECK(token_check(keys, NOW_S, (struct spn_bytes){out.data, out.size}, &again) == NULL);
    CHECK(again.rights == grant->rights && again.expires_s == grant->expires_s);
    CHECK(again.is_prefix == grant->is_prefix && again.name_size == grant->name_size);
    CHECK(memcmp(again.name, grant->name, sizeof(again.name)) == 0);
    out_release(&out);
}

/* A token that is taken is not taken with another bit in it, or with more after it. */
static void check_changed(const uint8_t *text, size_t size)
{
    struct grant grant;
    uint8_t *copy = malloc(size + 1);
    CHECK(copy != NULL);
    memcpy(copy, text, size);
    copy[size] = '.';
    CHECK(token_check(keys, NOW_S, (struct spn_bytes){copy, size + 1}, &grant) != NULL);
    size_t at = (size_t)text[size - 1] * 31 % size;
    copy[at] ^= (uint8_t)(1U << text[size - 2] % 8);
    CHECK(token_check(keys, NOW_S, (struct spn_bytes){copy, size}, &grant) != NULL);
    free(copy);
}

static void check_token(const uint8_t *text, size_t size)
{
    struct grant grant = {0};
    const char *why = token_check(keys, NOW_S, (struct spn_bytes){text, size}, &grant);
    CHECK(why == NULL || grant.rights == 0);
    if (why)
        return;
    CHECK(size <= TOKEN_SIZE_MAX);
    check_grant(&grant);
    check_changed(text, size);
}

static void put_signature(struct out *out)
{
    uint8_t mac[KEY_MAC_SIZE];
    CHECK(key_sign(keys_signer(keys), (struct spn_bytes){out->data, out->size}, mac));
    out_text(out, ".");
    base64url_put(out, (struct spn_bytes){mac, sizeof(mac)});
}

/* From memory of its exact size, so that the sanitizer sees a read beyond it. */
static void check_out(struct out *out)
{
    uint8_t *text = malloc(out->size);
    CHECK(text != NULL);
    memcpy(text, out->data, out->size);
    check_token(text, out->size);
    free(text);
    out_release(out);
}

static void check_signed_session_token(const uint8_t *payload, size_t size)
{
    struct out out;
    out_init(&out, -1);
    out_text(&out, "v1.k1.");
    base64url_put(&out, (struct spn_bytes){payload, size});
    put_signature(&out);
    check_out(&out);
}

/* The header ends at the first line end. */
static void check_signed_jwt(const uint8_t *bytes, size_t size)
{
    const uint8_t *end = memchr(bytes, '\n', size);
    struct out out;
    if (!end)
        return;
    size_t header = (size_t)(end - bytes);
    out_init(&out, -1);
    base64url_put(&out, (struct spn_bytes){bytes, header});
    out_text(&out, ".");
    base64url_put(&out, (struct spn_bytes){end + 1, size - header - 1});
    put_signature(&out);
    check_out(&out);
}

/* Signed as it is: base64url may be wrong in it. */
static void check_signed_text(const uint8_t *text, size_t size)
{
    struct out out;
    out_init(&out, -1);
    out_put(&out, text, size);
    if (size > 0)
        put_signature(&out);
    check_token((const uint8_t *)out.data, out.size);
    out_release(&out);
}

/* -- the rest ---------------------------------------------------------------------------------- */

static void check_keys(const uint8_t *text, size_t size)
{
    char why[KEYS_WHY_SIZE] = "";
    struct keys *parsed = keys_parse((struct spn_bytes){text, size}, why);
    CHECK(parsed != NULL || (strlen(why) > 0 && strlen(why) < KEYS_WHY_SIZE));
    if (!parsed)
        return;
    CHECK(keys_count(parsed) > 0 && keys_count(parsed) <= KEYS_MAX);
    for (size_t i = 0; i < keys_count(parsed); i++) {
        const struct key *key = keys_at(parsed, i);
        struct spn_bytes kid = {key_kid(key), strlen(key_kid(key))};
        CHECK(keys_find(parsed, kid) == key);
        CHECK(keys_have(parsed, key_mark(key)));
    }
    keys_free(parsed);
}

/* Each line is a header, or the query; its first character says which. */
static void check_headers(const uint8_t *bytes, size_t size)
{
    struct credential credential = {0};
    struct problem problem = {0};
    struct grant grant;
    bool good = true;
    while (size > 0 && good) {
        const uint8_t *end = memchr(bytes, '\n', size);
        size_t line = end ? (size_t)(end - bytes) : size;
        struct spn_bytes value = {line > 0 ? bytes + 1 : bytes, line > 0 ? line - 1 : 0};
        if (line > 0 && bytes[0] == 'c')
            good = credential_take_cookie(&credential, value, &problem);
        else if (line > 0 && bytes[0] == 'q')
            good = credential_take_query(&credential, value, &problem);
        else
            good = credential_take_authorization(&credential, value, &problem);
        bytes += end ? line + 1 : line;
        size -= end ? line + 1 : line;
    }
    CHECK(good || problem.status == 400);
    CHECK((credential.place == CREDENTIAL_NONE) == (credential.token.size == 0));
    if (good && !credential_check(&credential, keys, NOW_S, &grant, &problem))
        CHECK(problem.status == 401);
}

static void check_base64url(const uint8_t *bytes, size_t size)
{
    uint8_t *read = malloc(size + 1);
    char *text = malloc(BASE64URL_SIZE(size) + 1);
    size_t read_size = 0;
    CHECK(read != NULL && text != NULL);
    if (base64url_read((struct spn_bytes){bytes, size}, read, size, &read_size)) {
        CHECK(BASE64URL_SIZE(read_size) == size);
        base64url_write((struct spn_bytes){read, read_size}, text);
        CHECK(memcmp(text, bytes, size) == 0);
    }
    base64url_write((struct spn_bytes){bytes, size}, text);
    CHECK(base64url_read((struct spn_bytes){text, BASE64URL_SIZE(size)}, read, size, &read_size));
    CHECK(read_size == size && memcmp(read, bytes, size) == 0);
    free(read);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static void (*const checks[])(const uint8_t *, size_t) = {
        check_token,      check_signed_session_token,
        check_signed_jwt, check_signed_text,
        check_keys,       check_headers,
        check_base64url,
    };
    make_keys();
    if (size < 2)
        return 0;
    uint8_t *rest = malloc(size - 1);
    CHECK(rest != NULL);
    memcpy(rest, input + 1, size - 1);
    checks[input[0] % (sizeof(checks) / sizeof(checks[0]))](rest, size - 1);
    free(rest);
    return 0;
}
