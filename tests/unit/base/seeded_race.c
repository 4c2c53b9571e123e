/* SPDX-License-Identifier: Apache-2.0 */
/* seeded_race: does ThreadSanitizer see a race in our own queue?
 *
 * Batches go to a worker and come back, as in the daemon, through sidecar/base/mailbox.c. Built
 * twice in the tsan build: with the race that SPONSON_SEED_RACE puts there, which must be reported
 * with the project's suppressions in force, and without it, where nothing may be reported.
 *
 * Ends by itself, also when the race has lost batches.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mail/batch.h"

enum { BATCHES = 64, ROUNDS = 2000, NAP_MS = 20, LIFE_S = 30 };

static struct mailbox queue; /* broker -> worker */
static struct mailbox back;  /* worker -> broker */
static atomic_bool stop;

/* Sleeps until woken; a race may have lost the wake-up. */
static void nap(const struct mailbox *mailbox)
{
    struct pollfd woken = {.fd = mailbox->event_fd, .events = POLLIN};
    (void)poll(&woken, 1, NAP_MS);
}

static void *run_worker(void *argument)
{
    (void)argument;
    while (!atomic_load(&stop)) {
        struct message *node = mailbox_take(&queue);
        if (!node)
            nap(&queue);
        while (node) {
            struct batch *batch = (struct batch *)node;
            node = node->next;
            batch->record.number = batch->first_position + batch->number_count;
            mailbox_put(&back, &batch->message);
        }
    }
    return NULL;
}

static void hand_over(struct batch *batch, uint64_t position)
{
    batch->first_position = position;
    batch->number_count = 1;
    batch->record.number = 0;
    mailbox_put(&queue, &batch->message);
}

/* Returns how many came back. */
static uint64_t run_broker(struct batch *batches)
{
    uint64_t count = 0;
    for (size_t i = 0; i < BATCHES; i++)
        hand_over(&batches[i], i + 1);
    for (int round = 0; round < ROUNDS; round++) {
        struct message *node = mailbox_take(&back);
        if (!node)
            nap(&back);
        while (node) {
            struct batch *batch = (struct batch *)node;
            node = node->next;
            count++;
            hand_over(batch, batch->record.number);
        }
    }
    return count;
}

static uint64_t run_both(struct batch *batches)
{
    pthread_t worker;
    if (pthread_create(&worker, NULL, run_worker, NULL) != 0)
        return 0;
    uint64_t count = run_broker(batches);
    atomic_store(&stop, true);
    mailbox_nudge(&queue);
    (void)pthread_join(worker, NULL);
    return count;
}

int main(void)
{
    struct batch *batches = calloc(BATCHES, sizeof(*batches));
    uint64_t count = 0;
    (void)alarm(LIFE_S);
    if (batches && mailbox_init(&queue) == SPN_OK && mailbox_init(&back) == SPN_OK) {
        count = run_both(batches);
        mailbox_release(&queue);
        mailbox_release(&back);
    }
    free(batches);
    (void)printf("%llu batches came back\n", (unsigned long long)count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
