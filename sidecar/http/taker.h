/* SPDX-License-Identifier: Apache-2.0 */
/* taker: somebody who reads a subscription: its context. */
#ifndef SPN_HTTP_TAKER_H
#define SPN_HTTP_TAKER_H

#include <stdbool.h>

#include "sponson.h"

struct taker {
    void (*on_item)(struct taker *taker, const struct spn_item *item);
    /* Whether it takes its next item now, from so many bytes that wait. False: it has paused its
     * subscription. NULL: it takes all. */
    bool (*may_take)(struct taker *taker, size_t bytes);
};

#endif
