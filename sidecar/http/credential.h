/* SPDX-License-Identifier: Apache-2.0 */
/* credential: where a request carries its token, and what the token grants.
 *
 * A token comes as `Authorization: Bearer`, as a cookie or as `?token=`. If several are there and
 * they differ, the request is refused: one of them would decide, and not everybody who looks at the
 * request would take the same one.
 *
 * Lends    the token: valid as long as the request's bytes.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_CREDENTIAL_H
#define SPN_HTTP_CREDENTIAL_H

#include "http/problem.h"
#include "token/token.h"

#define CREDENTIAL_COOKIE_NAME "sponson-token"

enum credential_place {
    CREDENTIAL_NONE,
    CREDENTIAL_BEARER,
    CREDENTIAL_COOKIE,
    CREDENTIAL_QUERY,
};

struct credential {
    enum credential_place place; /* the first of them that has it; NONE: there is no token */
    bool in_cookie;              /* a cookie has it too: the rules for cookies apply */
    struct spn_bytes token;
};

/* The request's values, each in its order. Call the function for each header of these names, and
 * once for `?token=` if it is there, decoded. True: go on. False: 400. Begin with all zeros. */
bool credential_take_authorization(struct credential *credential, struct spn_bytes value,
                                   struct problem *ret_problem);
bool credential_take_cookie(struct credential *credential, struct spn_bytes value,
                            struct problem *ret_problem);
bool credential_take_query(struct credential *credential, struct spn_bytes value,
                           struct problem *ret_problem);

/* What it grants now. False: 401; without a token too. */
bool credential_check(const struct credential *credential, const struct keys *keys, uint64_t now_s,
                      struct grant *ret_grant, struct problem *ret_problem);

#endif
