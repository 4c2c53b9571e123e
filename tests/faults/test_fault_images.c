/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_images: whatever a crash leaves on the disk opens, and has what was acknowledged.
 *
 * The daemon's writes and syncs are recorded. A crash is a moment within one of those calls. On the
 * disk is then everything that a sync had covered before, and each meta page that was written, for
 * those are synchronous. Of what was written since the last sync, and of the call under way, the
 * disk has nothing, all, some pages, or some sectors of some pages: the test makes up which. Every
 * image is opened by `sponson dump`, and now and then by a daemon, and judged by a history in which
 * what a client had seen acknowledged before the crash is acknowledged.
 *
 * That the judge would see a loss is shown by images in which syncs count for nothing. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "dump.h"
#include "event_list.h"
#include "rig.h"
#include "sponson.h"
#include "tape.h"

enum {
    EVENTS = 1500,
    SESSIONS = 8,
    IN_FLIGHT_MAX = 24,
    SMALL = 150,
    MEDIUM = 3000, /* goes to overflow pages */
    LARGE = 20000,
    PAGE = 4096,
    SECTOR = 512,
    IMAGES = 50,
    IMAGES_CAMPAIGN = 1000,
    IMAGES_LYING = 30,
    DAEMON_EVERY = 10, /* so many images have a daemon started on them */
    OPEN_MS = 10000,
    ACK_MS = 60000,
};

static bool campaign;

struct images {
    struct stage *stage;
    struct tape tape;
    uint64_t acked_ns[EVENTS + 1]; /* by number */
    struct history *history;
    uint64_t random;
    const char *dir; /* of the image */

    uint8_t *bytes; /* of the file as it is surely on the disk at takes[next] */
    size_t size;
    size_t room;
    size_t next;
    size_t synced; /* writes from here on are not, up to next */

    size_t with_unsynced; /* images that left something out */
    size_t with_torn;     /* and parts of a page */
    size_t with_meta;     /* crashed while a meta page was written */
    uint64_t acked_least;
    uint64_t acked_most;
    uint64_t daemons;
};

static uint64_t next_random(struct images *images)
{
    images->random ^= images->random << 13;
    images->random ^= images->random >> 7;
    images->random ^= images->random << 17;
    return images->random;
}

/* -- the life that is recorded ----------------------------------------------------------------- */

static void name_session(uint64_t number, char *session)
{
    snprintf(session, 16, "s%d", (int)(number % SESSIONS));
}

static void publish(spn_producer *producer, uint64_t number)
{
    char data[LARGE + 1];
    char session[16], id[24];
    struct spn_event event = SPN_EVENT_INIT;
    size_t size = number % 50 == 0 ? LARGE : number % 7 == 0 ? MEDIUM : SMALL;
    name_session(number, session);
    snprintf(id, sizeof(id), "e%d", (int)number);
    event.id = spn_text(id);
    event.data.data = data;
    event.data.size = history_put_data(data, size, 0, number);
    assert_int_equal(spn_publish(producer, spn_text(session), &event, NULL), SPN_OK);
}

static void take_acks(struct images *images, spn_producer *producer, uint64_t *acked, uint64_t end)
{
    const struct spn_ack *ack;
    while (*acked < end) {
        assert_int_equal(spn_producer_next_ack(producer, ACK_MS, &ack), SPN_OK);
        assert_int_equal(ack->result, SPN_STORED);
        images->acked_ns[++*acked] = until_now_ns();
    }
}

static void publish_all(struct images *images)
{
    spn_client *client;
    spn_producer *producer;
    uint64_t acked = 0;
    uint64_t number = 0;
    assert_int_equal(spn_client_open(&client, NULL, OPEN_MS, NULL, 0), SPN_OK);
    assert_int_equal(spn_producer_open(&producer, client, NULL, OPEN_MS), SPN_OK);
    while (number < EVENTS) {
        uint64_t count = 1 + next_random(images) % IN_FLIGHT_MAX;
        for (; count > 0 && number < EVENTS; count--)
            publish(producer, ++number);
        uint64_t in_flight = next_random(images) % IN_FLIGHT_MAX;
        take_acks(images, producer, &acked, number > in_flight ? number - in_flight : 0);
    }
    take_acks(images, producer, &acked, EVENTS);
    assert_int_equal(spn_producer_close(producer, 0, NULL), SPN_OK);
    spn_client_close(client);
}

static void tell_sent(struct images *images)
{
    char session[16], id[24];
    images->history = history_new(1);
    for (uint64_t number = 1; number <= EVENTS; number++) {
        name_session(number, session);
        snprintf(id, sizeof(id), "e%d", (int)number);
        history_sent(images->history, 0, number, session, id);
    }
}

