/* SPDX-License-Identifier: Apache-2.0 */
/* test_siege: a modest producer and a reader work on beside whoever may open the sockets.
 *
 * A row is an attack (attack.c), a process of its own that goes on at full speed until it is
 * killed. Beside it the neighbours do what they always do, and so they do before it beside a
 * harmless load that is as busy. What is wanted of the daemon:
 *
 *     nobody waits too long     99th percentiles are at most three times those beside the harmless
 *                               load; below a floor there is no verdict
 *     memory has marks          RssAnon stays below their sum
 *     nothing stays             what the attack took is given back soon after it is over
 *     it lives                  the same process, healthy, with all that the neighbours published
 *
 * Times and memory are for a plain build; with sanitizers only the last one counts, and there is no
 * harmless load.
 *
 * Memory is given back some seconds after an attack, when the daemon has been calm for as long.
 * Meanwhile the next row has the machine: rows are in several processes, and one at a time makes
 * its loads. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"
#include "check.h"
#include "feeder.h"
#include "neighbours.h"
#include "robust.h"
#include "stage.h"

#define MIB (1024u * 1024)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    FIRST_LOOK_MS = 200, /* so that memory has its size */
    LOOK_MS = 500,       /* at the neighbours, beside the harmless load and beside the attack */
    LOOK_MS_CAMPAIGN = 8000,
    FLOOR_MS = 100, /* of a look so short that what is late once decides; the campaign looks on */
    FLOOR_MS_CAMPAIGN = 20,
    TIMES = 3, /* as long as beside the harmless load */
    TRIES = 3, /* noise of the machine passes, what the attack does stays */
    BACK_MS = 10000,
    BACK_SLACK = 12 * MIB, /* up to 60 producers keep their results */
    BEGIN_MS = 20000,
    OTHER_UID = 65534,
    BOOK_EVENTS = 64,
    BOOK_DATA = 100000,
    MANY_SESSIONS = 1000,
    NAME_SIZE = 200,
    ID_SIZE = 900,
    FILES_MAX = 256, /* descriptors of the daemon in the row about them */
    PROCESSES = 3,   /* that share the rows */
    LINE_MAX_SIZE = 512,
};

struct row {
    const char *attack;
    const char *harmless;
    size_t question_kib;   /* of large ones */
    void (*prepare)(void); /* in the attacker: it becomes somebody else */
    void (*prepare_daemon)(void);
};

static void become_other(void)
{
    if (getuid() == 0 &&
        (setgroups(0, NULL) != 0 || setgid(OTHER_UID) != 0 || setuid(OTHER_UID) != 0))
        _exit(EXIT_FAILURE);
}

static void limit_files(void)
{
    const struct rlimit limit = {FILES_MAX, FILES_MAX};
    setrlimit(RLIMIT_NOFILE, &limit);
}

static const char questions[] = "harmless_questions";
static const char visits[] = "harmless_visits";

static const struct row rows[] = {
    {.attack = "planted_ids", .harmless = questions},
    {.attack = "half_greetings", .harmless = visits},
    {.attack = "no_greetings", .harmless = visits},
    {.attack = "hang_ups", .harmless = visits},
    {.attack = "connections",
     .harmless = visits,
     .prepare = become_other,
     .prepare_daemon = limit_files},
    {.attack = "endless_messages", .harmless = questions},
    {.attack = "lengths_that_lie", .harmless = visits},
    {.attack = "large_frames", .harmless = questions},
    {.attack = "commands", .harmless = questions},
    {.attack = "empty_messages", .harmless = questions},
    {.attack = "stale_batches", .harmless = questions},
    {.attack = "unread_acks", .harmless = "harmless_acks"},
    {.attack = "unread_lists", .harmless = "harmless_lists"},
    {.attack = "unread_states", .harmless = "harmless_states"},
    {.attack = "unread_counters", .harmless = "harmless_counters"},
    {.attack = "unread_replays", .harmless = "harmless_replays"},
    {.attack = "unread_grants", .harmless = "harmless_grants", .question_kib = 128},
    {.attack = "stalled_subscribers", .harmless = "harmless_replays"},
    {.attack = "subscriptions", .harmless = "harmless_subscriptions"},
    {.attack = "producers", .harmless = "harmless_producers"},
};

