/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define EXPORT __attribute__((visibility("default")))
/* What comes in by the other name of the same function, with 64-bit offsets in both. */
#define EXPORT_AS(name) __attribute__((visibility("default"), alias(#name)))

enum { FDS_MAX = 65536, STEP_NS = 1000000 };

/* What a descriptor is. */
enum { OTHER = 0, DATA, META };

static struct faults_control *control;
static int tape_fd = -1;
static int hwm = -1;
static unsigned lmdb_flags;
static _Atomic unsigned char fds[FDS_MAX];
static _Atomic int data_fd = -1;

/* -- the functions behind ours ----------------------------------------------------------------- */

static struct {
    int (*open)(const char *path, int flags, ...);
    int (*close)(int fd);
    ssize_t (*pwrite)(int fd, const void *bytes, size_t size, off_t offset);
    ssize_t (*writev)(int fd, const struct iovec *parts, int count);
    ssize_t (*pwritev)(int fd, const struct iovec *parts, int count, off_t offset);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*zmq_setsockopt)(void *socket, int option, const void *value, size_t size);
    int (*mdb_env_open)(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
} real;

/* Through memory, since ISO C has no conversion from an object's pointer to a function's. */
static void find(void *ret_function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(ret_function, &found, sizeof(found));
}

static void find_all(void)
{
    find(&real.open, "open");
    find(&real.close, "close");
    find(&real.pwrite, "pwrite");
    find(&real.writev, "writev");
    find(&real.pwritev, "pwritev");
    find(&real.fdatasync, "fdatasync");
    find(&real.fsync, "fsync");
    find(&real.zmq_setsockopt, "zmq_setsockopt");
    find(&real.mdb_env_open, "mdb_env_open");
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void map_control(const char *path)
{
    int fd = real.open(path, O_RDWR | O_CLOEXEC);
    void *memory = fd < 0 ? MAP_FAILED
                          : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        abort(); /* a test that injects nothing would pass for the wrong reason */
    control = memory;
    real.close(fd);
}

/* Other libraries' constructors may run, and open files, before this one. */
__attribute__((constructor)) static void begin(void)
{
    const char *path;
    if (real.open)
        return;
    find_all();
    if ((path = getenv("FAULTS_CONTROL")) != NULL)
        map_control(path);
    if ((path = getenv("FAULTS_TAPE")) != NULL &&
        (tape_fd = real.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) < 0)
        abort();
    if ((path = getenv("FAULTS_HWM")) != NULL)
        hwm = (int)strtol(path, NULL, 10);
    if ((path = getenv("FAULTS_LMDB_FLAGS")) != NULL)
        lmdb_flags = (unsigned)strtoul(path, NULL, 0);
}

/* -- the rule ---------------------------------------------------------------------------------- */

static bool read_rule(struct faults_rule *ret_rule, uint64_t *ret_serial)
{
    uint64_t serial = control ? atomic_load(&control->serial) : 1;
    if (serial % 2 != 0)
        return false;
    memcpy(ret_rule, &control->rule, sizeof(*ret_rule));
    *ret_serial = serial;
    return atomic_load(&control->serial) == serial;
}

/* What happens to this call; *ret_serial names the rule for a delay. */
static struct faults_rule judge(enum faults_kind kind, uint64_t *ret_serial)
{
    struct faults_rule rule = {.action = FAULTS_OFF};
    if (control)
        atomic_fetch_add(&control->calls, 1);
    if (!read_rule(&rule, ret_serial) || rule.action == FAULTS_OFF || !(rule.kinds & kind))
        return (struct faults_rule){.action = FAULTS_OFF};
    uint64_t number = atomic_fetch_add(&control->seen, 1) + 1;
    if (number < rule.first || number - rule.first >= rule.count)
        return (struct faults_rule){.action = FAULTS_OFF};
    atomic_fetch_add(&control->hits, 1);
    return rule;
}

static void wait_out(const struct faults_rule *rule, uint64_t serial)
{
    uint64_t due_ns = now_ns() + rule->delay_ns;
    atomic_fetch_add(&control->waiting, 1);
    while (now_ns() < due_ns && atomic_load(&control->serial) == serial) {
        struct timespec step = {.tv_nsec = STEP_NS};
        nanosleep(&step, NULL);
    }
    atomic_fetch_sub(&control->waiting, 1);
}

/* -- the tape ---------------------------------------------------------------------------------- */

static void put_take(const struct faults_take *take, const struct iovec *parts, int count)
{
    struct iovec *all = tape_fd >= 0 ? calloc((size_t)count + 1, sizeof(*all)) : NULL;
    int saved = errno;
    if (!all)
        return;
    all[0] = (struct iovec){(void *)(uintptr_t)take, sizeof(*take)};
    if (count > 0)
        memcpy(all + 1, parts, (size_t)count * sizeof(*all));
    /* In one piece, so that a daemon that is killed leaves whole takes but for the last. */
    if (real.writev(tape_fd, all, count + 1) < 0)
        abort();
    free(all);
    errno = saved;
}

/* -- one call ---------------------------------------------------------------------------------- */

struct call {
    enum faults_kind kind;
    int fd;
    const struct iovec *parts; /* of a write */
    int count;
    off_t offset;
    ssize_t (*make)(const struct call *call, bool skip);
};

static ssize_t make_call(const struct call *call)
{
    uint64_t serial = 0;
    struct faults_rule rule = judge(call->kind, &serial);
    struct faults_take take = {.kind = call->kind, .offset = (uint64_t)call->offset};
    ssize_t result = -1;
    for (int i = 0; i < call->count; i++)
        take.size += call->parts[i].iov_len;
    if (rule.action == FAULTS_DELAY)
        wait_out(&rule, serial);
    take.begun_ns = now_ns();
    if (rule.action != FAULTS_FAIL || rule.late)
        result = call->make(call, rule.action == FAULTS_SKIP);
    if (rule.action == FAULTS_FAIL) {
        result = -1;
        errno = rule.error;
    }
    take.ended_ns = now_ns();
    take.error = result < 0 ? errno : 0;
    if (rule.action != FAULTS_SKIP || call->kind == FAULTS_META)
        put_take(&take, call->parts, call->count);
    return result;
}

static ssize_t make_write(const struct call *call, bool skip)
{
    int fd = skip && call->kind == FAULTS_META ? atomic_load(&data_fd) : call->fd;
    return real.pwritev(fd, call->parts, call->count, call->offset);
}

static ssize_t make_fdatasync(const struct call *call, bool skip)
{
    return skip ? 0 : real.fdatasync(call->fd);
}

static ssize_t make_fsync(const struct call *call, bool skip)
{
    return skip ? 0 : real.fsync(call->fd);
}

static int kind_of(int fd)
{
    begin();
    return fd >= 0 && fd < FDS_MAX ? atomic_load(&fds[fd]) : OTHER;
}

static ssize_t write_at(int fd, const struct iovec *parts, int count, off_t offset)
{
    struct call call = {.kind = kind_of(fd) == META ? FAULTS_META : FAULTS_WRITE,
                        .fd = fd,
                        .parts = parts,
                        .count = count,
                        .offset = offset,
                        .make = make_write};
    return make_call(&call);
}

/* -- what is put before the C library ---------------------------------------------------------- */

static bool is_data_file(const char *path)
{
    static const char name[] = "data.mdb";
    size_t size = strlen(path);
    return size >= sizeof(name) - 1 && strcmp(path + size - (sizeof(name) - 1), name) == 0;
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0;
    va_end(more);
    begin();
    int fd = real.open(path, flags, mode);
    if (fd < 0 || fd >= FDS_MAX || !is_data_file(path))
        return fd;
    atomic_store(&fds[fd], (flags & O_DSYNC) ? META : DATA);
    if (!(flags & O_DSYNC))
        atomic_store(&data_fd, fd);
    return fd;
}

EXPORT_AS(open) int open64(const char *path, int flags, ...);

EXPORT int close(int fd)
{
    begin();
    if (fd >= 0 && fd < FDS_MAX)
        atomic_store(&fds[fd], OTHER);
    return real.close(fd);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    return kind_of(fd) == OTHER ? real.pwrite(fd, bytes, size, offset)
                                : write_at(fd, &part, 1, offset);
}

EXPORT_AS(pwrite) ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset);

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return kind_of(fd) == OTHER ? real.pwritev(fd, parts, count, offset)
                                : write_at(fd, parts, count, offset);
}

