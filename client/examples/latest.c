/* SPDX-License-Identifier: Apache-2.0 */
/* latest: a proxy that must never stall its streams. While the sidecar is behind, it keeps only the
 * newest event of each.
 *
 *     latest < LINES          each is "SESSION TEXT"
 *     cc latest.c -o latest $(pkg-config --cflags --libs sponson)
 */
#include <stdio.h>
#include <string.h>

#include <sponson.h>

/* Never waits. On SPN_E_TOO_MANY (65,536 sessions are held back) the proxy decides what to do. */
static spn_err note(spn_producer *producer, char *line)
{
    struct spn_event event = SPN_EVENT_INIT;
    line[strcspn(line, "\n")] = '\0';
    char *text = line + strcspn(line, " ");
    if (*text != '\0')
        *text++ = '\0';
    event.data = spn_text(text);
    return spn_publish(producer, spn_text(line), &event, NULL);
}

int main(void)
{
    char detail[256];
    char line[4096];
    spn_client *client = NULL;
    spn_producer *producer = NULL;
    struct spn_producer_options options = spn_producer_defaults();
    options.latest_only = true;
    options.window_events = 16; /* beyond that many on their way, only the newest event counts */
    spn_err err = spn_client_open(&client, NULL, 2000, detail, sizeof(detail));
    if (err == SPN_OK)
        err = spn_producer_open(&producer, client, &options, 2000);
    while (err == SPN_OK && fgets(line, sizeof(line), stdin) != NULL)
        err = note(producer, line);
    if (err == SPN_OK)
        err = spn_producer_flush(producer, 5000); /* the newest of each is on disk */
    if (err == SPN_OK) {
        const struct spn_counters *counters = spn_producer_counters(producer);
        printf("%llu stored, %llu replaced by newer ones\n", (unsigned long long)counters->stored,
               (unsigned long long)counters->replaced);
    } else {
        fprintf(stderr, "%s\n", client != NULL ? spn_client_detail(client) : detail);
    }
    if (spn_producer_close(producer, 0, NULL) != SPN_OK && err == SPN_OK)
        err = SPN_E_TIMEOUT;
    spn_client_close(client);
    return err != SPN_OK;
}
