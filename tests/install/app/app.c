/* SPDX-License-Identifier: Apache-2.0 */
/* app: publishes one event and reads it back, as a program that finds the installed library does.
 * It is C99, C11 and C17, and C++11 to C++20.
 *
 *     app SESSION TEXT
 */
#include <stdio.h>
#include <string.h>

#include <sponson.h>

static spn_err publish(spn_client *client, struct spn_bytes session, struct spn_bytes data)
{
    struct spn_event event = SPN_EVENT_INIT;
    struct spn_producer_options options = spn_producer_defaults();
    spn_producer *producer = NULL;
    event.data = data;
    spn_err err = spn_producer_open(&producer, client, &options, 5000);
    if (err == SPN_OK)
        err = spn_publish(producer, session, &event, NULL);
    if (err == SPN_OK)
        err = spn_producer_close(producer, 5000, NULL); /* waits until it is on disk */
    else if (spn_producer_close(producer, 0, NULL) != SPN_OK)
        return err;
    return err;
}

static spn_err read_back(spn_client *client, struct spn_bytes session, struct spn_bytes data)
{
    struct spn_bytes earliest = {NULL, 0};
    const struct spn_event *event;
    spn_replay *replay = NULL;
    spn_err err = spn_replay_open(&replay, client, session, earliest, 5000);
    if (err == SPN_OK)
        err = spn_replay_next(replay, 5000, &event);
    if (err == SPN_OK &&
        (event->data.size != data.size || memcmp(event->data.data, data.data, data.size) != 0))
        err = SPN_E_CORRUPT;
    if (err == SPN_OK)
        printf("%.*s\n", (int)event->data.size, (const char *)event->data.data);
    spn_replay_close(replay);
    return err;
}

int main(int argc, char **argv)
{
    char detail[256] = "";
    spn_client *client = NULL;
    if (argc != 3 || strcmp(spn_version(), SPN_VERSION) != 0)
        return 2;
    spn_err err = spn_client_open(&client, NULL, 5000, detail, sizeof(detail));
    if (err == SPN_OK)
        err = publish(client, spn_text(argv[1]), spn_text(argv[2]));
    if (err == SPN_OK)
        err = read_back(client, spn_text(argv[1]), spn_text(argv[2]));
    if (err != SPN_OK)
        fprintf(stderr, "%s: %s\n", spn_err_name(err), client ? spn_client_detail(client) : detail);
    spn_client_close(client);
    return err == SPN_OK ? 0 : 1;
}