static void record_life(struct images *images, struct stage *stage)
{
    struct stage_daemon options = {.more = {STAGE_KEEP_ALL, "--row-interval", "20"}};
    struct rig rig;
    *images = (struct images){.stage = stage, .acked_least = UINT64_MAX};
    assert_int_equal(getrandom(&images->random, sizeof(images->random), 0), sizeof(images->random));
    images->random |= 1;
    print_message("seed %" PRIu64 "\n", images->random);
    rig_open(&rig, stage);
    rig_record(&rig, "tape");
    rig_under(&rig, &options);
    struct process *daemon = stage_start(stage, &options);
    publish_all(images);
    process_kill(daemon);
    tape_open(&images->tape, rig.tape_path);
    rig_close(&rig);
    images->dir = stage_make_dir(stage, "image");
    tell_sent(images);
}

static void forget_life(struct images *images)
{
    tape_close(&images->tape);
    history_free(images->history);
    free(images->bytes);
}

/* -- the disk ---------------------------------------------------------------------------------- */

static void put(struct images *images, uint64_t offset, const uint8_t *bytes, size_t size)
{
    size_t end = (size_t)offset + size;
    if (end > images->room) {
        size_t room = end * 2;
        images->bytes = realloc(images->bytes, room);
        assert_non_null(images->bytes);
        memset(images->bytes + images->room, 0, room - images->room);
        images->room = room;
    }
    memcpy(images->bytes + offset, bytes, size);
    if (end > images->size)
        images->size = end;
}

static void put_take(struct images *images, const struct tape_take *take)
{
    put(images, take->call.offset, take->bytes, (size_t)take->call.size);
}

/* The calls before takes[end] have returned. */
static void advance(struct images *images, size_t end, bool syncs_count)
{
    for (; images->next < end; images->next++) {
        const struct tape_take *take = &images->tape.takes[images->next];
        assert_int_equal(take->call.error, 0);
        if (take->call.kind == FAULTS_META)
            put_take(images, take);
        if (take->call.kind != FAULTS_SYNC || !syncs_count)
            continue;
        for (; images->synced < images->next; images->synced++)
            if (images->tape.takes[images->synced].call.kind == FAULTS_WRITE)
                put_take(images, &images->tape.takes[images->synced]);
    }
}

/* What a crash may do with writes that no sync has covered. */
enum mode { LOSE_ALL, KEEP_ALL, KEEP_PAGES, KEEP_SECTORS, MODES };

/* Keeps parts of a write, each with a chance of a half. Returns how many it left out. */
static size_t put_parts(struct images *images, const struct tape_take *take, enum mode mode)
{
    size_t step = mode == KEEP_SECTORS ? SECTOR : PAGE;
    size_t left_out = 0;
    for (size_t at = 0; at < take->call.size; at += step) {
        size_t size = (size_t)take->call.size - at < step ? (size_t)take->call.size - at : step;
        bool keep = mode == KEEP_ALL || (mode != LOSE_ALL && next_random(images) % 2 == 0);
        if (keep)
            put(images, take->call.offset + at, take->bytes + at, size);
        else
            left_out++;
    }
    return left_out;
}

/* The crash comes during the call at takes[next]. */
static void crash(struct images *images, enum mode mode)
{
    const struct tape_take *last = &images->tape.takes[images->next];
    size_t left_out = 0;
    for (size_t i = images->synced; i <= images->next; i++)
        if (images->tape.takes[i].call.kind == FAULTS_WRITE)
            left_out += put_parts(images, &images->tape.takes[i], mode);
    /* A meta page's 120 bytes are in one sector, which a disk writes whole or not at all. */
    if (last->call.kind == FAULTS_META && next_random(images) % 2 == 0)
        put_take(images, last);
    images->with_unsynced += left_out > 0;
    images->with_torn += left_out > 0 && mode == KEEP_SECTORS;
    images->with_meta += last->call.kind == FAULTS_META;
}

