/* SPDX-License-Identifier: Apache-2.0 */
#include "token/keys.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/base64.h"

struct key {
    char kid[KEY_KID_MAX + 1];
    EVP_PKEY *public_key; /* NULL: a secret */
    size_t size;
    uint8_t bytes[KEY_SECRET_MAX]; /* the secret or the public key */
    uint64_t mark;
};

struct keys {
    size_t count;
    struct key at[KEYS_MAX];
};

static const char public_word[] = "ed25519:";

/* -- one key ----------------------------------------------------------------------------------- */

const char *key_kid(const struct key *key)
{
    return key->kid;
}

bool key_is_public(const struct key *key)
{
    return key->public_key != NULL;
}

uint64_t key_mark(const struct key *key)
{
    return key->mark;
}

static bool mark_key(struct key *key)
{
    uint8_t all[sizeof(key->kid) + 1 + sizeof(key->bytes)] = {0};
    uint8_t hash[EVP_MAX_MD_SIZE] = {0};
    memcpy(all, key->kid, sizeof(key->kid));
    all[sizeof(key->kid)] = key_is_public(key);
    memcpy(all + sizeof(key->kid) + 1, key->bytes, sizeof(key->bytes));
    bool done = EVP_Q_digest(NULL, "SHA256", NULL, all, sizeof(all), hash, NULL) == 1;
    OPENSSL_cleanse(all, sizeof(all));
    memcpy(&key->mark, hash, sizeof(key->mark));
    return done;
}

bool key_sign(const struct key *key, struct spn_bytes bytes, uint8_t ret_mac[KEY_MAC_SIZE])
{
    size_t size = 0;
    return !key_is_public(key) &&
           EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key->bytes, key->size, bytes.data,
                     bytes.size, ret_mac, KEY_MAC_SIZE, &size) != NULL &&
           size == KEY_MAC_SIZE;
}

/* The text that is right is made and compared: the one that was given is not even decoded. */
static bool is_mac(const struct key *key, struct spn_bytes bytes, struct spn_bytes signature)
{
    uint8_t mac[KEY_MAC_SIZE];
    char text[BASE64URL_SIZE(KEY_MAC_SIZE)];
    if (signature.size != sizeof(text) || !key_sign(key, bytes, mac))
        return false;
    base64url_write((struct spn_bytes){mac, sizeof(mac)}, text);
    return CRYPTO_memcmp(text, signature.data, sizeof(text)) == 0;
}

static bool is_signature(const struct key *key, struct spn_bytes bytes, struct spn_bytes signature)
{
    uint8_t raw[KEY_SIGNATURE_SIZE];
    size_t size = 0;
    if (!base64url_read(signature, raw, sizeof(raw), &size) || size != sizeof(raw))
        return false;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL &&
                EVP_DigestVerifyInit(context, NULL, NULL, NULL, key->public_key) == 1 &&
                EVP_DigestVerify(context, raw, size, bytes.data, bytes.size) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

bool key_proves(const struct key *key, struct spn_bytes bytes, struct spn_bytes signature)
{
    return key_is_public(key) ? is_signature(key, bytes, signature) : is_mac(key, bytes, signature);
}

static bool is_kid(struct spn_bytes kid)
{
    const char *at = kid.data;
    for (size_t i = 0; i < kid.size; i++)
        if (!((at[i] >= '0' && at[i] <= '9') || (at[i] >= 'A' && at[i] <= 'Z') ||
              (at[i] >= 'a' && at[i] <= 'z') || at[i] == '-' || at[i] == '_'))
            return false;
    return kid.size > 0 && kid.size <= KEY_KID_MAX;
}

spn_err key_put_new(struct spn_bytes kid, struct out *out)
{
    uint8_t secret[KEY_SECRET_MIN];
    if (!is_kid(kid))
        return SPN_E_INVALID;
    spn_err err = random_fill(secret, sizeof(secret));
    if (err != SPN_OK)
        return err;
    out_put(out, kid.data, kid.size);
    out_text(out, ":");
    base64url_put(out, (struct spn_bytes){secret, sizeof(secret)});
    out_text(out, "\n");
    OPENSSL_cleanse(secret, sizeof(secret));
    return SPN_OK;
}

/* -- the set ----------------------------------------------------------------------------------- */

void keys_free(struct keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++)
        EVP_PKEY_free(keys->at[i].public_key);
    OPENSSL_cleanse(keys, sizeof(*keys));
    free(keys);
}

size_t keys_count(const struct keys *keys)
{
    return keys->count;
}

const struct key *keys_at(const struct keys *keys, size_t index)
{
    return index < keys->count ? &keys->at[index] : NULL;
}

const struct key *keys_find(const struct keys *keys, struct spn_bytes kid)
{
    for (size_t i = 0; i < keys->count; i++)
        if (strlen(keys->at[i].kid) == kid.size && kid.size > 0 &&
            memcmp(keys->at[i].kid, kid.data, kid.size) == 0)
            return &keys->at[i];
    return NULL;
}

