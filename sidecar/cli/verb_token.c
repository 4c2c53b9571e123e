/* SPDX-License-Identifier: Apache-2.0 */
/* verb_token: makes a token that lets its holder use a session over HTTP, or a key to make them. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "token/key_file.h"
#include "token/token.h"

struct token {
    struct cli_words words;
    const char *prefix; /* NULL: words name a session */
    const char *rights;
    uint64_t for_s;
    const char *key_file;
    const char *kid;     /* NULL: the first secret of the file */
    const char *new_key; /* its kid; NULL: make a token */
    bool wants_token;    /* an option was given that a key does not have */
};

enum { KEY_PREFIX = CLI_KEY, KEY_RIGHTS, KEY_FOR, KEY_KEY_FILE, KEY_KID, KEY_NEW_KEY };

enum { FOR_DEFAULT_S = 3600 };

static const struct argp_option options[] = {
    {"prefix", KEY_PREFIX, "PREFIX", 0,
     "in place of SESSION: all sessions that begin so; it ends in / or is empty", 0},
    {"rights", KEY_RIGHTS, "LIST", 0,
     "of r (read), w (write), d (delete), l (list), as r,w (default: r)", 0},
    {"for", KEY_FOR, "TIME", 0,
     "how long it is valid: 90s, 15m or 1h, or a number of seconds; 24h at most (default: 1h)", 0},
    {"key-file", KEY_KEY_FILE, "FILE", 0, "the file with the keys of sponson-http", 0},
    {"kid", KEY_KID, "KID", 0, "sign with this key (default: the first secret of the file)", 0},
    {"new-key", KEY_NEW_KEY, "KID", 0,
     "print a new key with this id, a line for the key file, and no token", 0},
    {0},
};

/* -- options ----------------------------------------------------------------------------------- */

/* In whole seconds, as a token has them. */
static uint64_t parse_for(const char *text)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    uint64_t ms = 0;
    if (text_span(text, &ms) || ms < 1000 || ms > CLAIMS_AHEAD_MAX_S * UINT64_C(1000)) {
        snprintf(what, sizeof(what), "--for %s", text_quote(spn_text(text), quoted));
        cli_usage(what, "not a time from 1s to 24h, such as 90s, 15m or 1h");
    }
    return ms / 1000;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct token *token = state->input;
    switch (key) {
    case KEY_PREFIX:
        token->prefix = arg;
        break;
    case KEY_RIGHTS:
        token->rights = arg;
        break;
    case KEY_FOR:
        token->for_s = parse_for(arg);
        break;
    case KEY_KEY_FILE:
        token->key_file = arg;
        break;
    case KEY_KID:
        token->kid = arg;
        break;
    case KEY_NEW_KEY:
        token->new_key = arg;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &token->words, NULL);
    }
    token->wants_token = true;
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SESSION\n--prefix PREFIX\n--new-key KID",
    .doc = "Print a token that lets its holder use a session, or all that begin with a prefix, "
           "through sponson-http. No sidecar is needed."
           "\vA token is a secret, and so is a key: umask 077; sponson token --new-key k1 >keys.",
};

/* "r,w" as well as "rw". */
static void set_rights(struct grant *grant, const char *text)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    char letters[8];
    size_t count = 0;
    for (const char *at = text; *at != '\0' && count < sizeof(letters); at++) {
        bool between = at > text && at[-1] != ',' && at[1] != '\0';
        if (*at != ',' || !between)
            letters[count++] = *at;
    }
    const char *why = grant_set_rights(grant, (struct spn_bytes){letters, count});
    if (why) {
        snprintf(what, sizeof(what), "--rights %s", text_quote(spn_text(text), quoted));
        cli_usage(what, why);
    }
}

static void set_prefix(struct grant *grant, const char *prefix)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    const char *why = grant_set_prefix(grant, spn_text(prefix));
    if (why) {
        snprintf(what, sizeof(what), "--prefix %s", text_quote(spn_text(prefix), quoted));
        cli_usage(what, why);
    }
}

/* What the command line asks for. Ends the process if it is wrong. */
static struct grant read_grant(const struct token *token)
{
    struct grant grant = {0};
    if (!token->prefix && token->words.count == 0)
        cli_usage("SESSION", "missing");
    if (token->prefix && token->words.count > 0)
        cli_usage("--prefix", "cannot be combined with a session");
    if (!token->key_file)
        cli_usage("--key-file", "missing");
    set_rights(&grant, token->rights);
    if (token->prefix)
        set_prefix(&grant, token->prefix);
    else
        (void)grant_set_name(&grant, cli_session(token->words.at[0]));
    return grant;
}

/* -- work -------------------------------------------------------------------------------------- */

static int read_keys(const char *path, struct keys **ret_keys)
{
    char why[KEYS_WHY_SIZE];
    spn_err err = key_file_read(path, ret_keys, why);
    if (err == SPN_E_SYSTEM)
        return cli_fail_errno(path);
    if (err != SPN_OK) {
        cli_error(path, why);
        return CLI_FAILURE;
    }
    return CLI_OK;
}

/* NULL: an error is printed. */
static const struct key *find_key(const struct token *token, const struct keys *keys)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    const struct key *key = token->kid ? keys_find(keys, spn_text(token->kid)) : keys_signer(keys);
    if (key && !key_is_public(key))
        return key;
    if (token->kid) {
        snprintf(what, sizeof(what), "--kid %s", text_quote(spn_text(token->kid), quoted));
        cli_error(what, key ? "a public key does not sign" : "no such key in the key file");
    } else {
        cli_error(token->key_file, "it has public keys only, which do not sign");
    }
    return NULL;
}

static int make_token(const struct token *token)
{
    struct grant grant = read_grant(token);
    struct keys *keys = NULL;
    struct out out;
    int exit_code = read_keys(token->key_file, &keys);
    if (exit_code != CLI_OK)
        return exit_code;
    out_init(&out, STDOUT_FILENO);
    const struct key *key = find_key(token, keys);
    grant.expires_s = clock_wall_ms() / 1000 + token->for_s;
    if (!key) {
        exit_code = CLI_FAILURE;
    } else if (!token_make(key, &grant, &out)) {
        out.size = 0;
        exit_code = cli_fail("token", SPN_E_NOMEM, NULL);
    } else {
        out_text(&out, "\n");
    }
    keys_free(keys);
    return cli_finish(&out, exit_code);
}

static int make_key(const struct token *token)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    struct out out;
    if (token->wants_token || token->words.count > 0)
        cli_usage("--new-key", "cannot be combined with a session or with options of a token");
    out_init(&out, STDOUT_FILENO);
    spn_err err = key_put_new(spn_text(token->new_key), &out);
    if (err == SPN_E_INVALID) {
        snprintf(what, sizeof(what), "--new-key %s", text_quote(spn_text(token->new_key), quoted));
        cli_usage(what, "not 1 to 64 of A-Z, a-z, 0-9, - and _");
    }
    return cli_finish(&out, err == SPN_OK ? CLI_OK : cli_fail("random bytes", err, NULL));
}

int verb_token(int argc, char **argv)
{
    struct token token = {
        .words = {.name = "SESSION", .count_max = 1},
        .rights = "r",
        .for_s = FOR_DEFAULT_S,
    };
    cli_parse(&argp, argc, argv, &token);
    return token.new_key ? make_key(&token) : make_token(&token);
}
