/* SPDX-License-Identifier: Apache-2.0 */
#include "http/admin_key.h"

#include <string.h>

#include "http/word.h"

static spn_err draw(char ret_text[ADMIN_KEY_SIZE], spn_err (*fill)(void *bytes, size_t size))
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[ADMIN_KEY_BYTES];
    spn_err err = fill(bytes, sizeof(bytes));
    if (err != SPN_OK)
        return err;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[ADMIN_KEY_SIZE - 1] = '\0';
    return SPN_OK;
}

/* Takes as long whatever the guess is. An empty secret is nobody's. */
static bool is_secret(const char *secret, struct spn_bytes guess)
{
    const char *bytes = guess.data;
    unsigned char differs = 0;
    if (guess.size != ADMIN_KEY_SIZE - 1 || secret[0] == '\0')
        return false;
    for (size_t i = 0; i < guess.size; i++)
        differs |= (unsigned char)(secret[i] ^ bytes[i]);
    return differs == 0;
}

spn_err admin_key_renew(struct admin_key *key, spn_err (*fill)(void *bytes, size_t size))
{
    struct admin_key drawn = *key;
    spn_err err = draw(drawn.token, fill);
    if (err == SPN_OK && drawn.cookie[0] == '\0')
        err = draw(drawn.cookie, fill);
    if (err == SPN_OK)
        *key = drawn;
    return err;
}

bool admin_key_use(struct admin_key *key, struct spn_bytes token)
{
    if (!is_secret(key->token, token))
        return false;
    memset(key->token, 0, sizeof(key->token));
    return true;
}

bool admin_key_is_in(const struct admin_key *key, struct spn_bytes header)
{
    while (header.size > 0) {
        struct spn_bytes pair = word_cut(&header, ';');
        struct spn_bytes name = word_cut(&pair, '=');
        if (word_is(word_trim(name), ADMIN_KEY_COOKIE) && is_secret(key->cookie, word_trim(pair)))
            return true;
    }
    return false;
}
