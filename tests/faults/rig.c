/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void rig_open(struct rig *rig, struct stage *stage)
{
    *rig = (struct rig){.stage = stage, .control_path = stage_path(stage, "faults")};
    int fd = open(rig->control_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*rig->control)) != 0)
        fail_msg("%s: %s", rig->control_path, strerror(errno));
    void *memory = mmap(NULL, sizeof(*rig->control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED)
        fail_msg("mmap: %s", strerror(errno));
    rig->control = memory;
}

void rig_close(struct rig *rig)
{
    munmap(rig->control, sizeof(*rig->control));
}

void rig_record(struct rig *rig, const char *name)
{
    rig->tape_path = stage_path(rig->stage, name);
}

/* -- under a daemon ---------------------------------------------------------------------------- */

void rig_add_word(struct stage_daemon *options, const char *word)
{
    size_t at = 0;
    while (options->under[at])
        at++;
    assert_true(at < STAGE_WORDS_MAX - 1);
    options->under[at] = word;
}

/* AddressSanitizer wants to be the first library, and can live without. */
static const char *sanitizer_words(const struct rig *rig)
{
    const char *given = getenv("ASAN_OPTIONS");
    return stage_format(rig->stage, "ASAN_OPTIONS=%s:verify_asan_link_order=0", given ? given : "");
}

void rig_under(const struct rig *rig, struct stage_daemon *options)
{
    rig_add_word(options, "env");
    rig_add_word(options, "LD_PRELOAD=" RIG_LIBRARY);
    rig_add_word(options, stage_format(rig->stage, "FAULTS_CONTROL=%s", rig->control_path));
    if (rig->tape_path)
        rig_add_word(options, stage_format(rig->stage, "FAULTS_TAPE=%s", rig->tape_path));
    if (until_sanitized())
        rig_add_word(options, sanitizer_words(rig));
}

/* -- rules ------------------------------------------------------------------------------------- */

void rig_arm(struct rig *rig, const struct faults_rule *rule)
{
    struct faults_control *control = rig->control;
    atomic_fetch_add(&control->serial, 1);
    control->rule = *rule;
    atomic_store(&control->seen, 0);
    atomic_store(&control->hits, 0);
    atomic_fetch_add(&control->serial, 1);
}

void rig_clear(struct rig *rig)
{
    static const struct faults_rule off = {.action = FAULTS_OFF};
    uint64_t hits = rig_hits(rig);
    rig_arm(rig, &off);
    atomic_store(&rig->control->hits, hits);
}

uint64_t rig_hits(const struct rig *rig)
{
    return atomic_load(&rig->control->hits);
}

uint64_t rig_calls(const struct rig *rig)
{
    return atomic_load(&rig->control->calls);
}

static bool look_held(void *argument)
{
    const struct rig *rig = argument;
    return atomic_load(&rig->control->waiting) > 0;
}

void rig_wait_held(const struct rig *rig)
{
    if (!until_true(until_in(STAGE_WAIT_MS), look_held, (void *)(uintptr_t)rig))
        fail_msg("no call of the daemon is held");
}
