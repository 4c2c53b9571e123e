/* SPDX-License-Identifier: Apache-2.0 */
#include "token/grant.h"

#include <string.h>

static unsigned right_of(char letter)
{
    switch (letter) {
    case 'r':
        return GRANT_READ;
    case 'w':
        return GRANT_WRITE;
    case 'd':
        return GRANT_DELETE;
    case 'l':
        return GRANT_LIST;
    default:
        return 0;
    }
}

const char *grant_set_rights(struct grant *grant, struct spn_bytes letters)
{
    const char *at = letters.data;
    unsigned rights = 0;
    for (size_t i = 0; i < letters.size; i++) {
        unsigned right = right_of(at[i]);
        if (right == 0)
            return "rights are letters of rwdl";
        if (rights & right)
            return "a right is there twice";
        rights |= right;
    }
    if (rights == 0)
        return "there are no rights";
    grant->rights = rights;
    return NULL;
}

static void set_bytes(struct grant *grant, struct spn_bytes name, bool is_prefix)
{
    grant->is_prefix = is_prefix;
    grant->name_size = name.size;
    if (name.size > 0)
        memcpy(grant->name, name.data, name.size);
}

const char *grant_set_name(struct grant *grant, struct spn_bytes name)
{
    if (wire_check_session(name) != SPN_OK)
        return "the session is not 1-255 bytes of UTF-8 without control characters";
    set_bytes(grant, name, false);
    return NULL;
}

const char *grant_set_prefix(struct grant *grant, struct spn_bytes prefix)
{
    const char *bytes = prefix.data;
    if (prefix.size > 0 && wire_check_session(prefix) != SPN_OK)
        return "the prefix is not up to 255 bytes of UTF-8 without control characters";
    if (prefix.size > 0 && bytes[prefix.size - 1] != '/')
        return "the prefix does not end in /";
    set_bytes(grant, prefix, true);
    return NULL;
}

static bool begins_with(struct spn_bytes name, const struct grant *grant)
{
    return name.size >= grant->name_size &&
           (grant->name_size == 0 || memcmp(name.data, grant->name, grant->name_size) == 0);
}

static bool has_rights(const struct grant *grant, unsigned rights, uint64_t now_s)
{
    return rights != 0 && (grant->rights & rights) == rights && now_s < grant->expires_s;
}

bool grant_allows(const struct grant *grant, unsigned rights, struct spn_bytes name, uint64_t now_s)
{
    return has_rights(grant, rights, now_s) && begins_with(name, grant) &&
           (grant->is_prefix || name.size == grant->name_size);
}

bool grant_allows_prefix(const struct grant *grant, unsigned rights, struct spn_bytes prefix,
                         uint64_t now_s)
{
    return grant->is_prefix && has_rights(grant, rights, now_s) && begins_with(prefix, grant);
}