struct siege {
    struct stage *stage;
    const struct row *row;
    struct process *daemon;
    struct process *load;
    struct attack_page *page;
    const char *page_path;
    struct neighbours *neighbours;
    size_t anonymous_max;
};

static bool campaign;

/* -- who has the machine ----------------------------------------------------------------------- */

static int machine_fd; /* its lock belongs to a process, and ends with it */

static void lock_machine(short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    while (fcntl(machine_fd, F_SETLKW, &lock) != 0)
        assert_int_equal(errno, EINTR);
}

/* -- the sum of the marks ---------------------------------------------------------------------- */

/* Marks that are near, and the words for them. */
enum {
    QUEUE_MIB = 16,
    HOT_SESSIONS = 10000,
    PRODUCERS = 500,
    SUBSCRIPTIONS = 100000, /* more than are made here */
    CONNECTION_KIB = 64,    /* with small questions */
    QUESTIONS = 17,
};

static const struct stage_daemon near_marks = {.more = {"--socket-mode", "0666", "--queue-bytes",
                                                        "16M", "--hot-sessions", "10000",
                                                        "--producers", "500"}};

/* As sidecar/README.md has it, in its order. */
static size_t marks_sum(const struct row *row)
{
    size_t connection = (CONNECTION_KIB + QUESTIONS * (size_t)row->question_kib) * 1024;
    return 16 * (size_t)MIB +                           /* the program */
           QUEUE_MIB * (size_t)MIB / 4 * 5 + 11 * MIB + /* what is not on disk */
           64 * (size_t)MIB +                           /* answers */
           37 * (size_t)MIB +                           /* generations */
           32 * (size_t)MIB +                           /* a commit */
           HOT_SESSIONS * (size_t)(320 + 128 * 13) +    /* trackers */
           PRODUCERS * (size_t)(256 + 4096 * 16) +      /* producers and their results */
           SUBSCRIPTIONS * (size_t)600 + attack_peers(row->attack) * connection;
}

/* -- loads ------------------------------------------------------------------------------------- */

