/* SPDX-License-Identifier: Apache-2.0 */
/* names: words for the library's constants. Everything here is constant. */
#include <string.h>

#include "err.h"
#include "sponson.h"

const char *spn_err_name(spn_err err)
{
    return err_name(err);
}

const char *spn_err_text(spn_err err)
{
    return err_text(err);
}

const char *spn_version(void)
{
    return SPN_VERSION;
}

const char *spn_result_name(spn_result result)
{
    static const char *const names[] = {"stored", "duplicate", "conflict", "refused", "lost"};
    return result >= SPN_STORED && result <= SPN_LOST ? names[result] : "?";
}

const char *spn_session_state_name(spn_session_state state)
{
    static const char *const names[] = {"live", "closed", "damaged"};
    return state >= SPN_LIVE && state <= SPN_DAMAGED ? names[state] : "?";
}

struct spn_bytes spn_text(const char *text)
{
    return (struct spn_bytes){text, text != NULL ? strlen(text) : 0};
}
