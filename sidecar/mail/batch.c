/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/batch.h"

#include <stdlib.h>

#include "mail/one_shot.h"

void batch_free(struct batch *batch)
{
    if (!batch)
        return;
    zmq_msg_close(&batch->frame);
    free((void *)(uintptr_t)batch->record.runs);
    free(batch->opened);
    one_shot_free(batch->one);
    free(batch);
}