EXPORT_AS(pwritev)
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset);

/* LMDB seeks before each: that this one does not move the descriptor on is never seen. */
EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return kind_of(fd) == OTHER ? real.writev(fd, parts, count)
                                : write_at(fd, parts, count, lseek(fd, 0, SEEK_CUR));
}

EXPORT int fdatasync(int fd)
{
    struct call call = {
        .kind = kind_of(fd) == OTHER ? FAULTS_DIR : FAULTS_SYNC, .fd = fd, .make = make_fdatasync};
    return (int)make_call(&call);
}

EXPORT int fsync(int fd)
{
    struct call call = {
        .kind = kind_of(fd) == OTHER ? FAULTS_DIR : FAULTS_SYNC, .fd = fd, .make = make_fsync};
    return (int)make_call(&call);
}

/* LMDB calls it only with MDB_WRITEMAP, which is never used here. Were it, nothing on the tape
 * would be true: stop. */
EXPORT int msync(void *memory, size_t size, int flags)
{
    (void)memory;
    (void)size;
    (void)flags;
    abort();
}

EXPORT int zmq_setsockopt(void *socket, int option, const void *value, size_t size)
{
    begin();
    bool is_mark = option == ZMQ_SNDHWM || option == ZMQ_RCVHWM;
    if (hwm >= 0 && is_mark)
        return real.zmq_setsockopt(socket, option, &hwm, sizeof(hwm));
    return real.zmq_setsockopt(socket, option, value, size);
}

EXPORT int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
    begin();
    return real.mdb_env_open(env, path, flags | lmdb_flags, mode);
}
