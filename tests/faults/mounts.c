/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux, fs/ext4/ext4.h; no header for programs has it. */
#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH UINT32_C(2)

enum { MOUNTED_MAX = 4, TOOL_MS = 20000 };

static const char *mounted[MOUNTED_MAX];
static size_t mounted_count;

/* -- tools ------------------------------------------------------------------------------------- */

/* Its exit code. */
static int run_tool(const char *const *words)
{
    struct process tool = PROCESS_INIT;
    struct process_options options = {.argv = words};
    if (process_start(&tool, &options) != SPN_OK)
        return PROCESS_CANNOT_RUN;
    int code = process_wait(&tool, until_in(TOOL_MS));
    char *said = NULL;
    size_t size = 0;
    if (code != 0 && (said = process_errors(&tool, &size)) != NULL && size > 0)
        print_message("%s: %s", words[0], said);
    free(said);
    process_release(&tool);
    return code;
}

static int mount_image(const char *image, const char *path)
{
    const char *words[] = {"mount", "-t", "ext4", "-o", "loop,errors=continue", image, path, NULL};
    return run_tool(words);
}

/* Without journal checksums and the like: what matters is that it is small and quick. */
static int make_image(const char *image, unsigned size_mib)
{
    char size[16];
    snprintf(size, sizeof(size), "%uM", size_mib);
    const char *words[] = {"mkfs.ext4", "-q", "-F", "-b", "4096", image, size, NULL};
    return run_tool(words);
}

/* -- is it permitted? -------------------------------------------------------------------------- */

static bool try_tmpfs(const char *dir)
{
    if (mount("none", dir, "tmpfs", 0, "size=1m") != 0)
        return false;
    umount2(dir, MNT_DETACH);
    return true;
}

static bool try_ext4(const char *dir)
{
    char image[256], path[256];
    snprintf(image, sizeof(image), "%s/image", dir);
    snprintf(path, sizeof(path), "%s/mounted", dir);
    bool works =
        mkdir(path, 0700) == 0 && make_image(image, 8) == 0 && mount_image(image, path) == 0;
    if (works)
        umount2(path, MNT_DETACH);
    unlink(image);
    rmdir(path);
    return works;
}

bool mounts_allowed(enum mounts_kind kind, const char **ret_why)
{
    char dir[] = "/tmp/spn-XXXXXX";
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        *ret_why = "a mount namespace of its own is not permitted here";
        return false;
    }
    if (!mkdtemp(dir)) {
        *ret_why = "no temporary directory";
        return false;
    }
    bool works = kind == MOUNTS_TMPFS ? try_tmpfs(dir) : try_ext4(dir);
    rmdir(dir);
    *ret_why = kind == MOUNTS_TMPFS ? "mounting a tmpfs is not permitted here"
                                    : "no mkfs.ext4, or mounting a loop device is not permitted";
    return works;
}

/* -- mounting ---------------------------------------------------------------------------------- */

static void remember(const char *path)
{
    assert_true(mounted_count < MOUNTED_MAX);
    mounted[mounted_count++] = strdup(path);
}

int mounts_teardown(void **state)
{
    while (mounted_count > 0) {
        const char *path = mounted[--mounted_count];
        umount2(path, MNT_DETACH); /* processes may still have it; they go with the stage */
        free((void *)(uintptr_t)path);
    }
    return stage_teardown(state);
}

const char *mounts_tmpfs(struct stage *stage, const char *name, unsigned size_mib)
{
    const char *path = stage_make_dir(stage, name);
    if (mount("none", path, "tmpfs", 0, stage_format(stage, "size=%um,mode=0700", size_mib)) != 0)
        fail_msg("tmpfs on %s: %s", path, strerror(errno));
    remember(path);
    return path;
}

static const char *image_of(struct stage *stage, const char *path)
{
    return stage_format(stage, "%s.image", path);
}

const char *mounts_ext4(struct stage *stage, const char *name, unsigned size_mib)
{
    const char *path = stage_make_dir(stage, name);
    if (make_image(image_of(stage, path), size_mib) != 0 ||
        mount_image(image_of(stage, path), path) != 0)
        fail_msg("ext4 on %s", path);
    remember(path);
    return path;
}

void mounts_cut_power(const char *path)
{
    uint32_t flags = EXT4_GOING_FLAGS_NOLOGFLUSH;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &flags) != 0)
        fail_msg("shutdown of %s: %s", path, strerror(errno));
    close(fd);
}

void mounts_again(struct stage *stage, const char *path)
{
    if (umount2(path, 0) != 0)
        fail_msg("umount %s: %s", path, strerror(errno));
    if (mount_image(image_of(stage, path), path) != 0)
        fail_msg("%s does not mount again", path);
}
