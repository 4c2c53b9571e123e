/* SPDX-License-Identifier: Apache-2.0 */
/* taker: somebody who reads a subscription: its context. */
#ifndef SPN_HTTP_TAKER_H
#define SPN_HTTP_TAKER_H

#include "sponson.h"

struct taker {
    void (*on_item)(struct taker *taker, const struct spn_item *item);
};

#endif
