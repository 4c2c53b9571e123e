/* SPDX-License-Identifier: Apache-2.0 */
/* resume: what an HTTP handler does for a browser that comes back with Last-Event-ID.
 *
 *     resume SESSION [LAST-EVENT-ID [EVENTS]]
 *     cc resume.c -o resume $(pkg-config --cflags --libs sponson)
 *
 * Writes the events that the browser missed and then the new ones, as text/event-stream. Ends after
 * EVENTS events; a handler ends with its connection.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sponson.h>

static spn_err write_event(const struct spn_event *event)
{
    size_t size = 0;
    if (spn_sse_format(event, NULL, 0, &size) != SPN_E_INVALID)
        return SPN_E_INVALID;
    char *text = malloc(size);
    spn_err err = text ? spn_sse_format(event, text, size, &size) : SPN_E_NOMEM;
    if (err == SPN_OK && (fwrite(text, 1, size, stdout) != size || fflush(stdout) != 0))
        err = SPN_E_SYSTEM; /* the browser is gone */
    free(text);
    return err;
}

static bool is_end(const struct spn_item *item)
{
    return item != NULL && item->kind == SPN_ITEM_END;
}

int main(int argc, char **argv)
{
    char detail[256];
    spn_client *client = NULL;
    spn_subscription *events = NULL;
    const struct spn_item *item = NULL;
    struct spn_subscription_options options = {.size = sizeof(options), .otherwise = SPN_RESTART};
    unsigned long left = argc > 3 ? strtoul(argv[3], NULL, 10) : 0; /* 0: all */
    if (argc < 2) {
        fputs("usage: resume SESSION [LAST-EVENT-ID [EVENTS]]\n", stderr);
        return 2;
    }
    if (argc > 2 && argv[2][0] != '\0') {
        options.start = SPN_AFTER_ID;
        options.after = spn_text(argv[2]);
    }
    spn_err err = spn_client_open(&client, NULL, 2000, detail, sizeof(detail));
    if (err == SPN_OK)
        err = spn_subscribe(&events, client, spn_text(argv[1]), &options);
    while (err == SPN_OK && !is_end(item)) {
        err = spn_subscription_next(events, 15000, &item);
        if (err == SPN_E_TIMEOUT) /* nothing happened: a comment keeps the connection alive */
            err = fputs(":\n\n", stdout) < 0 || fflush(stdout) != 0 ? SPN_E_SYSTEM : SPN_OK;
        else if (err == SPN_OK && item->kind == SPN_ITEM_EVENT &&
                 (err = write_event(item->event)) == SPN_OK && --left == 0)
            break;
    }
    if (err != SPN_OK)
        fprintf(stderr, "%s\n", client ? spn_client_detail(client) : detail);
    else if (is_end(item))
        fprintf(stderr, "%s\n", spn_err_text(item->why)); /* closed, deleted, not there */
    bool wrong = err != SPN_OK || (is_end(item) && item->why != SPN_E_CLOSED);
    spn_unsubscribe(events);
    spn_client_close(client);
    return wrong;
}
