/* SPDX-License-Identifier: Apache-2.0 */
#include "too_large.h"

bool too_large(const struct spn_client *client, const void *entry, size_t size,
               struct wire_entry *ret_part)
{
    struct wire_entry part;
    struct wire_in in = wire_in(entry, size);
    if (client->data_max == 0 || size <= client->batch_bytes_max)
        return false;
    wire_get_entry(&in, (struct spn_bytes){NULL, 0}, &part);
    if (in.bad || part.data.size <= client->data_max)
        return false;
    part.data.size = client->data_max + 1;
    *ret_part = part;
    return true;
}

/* The data are the last bytes of an entry. */
void too_large_put(struct wire_out *out, const struct wire_entry *part)
{
    wire_put_entry(out, part);
    if (!out->bad)
        out->at[-1] = '\r';
}
