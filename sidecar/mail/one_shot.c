/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/one_shot.h"

#include <stdlib.h>
#include <string.h>

#include "mail/mail.h"

static struct spn_bytes keep(uint8_t *to, struct spn_bytes bytes)
{
    if (bytes.size > 0)
        memcpy(to, bytes.data, bytes.size);
    return (struct spn_bytes){to, bytes.size};
}

struct one_shot *one_shot_new(struct spn_bytes name, struct spn_bytes id)
{
    struct one_shot *one = calloc(1, sizeof(*one) + name.size + id.size);
    if (!one)
        return NULL;
    one->message.kind = MESSAGE_ONE_SHOT;
    one->name = keep(one->copies, name);
    one->id = keep(one->copies + name.size, id);
    zmq_msg_init(&one->frame);
    return one;
}

void one_shot_free(struct one_shot *one)
{
    if (!one)
        return;
    view_release(&one->view);
    zmq_msg_close(&one->frame);
    free(one);
}
