/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "tape.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static uint8_t *read_file(const char *path, size_t *ret_size)
{
    struct stat status;
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), &status) != 0)
        fail_msg("%s: %s", path, strerror(errno));
    uint8_t *bytes = malloc((size_t)status.st_size + 1);
    assert_non_null(bytes);
    *ret_size = fread(bytes, 1, (size_t)status.st_size, file);
    fclose(file);
    return bytes;
}

/* The take at *at; false: there is no whole one any more. */
static bool next_take(const uint8_t *bytes, size_t size, size_t *at, struct tape_take *ret_take)
{
    if (size - *at < sizeof(ret_take->call))
        return false;
    memcpy(&ret_take->call, bytes + *at, sizeof(ret_take->call));
    *at += sizeof(ret_take->call);
    if (ret_take->call.size > size - *at)
        return false;
    ret_take->bytes = bytes + *at;
    *at += ret_take->call.size;
    return true;
}

void tape_open(struct tape *ret_tape, const char *path)
{
    size_t size, at = 0, room = 0;
    struct tape_take take;
    struct tape tape = {.bytes = read_file(path, &size)};
    while (next_take(tape.bytes, size, &at, &take)) {
        assert_true(take.call.kind != 0 && take.call.kind <= FAULTS_DIR);
        if (tape.count == room) {
            room = room > 0 ? room * 2 : 256;
            tape.takes = realloc(tape.takes, room * sizeof(*tape.takes));
            assert_non_null(tape.takes);
        }
        tape.takes[tape.count++] = take;
    }
    *ret_tape = tape;
}

void tape_close(struct tape *tape)
{
    free(tape->bytes);
    free(tape->takes);
}
