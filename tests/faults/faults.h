/* SPDX-License-Identifier: Apache-2.0 */
/* faults: a library to be preloaded into the daemon, between it and its storage.
 *
 *     LD_PRELOAD=libfaults.so FAULTS_CONTROL=FILE [FAULTS_TAPE=FILE] [FAULTS_HWM=N] sponsond …
 *
 * LMDB 0.9.24 with default sync makes four kinds of calls on data.mdb. It opens the file twice. A
 * commit writes its pages through the first descriptor (pwrite for one run of pages, lseek and
 * writev for more), then calls fdatasync on it, then writes 120 bytes of a meta page with pwrite
 * through the second descriptor, which was opened with O_DSYNC and so syncs by itself. A new
 * database begins with a pwrite of both meta pages, and the daemon calls fsync on its directory
 * and the parent. Files of another name than data.mdb are left alone.
 *
 * FAULTS_CONTROL names a file that holds one struct faults_control, which this library and the
 * test both map: the test switches a running daemon by storing a rule into it, and reads what
 * became of it, also after the daemon was killed. The test makes the file. A rule applies to the
 * calls of its kinds from the `first` one on, counted from when it was armed (by 1), and to
 * `count` of them:
 *
 *     FAULTS_FAIL   returns -1 with this errno. The call is not made; or, with `late`, it is made
 *                   and reported as failed all the same, which is what a disk may do as well.
 *     FAULTS_DELAY  waits so long before the call, or until the rule changes, then makes it.
 *     FAULTS_SKIP   a disk that lies: syncs do nothing and report success, and a meta page goes
 *                   through the first descriptor, unsynced.
 *
 * FAULTS_TAPE names a file to which every call is appended when it has returned: a struct
 * faults_take, and after a write its bytes. A skipped sync is not on it. The order on the tape is
 * the order of the calls, since LMDB has one writer.
 *
 * FAULTS_HWM sets the high-water marks of all ZeroMQ sockets, whatever the program asks for, and
 * FAULTS_LMDB_FLAGS adds flags to those with which it opens its database.
 *
 * Threads  any; a rule that changes while a call is under way may or may not apply to that call.
 */
#ifndef SPN_FAULTS_H
#define SPN_FAULTS_H

#include <stdatomic.h>
#include <stdint.h>

/* Kinds of calls, as bits. */
enum faults_kind {
    FAULTS_WRITE = 1, /* pages of data.mdb */
    FAULTS_SYNC = 2,  /* fdatasync, fsync, msync of data.mdb */
    FAULTS_META = 4,  /* a meta page, synchronously */
    FAULTS_DIR = 8,   /* fsync of anything else: of directories */
    FAULTS_ALL = 15,
};

enum faults_action { FAULTS_OFF = 0, FAULTS_FAIL, FAULTS_DELAY, FAULTS_SKIP };

#define FAULTS_FOR_EVER UINT64_MAX

struct faults_rule {
    uint32_t action; /* enum faults_action */
    uint32_t kinds;  /* bits of enum faults_kind */
    uint64_t first;
    uint64_t count;
    int32_t error; /* an errno */
    uint32_t late; /* 0 or 1 */
    uint64_t delay_ns;
};

struct faults_control {
    /* Odd while the rule is being stored. What is armed under a new number counts from zero. */
    _Atomic uint64_t serial;
    struct faults_rule rule;
    _Atomic uint64_t seen;    /* calls of the rule's kinds since it was armed */
    _Atomic uint64_t hits;    /* calls it applied to */
    _Atomic uint64_t waiting; /* calls that are in a delay now */
    _Atomic uint64_t calls;   /* all calls, ever */
};

struct faults_take {
    uint64_t begun_ns; /* CLOCK_MONOTONIC */
    uint64_t ended_ns;
    uint64_t offset; /* of a write */
    uint64_t size;   /* of a write, as it was asked for; so many bytes follow */
    uint32_t kind;   /* one of enum faults_kind */
    int32_t error;   /* 0: the call succeeded */
};

#endif
