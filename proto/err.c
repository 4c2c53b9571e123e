/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

static const struct {
    spn_err err;
    const char *name;
    const char *text;
} rows[] = {
#define ERR_ROW(name, number, text) {SPN_##name, "SPN_" #name, text},
    SPN_ERR_MAP(ERR_ROW)
#undef ERR_ROW
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

const char *err_name(spn_err err)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].err == err)
            return rows[i].name;
    return "SPN_E_?";
}

const char *err_text(spn_err err)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].err == err)
            return rows[i].text;
    return "unknown error code";
}

spn_err err_from_wire(unsigned number)
{
    for (size_t i = 0; i < ROWS; i++)
        if ((unsigned)rows[i].err == number)
            return rows[i].err;
    return SPN_E_PROTOCOL;
}