static void write_image(struct images *images)
{
    const char *path = stage_format(images->stage, "%s/data.mdb", images->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t done = 0;
    assert_true(fd >= 0);
    while (done < images->size) {
        ssize_t size = write(fd, images->bytes + done, images->size - done);
        assert_true(size > 0);
        done += (size_t)size;
    }
    close(fd);
    (void)unlink(stage_format(images->stage, "%s/lock.mdb", images->dir));
}

/* -- judging ----------------------------------------------------------------------------------- */

/* What a client had seen acknowledged by then. */
static uint64_t tell_acked(struct images *images, uint64_t until_ns)
{
    uint64_t number = 0;
    history_forget(images->history);
    while (number < EVENTS && images->acked_ns[number + 1] < until_ns)
        history_acked(images->history, 0, ++number, HISTORY_STORED);
    return number;
}

static int judge(struct images *images, uint64_t until_ns, struct history_verdict *ret_verdict)
{
    uint64_t acked = tell_acked(images, until_ns);
    if (acked < images->acked_least)
        images->acked_least = acked;
    if (acked > images->acked_most)
        images->acked_most = acked;
    int code = dump_into(images->history, images->dir, images->stage->log_path);
    *ret_verdict = history_judge(images->history);
    return code;
}

/* A daemon starts on the image, and gives back by its index what the log has. */
static void expect_daemon(struct images *images, uint64_t stored)
{
    uint64_t replayed = 0;
    struct stage_daemon options = {.data_dir = images->dir, .more = {STAGE_KEEP_ALL}};
    struct process *daemon = stage_start(images->stage, &options);
    for (uint64_t i = 0; i < SESSIONS; i++) {
        struct event_list list = EVENT_LIST_INIT;
        char session[16];
        name_session(i, session);
        struct outcome replay = stage_run(images->stage, "replay", session);
        event_list_add_json(&list, replay.output, NULL);
        event_list_expect_whole(session, &list);
        replayed += list.count;
        event_list_release(&list);
    }
    assert_int_equal(replayed, stored);
    assert_int_equal(stage_stop(daemon), 0);
    images->daemons++;
}

static int by_number(const void *left, const void *right)
{
    size_t a = *(const size_t *)left;
    size_t b = *(const size_t *)right;
    return (a > b) - (a < b);
}

/* Moments in ascending order, so that the disk only goes forward. Crashes while the database is
 * made are left out: nobody has been told anything then. */
static size_t *choose_moments(struct images *images, size_t count)
{
    size_t first = 0;
    size_t *moments = stage_keep(images->stage, malloc(count * sizeof(*moments)));
    while (images->tape.takes[first].call.kind != FAULTS_DIR)
        first++;
    for (size_t i = 0; i < count; i++)
        moments[i] = first + next_random(images) % (images->tape.count - first);
    qsort(moments, count, sizeof(*moments), by_number);
    return moments;
}

static void make_image(struct images *images, size_t moment, enum mode mode, bool syncs_count)
{
    advance(images, moment, syncs_count);
    size_t size = images->size;
    uint8_t *sure = malloc(size + 1);
    assert_non_null(sure);
    memcpy(sure, images->bytes, size);
    crash(images, mode);
    write_image(images);
    memset(images->bytes + size, 0, images->room - size);
    memcpy(images->bytes, sure, size);
    images->size = size;
    free(sure);
}

static void every_image_has_what_was_acknowledged(struct stage *stage)
{
    size_t count = campaign ? until_scaled(IMAGES_CAMPAIGN) : IMAGES;
    struct images images;
    struct history_verdict verdict;
    record_life(&images, stage);
    size_t *moments = choose_moments(&images, count);
    for (size_t i = 0; i < count; i++) {
        enum mode mode = (enum mode)(i % MODES);
        make_image(&images, moments[i], mode, true);
        int code = judge(&images, images.tape.takes[moments[i]].call.ended_ns, &verdict);
        const char *what = stage_format(stage, "image %zu, call %zu of %zu, mode %d", i, moments[i],
                                        images.tape.count, (int)mode);
        if (code != 0)
            fail_msg("%s: the dump ends with %d", what, code);
        history_expect_whole(what, &verdict);
        if (i % DAEMON_EVERY == DAEMON_EVERY - 1)
            expect_daemon(&images, verdict.stored);
    }
    print_message("%zu images at moments within %zu calls: %zu left out unsynced writes, %zu of "
                  "them torn within pages, %zu in the middle of a meta page; %" PRIu64
                  " to %" PRIu64 " acknowledged events, none lost; daemons started on %" PRIu64
                  "\n",
                  count, images.tape.count, images.with_unsynced, images.with_torn,
                  images.with_meta, images.acked_least, images.acked_most, images.daemons);
    assert_true(images.with_unsynced > 0 && images.with_torn > 0 && images.with_meta > 0);
    assert_true(images.acked_most > EVENTS / 2 && images.daemons > 0);
    forget_life(&images);
}

/* The same disk, but syncs do nothing on it: then events are lost, and the judge says so. */
static void images_without_syncs_are_found_out(struct stage *stage)
{
    size_t found = 0;
    struct images images;
    struct history_verdict verdict;
    record_life(&images, stage);
    size_t *moments = choose_moments(&images, IMAGES_LYING);
    for (size_t i = 0; i < IMAGES_LYING; i++) {
        make_image(&images, moments[i], KEEP_PAGES, false);
        int code = judge(&images, images.tape.takes[moments[i]].call.ended_ns, &verdict);
        found += code != 0 || verdict.troubles > 0;
    }
    print_message("%d images of a disk that does not sync: %zu found out\n", IMAGES_LYING, found);
    assert_true(found >= IMAGES_LYING / 2);
    forget_life(&images);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(every_image_has_what_was_acknowledged),
        STAGE_TEST(images_without_syncs_are_found_out),
    };
    campaign = argc > 1 && strcmp(argv[1], "campaign") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
