/* SPDX-License-Identifier: Apache-2.0 */
/* producer: publishes its arguments as events of one session and waits until they are on disk.
 *
 *     producer SESSION TEXT...
 *     cc producer.c -o producer $(pkg-config --cflags --libs sponson)
 */
#include <stdio.h>

#include <sponson.h>

static int fail(const char *what, spn_err err, const char *detail)
{
    fprintf(stderr, "%s: %s: %s\n", what, spn_err_name(err), detail);
    return 1;
}

int main(int argc, char **argv)
{
    char detail[256];
    spn_client *client = NULL;
    spn_producer *producer = NULL;
    if (argc < 3) {
        fprintf(stderr, "usage: %s SESSION TEXT...\n", argv[0]);
        return 2;
    }
    spn_err err = spn_client_open(&client, NULL, 2000, detail, sizeof(detail));
    if (err != SPN_OK)
        return fail("no sidecar", err, detail);
    err = spn_producer_open(&producer, client, NULL, 2000);

    for (int i = 2; err == SPN_OK && i < argc; i++) {
        struct spn_event event = SPN_EVENT_INIT;
        event.type = spn_text("line");
        event.data = spn_text(argv[i]);
        uint64_t ticket;
        err = spn_publish(producer, spn_text(argv[1]), &event, &ticket);
        if (err == SPN_OK) { /* its id is known before it is stored */
            char id[SPN_GIVEN_ID_MAX];
            spn_given_id(producer, ticket, id);
            printf("event %llu has id %s\n", (unsigned long long)ticket, id);
        }
    }

    /* One result for each ticket, in order; SPN_E_END once all have been given. */
    const struct spn_ack *ack;
    while (err == SPN_OK && (err = spn_producer_next_ack(producer, 5000, &ack)) == SPN_OK)
        printf("event %llu is %s\n", (unsigned long long)ack->ticket, spn_result_name(ack->result));

    int status = err == SPN_E_END ? 0 : fail("publish", err, spn_client_detail(client));
    if (spn_producer_close(producer, 0, NULL) != SPN_OK)
        status = 1;
    spn_client_close(client);
    return status;
}
