/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/load.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mail/mail.h"
#include "state/tracker.h"

struct load *load_new(struct spn_bytes name)
{
    assert(name.size > 0 && name.size <= WIRE_SESSION_MAX);
    struct load *load = calloc(1, sizeof(*load));
    if (!load)
        return NULL;
    load->message.kind = MESSAGE_LOAD;
    memcpy(load->name_bytes, name.data, name.size);
    load->name = (struct spn_bytes){load->name_bytes, name.size};
    return load;
}

void load_free(struct load *load)
{
    if (!load)
        return;
    view_release(&load->view);
    tracker_free(load->tracker);
    one_shot_free(load->one);
    free(load);
}