const struct key *keys_signer(const struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        if (!key_is_public(&keys->at[i]))
            return &keys->at[i];
    return NULL;
}

bool keys_have(const struct keys *keys, uint64_t mark)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->at[i].mark == mark)
            return true;
    return false;
}

/* -- its text ---------------------------------------------------------------------------------- */

/* Takes the text before the separator from *rest, and the separator. False: there is none. */
static bool take_until(struct spn_bytes *rest, char separator, struct spn_bytes *ret_taken)
{
    const char *bytes = rest->data;
    const char *end = rest->size > 0 ? memchr(bytes, separator, rest->size) : NULL;
    if (!end)
        return false;
    *ret_taken = (struct spn_bytes){bytes, (size_t)(end - bytes)};
    *rest = (struct spn_bytes){end + 1, rest->size - ret_taken->size - 1};
    return true;
}

static struct spn_bytes without_space_at_end(struct spn_bytes line)
{
    const char *bytes = line.data;
    while (line.size > 0 && (bytes[line.size - 1] == ' ' || bytes[line.size - 1] == '\t' ||
                             bytes[line.size - 1] == '\r'))
        line.size--;
    return line;
}

static bool take_public_word(struct spn_bytes *text)
{
    size_t size = strlen(public_word);
    if (text->size < size || memcmp(text->data, public_word, size) != 0)
        return false;
    *text = (struct spn_bytes){(const char *)text->data + size, text->size - size};
    return true;
}

/* One byte again and again is what somebody put there who meant to fill it in later. */
static bool is_filler(const struct key *key)
{
    for (size_t i = 1; i < key->size; i++)
        if (key->bytes[i] != key->bytes[0])
            return false;
    return true;
}

/* Returns NULL, or what is wrong. */
static const char *read_key(struct spn_bytes line, struct key *key)
{
    struct spn_bytes kid;
    if (!take_until(&line, ':', &kid) || !is_kid(kid))
        return "does not begin with a key id of A-Z, a-z, 0-9, - and _, and a colon";
    memcpy(key->kid, kid.data, kid.size);
    bool is_public = take_public_word(&line);
    if (!base64url_read(line, key->bytes, sizeof(key->bytes), &key->size))
        return "the key is not base64url without padding, or too long";
    if (is_public && key->size != KEY_PUBLIC_SIZE)
        return "an ed25519 public key has 32 bytes";
    if (key->size < KEY_SECRET_MIN)
        return "the key is shorter than 32 bytes";
    if (is_filler(key))
        return "the key is not random";
    if (is_public)
        key->public_key =
            EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->bytes, key->size);
    if (is_public && !key->public_key)
        return "not an ed25519 public key";
    return mark_key(key) ? NULL : "it cannot be hashed";
}

static const char *check_others(const struct keys *keys, const struct key *added)
{
    size_t public_count = key_is_public(added);
    for (const struct key *key = keys->at; key < keys->at + keys->count; key++) {
        if (strcmp(key->kid, added->kid) == 0)
            return "this key id is there twice";
        if (key->size == added->size && CRYPTO_memcmp(key->bytes, added->bytes, key->size) == 0)
            return "this key is there twice";
        public_count += key_is_public(key);
    }
    return public_count > KEYS_PUBLIC_MAX ? "more than 8 public keys" : NULL;
}

static const char *take_line(struct keys *keys, struct spn_bytes line)
{
    line = without_space_at_end(line);
    if (line.size == 0 || *(const char *)line.data == '#')
        return NULL;
    if (keys->count == KEYS_MAX)
        return "more than 32 keys";
    struct key *key = &keys->at[keys->count];
    const char *why = read_key(line, key);
    if (!why)
        why = check_others(keys, key);
    keys->count++; /* a bad one too: it is freed with the others */
    return why;
}

static struct keys *fail(struct keys *keys, char ret_why[KEYS_WHY_SIZE], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static struct keys *fail(struct keys *keys, char ret_why[KEYS_WHY_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_why, KEYS_WHY_SIZE, format, arguments);
    va_end(arguments);
    keys_free(keys);
    return NULL;
}

struct keys *keys_parse(struct spn_bytes text, char ret_why[KEYS_WHY_SIZE])
{
    struct keys *keys = calloc(1, sizeof(*keys));
    if (!keys)
        return fail(NULL, ret_why, "out of memory");
    for (size_t number = 1; text.size > 0; number++) {
        struct spn_bytes line = text;
        if (!take_until(&text, '\n', &line))
            text.size = 0;
        const char *why = take_line(keys, line);
        if (why)
            return fail(keys, ret_why, "line %zu: %s", number, why);
    }
    return keys->count > 0 ? keys : fail(keys, ret_why, "there are no keys");
}