static void make_page(struct siege *siege)
{
    siege->page_path = stage_path(siege->stage, "page");
    int fd = open(siege->page_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    assert_true(fd >= 0 && ftruncate(fd, sizeof(*siege->page)) == 0 && fchmod(fd, 0666) == 0);
    siege->page = mmap(NULL, sizeof(*siege->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    assert_true(siege->page != MAP_FAILED);
}

static bool look_begun(void *argument)
{
    struct siege *siege = argument;
    if (!process_runs(siege->load))
        fail_msg("%s: the load ended with %d", siege->row->attack, siege->load->code);
    return atomic_load(&siege->page->done) > 0 || !process_runs(siege->daemon);
}

static void begin_load(struct siege *siege, const char *name, void (*prepare)(void))
{
    const char *words[] = {"/proc/self/exe", "attack", name, siege->page_path, NULL};
    const struct process_options options = {
        .argv = words, .error_path = siege->stage->log_path, .prepare = prepare};
    memset(siege->page, 0, sizeof(*siege->page));
    siege->load = stage_process(siege->stage, &options);
    if (!until_true(until_in(BEGIN_MS), look_begun, siege))
        fail_msg("%s: it does nothing", name);
}

static void end_load(struct siege *siege)
{
    process_kill(siege->load);
    process_release(siege->load);
}

/* -- what is there to be asked for ------------------------------------------------------------- */

static void fill(struct stage *stage)
{
    struct feeder feeder;
    char *data = stage_keep(stage, malloc(BOOK_DATA + 1));
    memset(data, 'd', BOOK_DATA);
    data[BOOK_DATA] = '\0';
    feeder_open(&feeder);
    for (int i = 0; i < BOOK_EVENTS; i++)
        feeder_put(&feeder, ATTACK_BOOK, stage_format(stage, "%d", i), data);
    for (int i = 0; i < MANY_SESSIONS; i++)
        feeder_put(&feeder, stage_format(stage, "%0*d", NAME_SIZE, i),
                   stage_format(stage, "%0*d", ID_SIZE, i), "x");
    feeder_settle(&feeder);
    feeder_close(&feeder);
}

/* -- looking ----------------------------------------------------------------------------------- */

static bool is_judged(void)
{
    return !until_sanitized();
}

static void look_at_memory(struct siege *siege)
{
    size_t now = process_anonymous_bytes(siege->daemon);
    if (now > siege->anonymous_max)
        siege->anonymous_max = now;
}

static void expect_alive(struct siege *siege)
{
    if (!process_runs(siege->daemon))
        fail_msg("%s: the daemon ended with %d", siege->row->attack, siege->daemon->code);
}

static void look(struct siege *siege, uint64_t ms, uint64_t ret_p99_ns[NEIGHBOURS_KINDS])
{
    uint64_t due_ns = until_now_ns() + ms * 1000000;
    neighbours_look(siege->neighbours);
    do {
        expect_alive(siege);
        neighbours_turn(siege->neighbours);
        look_at_memory(siege);
    } while (!until_over(due_ns));
    for (int kind = 0; kind < NEIGHBOURS_KINDS; kind++)
        ret_p99_ns[kind] = neighbours_p99_ns(siege->neighbours, (enum neighbours_kind)kind);
}

struct figures {
    uint64_t harmless_ns[NEIGHBOURS_KINDS];
    uint64_t attacked_ns[NEIGHBOURS_KINDS];
    uint64_t done, cut, refused;
};

/* The kind that waits too long; NEIGHBOURS_VISIT: none does. Of who comes anew is only wanted that
 * he gets in: before libzmq accepts it, an attacker's connection is as good as his. */
static int find_slow(const struct figures *figures)
{
    int floor_ms = campaign ? FLOOR_MS_CAMPAIGN : until_patient_ms(FLOOR_MS);
    uint64_t floor_ns = (uint64_t)floor_ms * 1000000;
    int kind = 0;
    while (kind < NEIGHBOURS_VISIT &&
           (figures->attacked_ns[kind] <= floor_ns ||
            figures->attacked_ns[kind] <= TIMES * figures->harmless_ns[kind]))
        kind++;
    return kind;
}

static void compare_loads(struct siege *siege, struct figures *figures)
{
    uint64_t ms = campaign ? LOOK_MS_CAMPAIGN : LOOK_MS;
    memset(figures, 0, sizeof(*figures));
    if (is_judged()) {
        begin_load(siege, siege->row->harmless, NULL);
        look(siege, ms, figures->harmless_ns);
        end_load(siege);
    }
    siege->anonymous_max = 0;
    begin_load(siege, siege->row->attack, siege->row->prepare);
    look(siege, ms, figures->attacked_ns);
    expect_alive(siege);
    end_load(siege);
    figures->done = atomic_load(&siege->page->done);
    figures->cut = atomic_load(&siege->page->cut);
    figures->refused = atomic_load(&siege->page->refused);
}

struct back_look {
    struct siege *siege;
    size_t most;
};

static bool look_given_back(void *argument)
{
    const struct back_look *look = argument;
    return process_anonymous_bytes(look->siege->daemon) <= look->most;
}

static bool wait_given_back(struct siege *siege, size_t before)
{
    struct back_look look = {siege, before + BACK_SLACK};
    return !is_judged() || until_true(until_in(BACK_MS), look_given_back, &look);
}

/* -- a row ------------------------------------------------------------------------------------- */

static void begin(struct siege *siege, struct stage *stage, const struct row *row)
{
    static struct neighbours neighbours;
    struct stage_daemon options = near_marks;
    options.prepare = row->prepare_daemon;
    *siege = (struct siege){.stage = stage, .row = row, .neighbours = &neighbours};
    /* For who is somebody else. */
    assert_int_equal(chmod(stage->dir, 0711) + chmod(stage->socket_dir, 0755), 0);
    siege->daemon = stage_start(stage, &options);
    make_page(siege);
    fill(stage);
    neighbours_open(&neighbours, row->attack);
    uint64_t none[NEIGHBOURS_KINDS];
    look(siege, FIRST_LOOK_MS, none);
}

static void judge(const struct siege *siege, const struct figures *figures)
{
    const char *name = siege->row->attack;
    int slow = find_slow(figures);
    if (!is_judged())
        return;
    if (slow < NEIGHBOURS_VISIT)
        fail_msg("%s: %s: p99 is %.1f ms, and %.1f ms beside %s", name, neighbours_names[slow],
                 (double)figures->attacked_ns[slow] / 1e6, (double)figures->harmless_ns[slow] / 1e6,
                 siege->row->harmless);
    if (siege->anonymous_max > marks_sum(siege->row))
        fail_msg("%s: %zu MiB of RssAnon, the marks allow %zu", name, siege->anonymous_max / MIB,
                 marks_sum(siege->row) / MIB);
}

/* In one piece: other processes write too. */
static void print_figures(const struct siege *siege, const struct figures *figures)
{
    char line[LINE_MAX_SIZE] = "";
    size_t size = 0;
    for (int kind = 0; kind < NEIGHBOURS_KINDS; kind++)
        size += (size_t)snprintf(line + size, sizeof(line) - size, " %s %.1f %.1f",
                                 neighbours_names[kind], (double)figures->harmless_ns[kind] / 1e6,
                                 (double)figures->attacked_ns[kind] / 1e6);
    print_message("%s: %" PRIu64 " done, %" PRIu64 " cut, %" PRIu64 " refused; p99 in ms, harmless "
                  "and attacked:%s; RssAnon at most %zu MiB\n",
                  siege->row->attack, figures->done, figures->cut, figures->refused, line,
                  siege->anonymous_max / MIB);
}

static void end(struct siege *siege)
{
    neighbours_close(siege->neighbours);
    struct outcome health = stage_run(siege->stage, "health");
    stage_expect_code(&health, 0);
    assert_int_equal(stage_stop(siege->daemon), 0);
    munmap(siege->page, sizeof(*siege->page));
}

static const struct row *current;

static void run_row(struct stage *stage)
{
    struct siege siege;
    struct figures figures;
    lock_machine(F_WRLCK);
    begin(&siege, stage, current);
    size_t before = process_anonymous_bytes(siege.daemon);
    for (int i = 0; i < TRIES; i++) {
        compare_loads(&siege, &figures);
        print_figures(&siege, &figures);
        if (!is_judged() || find_slow(&figures) == NEIGHBOURS_VISIT)
            break;
        (void)wait_given_back(&siege, before);
    }
    assert_true(figures.done > 0);
    judge(&siege, &figures);
    lock_machine(F_UNLCK);
    uint64_t since_ns = until_now_ns();
    if (!wait_given_back(&siege, before))
        fail_msg("%s: %zu MiB of RssAnon after it, %zu before", current->attack,
                 process_anonymous_bytes(siege.daemon) / MIB, before / MIB);
    print_message("%s: given back after %" PRIu64 " ms\n", current->attack,
                  (until_now_ns() - since_ns) / 1000000);
    end(&siege);
}

static int set_up_row(void **state)
{
    current = *state;
    *state = (void *)(uintptr_t)run_row;
    return stage_setup(state);
}

/* The rows of one of the processes, or the only one that is wanted. */
static int run_rows(size_t process, const char *only)
{
    struct CMUnitTest tests[COUNT(rows)];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (only ? strcmp(rows[i].attack, only) == 0 : i % PROCESSES == process)
            tests[count++] = (struct CMUnitTest){rows[i].attack, stage_run_test, set_up_row,
                                                 stage_teardown, (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("siege", tests, count, NULL, NULL);
}

static pid_t begin_rows(size_t process)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    exit(getppid() == parent ? run_rows(process, NULL) : EXIT_FAILURE);
}

static int run_all_rows(void)
{
    pid_t pids[PROCESSES];
    int failed = 0;
    for (size_t i = 0; i < PROCESSES; i++)
        pids[i] = begin_rows(i);
    for (size_t i = 0; i < PROCESSES; i++) {
        int status = -1;
        failed |= pids[i] < 0 || waitpid(pids[i], &status, 0) != pids[i] || status != 0;
    }
    return failed;
}

/* siege [campaign] [ROW] */
int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "attack") == 0)
        return attack_run(argv[2], argv[3]);
    campaign = argc > 1 && strcmp(argv[1], "campaign") == 0;
    const char *only = argc > 1 + campaign ? argv[1 + campaign] : NULL;
    machine_fd = memfd_create("machine", MFD_CLOEXEC);
    if (machine_fd < 0)
        return EXIT_FAILURE;
    return only ? run_rows(0, only) : run_all_rows();
}
