/* SPDX-License-Identifier: Apache-2.0 */
/* crowd_member: one producer of a crowd; see crowd.h. Words: the crowd's page, the member's number.
 *
 * Rides out whatever happens to the sidecar. Exit codes: 0 told to stop, and all it published is
 * acknowledged; 1 it could not go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crowd_plan.h"
#include "history.h"
#include "sponson.h"
#include "until.h"

enum {
    OPEN_MS = 60000,
    FLUSH_MS = 100000,
    IDLE_MS = 5,
    WORDS_MAX = 4096,
    DATA_MAX = 1 << 20,
};

struct member {
    struct crowd_page *page;
    struct crowd_member *mine;
    uint32_t index;
    spn_client *client;
    spn_producer *producer;
    uint64_t next;    /* number of the next event */
    uint64_t fetched; /* results */
    int log_fd;
    uint64_t words[WORDS_MAX]; /* results that are not in the log yet */
    size_t word_count;
};

static char data[DATA_MAX];

_Noreturn static void give_up(const struct member *member, const char *what, const char *why)
{
    fprintf(stderr, "crowd member %u: %s: %s\n", member->index, what, why);
    exit(EXIT_FAILURE);
}

static void map_page(struct member *member, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *page = fd < 0
                     ? MAP_FAILED
                     : mmap(NULL, sizeof(*member->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        give_up(member, path, strerror(errno));
    close(fd);
    member->page = page;
    member->mine = &member->page->members[member->index];
    char log_path[4096];
    snprintf(log_path, sizeof(log_path), CROWD_LOG_FORMAT, path, member->index);
    member->log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (member->log_fd < 0)
        give_up(member, log_path, strerror(errno));
}

/* Goes on behind what the sidecar has of it. */
static void open_producer(struct member *member)
{
    char detail[256] = "";
    uint8_t id[SPN_PRODUCER_ID_SIZE] = "crowd member 000";
    struct spn_producer_options options = spn_producer_defaults();
    id[SPN_PRODUCER_ID_SIZE - 1] = (uint8_t)member->index;
    options.id = id;
    options.window_events = member->page->plan.window_events;
    options.window_bytes = member->page->plan.window_bytes;
    spn_err err = spn_client_open(&member->client, NULL, OPEN_MS, detail, sizeof(detail));
    if (err != SPN_OK)
        give_up(member, "connect", detail);
    err = spn_producer_open(&member->producer, member->client, &options, OPEN_MS);
    if (err != SPN_OK)
        give_up(member, "open", spn_client_detail(member->client));
    member->next = spn_producer_committed(member->producer) + 1;
}

/* -- results ----------------------------------------------------------------------------------- */

/* First the log, then the number for all to see. */
static void write_words(struct member *member)
{
    size_t size = member->word_count * sizeof(member->words[0]);
    if (size == 0)
        return;
    if (write(member->log_fd, member->words, size) != (ssize_t)size)
        give_up(member, "log of results", strerror(errno));
    uint64_t newest = member->words[member->word_count - 1] & ~(UINT64_C(1) << CROWD_STORED_BIT);
    atomic_store(&member->mine->acked, newest);
    atomic_store(&member->mine->acked_ns, until_now_ns());
    member->word_count = 0;
}

/* What is known by then; SPN_E_TIMEOUT or SPN_E_END when there is nothing more. */
static spn_err take_acks(struct member *member, int ms)
{
    const struct spn_ack *ack;
    spn_err err;
    while ((err = spn_producer_next_ack(member->producer, ms, &ack)) == SPN_OK) {
        member->fetched++;
        uint64_t stored = ack->result == SPN_STORED;
        member->words[member->word_count++] = ack->ticket | stored << CROWD_STORED_BIT;
        if (member->word_count == WORDS_MAX)
            write_words(member);
        ms = 0;
    }
    write_words(member);
    if (err != SPN_E_TIMEOUT && err != SPN_E_END)
        give_up(member, "results", spn_client_detail(member->client));
    return err;
}

/* -- publishing -------------------------------------------------------------------------------- */

static void note_taking(struct member *member, uint64_t number)
{
    if (atomic_load(&member->mine->taken) < number)
        atomic_store(&member->mine->taken, number);
}

static void note_time(struct member *member, uint64_t took_ns)
{
    if (atomic_load(&member->mine->longest_ns) < took_ns)
        atomic_store(&member->mine->longest_ns, took_ns);
}

/* False: no room now. */
static bool publish_next(struct member *member)
{
    const struct crowd_plan *plan = &member->page->plan;
    char session[CROWD_NAME_SIZE], id[CROWD_NAME_SIZE];
    struct spn_event event = SPN_EVENT_INIT;
    crowd_event(plan, member->index, member->next, session, id);
    event.id = spn_text(id);
    event.data.data = data;
    event.data.size = history_put_data(data, plan->event_size + 1, member->index, member->next);
    note_taking(member, member->next);
    uint64_t begun_ns = until_now_ns();
    spn_err err = spn_publish(member->producer, spn_text(session), &event, NULL);
    note_time(member, until_now_ns() - begun_ns);
    if (err == SPN_E_BACKPRESSURE)
        atomic_fetch_add(&member->mine->backpressure, 1);
    else if (err != SPN_OK)
        give_up(member, "publish", spn_client_detail(member->client));
    else
        member->next++;
    return err == SPN_OK;
}

static bool may_publish(const struct member *member)
{
    return !atomic_load(&member->page->stopping) &&
           member->next <= atomic_load(&member->mine->allowed);
}

/* The library keeps a window of results, so those there are must be fetched before a call that may
 * wait for as many again. */
static bool has_results(const struct member *member)
{
    struct spn_counters counters = *spn_producer_counters(member->producer);
    return counters.taken - counters.unacknowledged > member->fetched;
}

static void publish(struct member *member)
{
    while (!atomic_load(&member->page->stopping)) {
        while (may_publish(member) && !has_results(member))
            if (!publish_next(member))
                break;
        bool at_limit = !may_publish(member);
        spn_err err = take_acks(member, at_limit ? IDLE_MS : 0);
        if (at_limit && err == SPN_E_END)
            until_passed_us(IDLE_MS * 1000); /* everything is acknowledged: it waits for the test */
    }
    atomic_store(&member->mine->taken, member->next - 1); /* the one about to be was not */
}

static int finish(struct member *member)
{
    uint64_t due_ns = until_in(FLUSH_MS);
    spn_err err = SPN_OK;
    while (err != SPN_E_END && !until_over(due_ns))
        err = take_acks(member, until_left_ms(due_ns));
    if (err != SPN_E_END)
        give_up(member, "stop", "not everything is acknowledged");
    err = spn_producer_close(member->producer, 0, NULL);
    spn_client_close(member->client);
    return err == SPN_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static struct member member = {.log_fd = -1};
    if (argc != 3)
        return EXIT_FAILURE;
    member.index = (uint32_t)strtoul(argv[2], NULL, 10);
    map_page(&member, argv[1]);
    open_producer(&member);
    publish(&member);
    return finish(&member);
}
