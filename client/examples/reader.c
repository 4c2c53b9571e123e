/* SPDX-License-Identifier: Apache-2.0 */
/* reader: writes a session as text/event-stream, as a server would answer a browser.
 *
 *     reader SESSION [LAST-EVENT-ID]
 *     cc reader.c -o reader $(pkg-config --cflags --libs sponson)
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
    if (text == NULL)
        return SPN_E_NOMEM;
    spn_err err = spn_sse_format(event, text, size, &size);
    if (err == SPN_OK)
        fwrite(text, 1, size, stdout);
    free(text);
    return err;
}

int main(int argc, char **argv)
{
    char detail[256];
    spn_client *client = NULL;
    spn_replay *replay = NULL;
    if (argc < 2) {
        fprintf(stderr, "usage: %s SESSION [LAST-EVENT-ID]\n", argv[0]);
        return 2;
    }
    spn_err err = spn_client_open(&client, NULL, 2000, detail, sizeof(detail));
    if (err != SPN_OK) {
        fprintf(stderr, "no sidecar: %s\n", detail);
        return 1;
    }
    struct spn_bytes after = spn_text(argc > 2 ? argv[2] : "");
    err = spn_replay_open(&replay, client, spn_text(argv[1]), after, 2000);

    const struct spn_event *event;
    while (err == SPN_OK && (err = spn_replay_next(replay, 2000, &event)) == SPN_OK)
        err = write_event(event);

    if (err == SPN_E_END && spn_replay_missing(replay) > 0)
        fprintf(stderr, "%llu older events are no longer retained\n",
                (unsigned long long)spn_replay_missing(replay));
    if (err != SPN_E_END)
        fprintf(stderr, "%s: %s\n", spn_err_name(err), spn_client_detail(client));
    spn_replay_close(replay);
    spn_client_close(client);
    return err == SPN_E_END ? 0 : 1;
}
