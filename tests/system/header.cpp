// SPDX-License-Identifier: Apache-2.0
// header.cpp: sponson.h in a C++ app, with the warnings that such an app may turn into errors.
#include "sponson.h"

int main()
{
    struct spn_event event = SPN_EVENT_INIT;
    struct spn_producer_options options = spn_producer_defaults();
    bool begun = event.kind == SPN_EVENT && event.retry_ms == SPN_RETRY_NONE && !event.id.data;
    return begun && options.level == SPN_DURABLE ? 0 : 1;
}
