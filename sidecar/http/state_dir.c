/* SPDX-License-Identifier: Apache-2.0 */
#include "http/state_dir.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/own_files.h"
#include "base/random.h"
#include "sponson.h"

/* The id is written as a life is: 16 bytes in hexadecimal digits. */
enum { TEXT_SIZE = SPN_LIFE_TEXT_SIZE };
static_assert(sizeof(struct spn_life) == STATE_DIR_ID_SIZE, "an id is as long as a life");

static const char name[] = "producer";

static bool parse(const char *text, size_t size, uint8_t id[STATE_DIR_ID_SIZE])
{
    struct spn_life read;
    if (size != TEXT_SIZE || text[TEXT_SIZE - 1] != '\n' ||
        spn_life_parse((struct spn_bytes){text, TEXT_SIZE - 1}, &read) != SPN_OK)
        return false;
    memcpy(id, read.bytes, STATE_DIR_ID_SIZE);
    return true;
}

/* On disk before it is used: else a power loss could leave an id at the sidecar that nobody has. */
static const char *write_new(int dir_fd, struct state_dir *state)
{
    char text[TEXT_SIZE];
    struct spn_life drawn;
    if (random_fill(drawn.bytes, sizeof(drawn.bytes)) != SPN_OK)
        return strerror(errno);
    memcpy(state->id, drawn.bytes, STATE_DIR_ID_SIZE);
    spn_life_format(&drawn, text);
    text[TEXT_SIZE - 1] = '\n';
    if (pwrite(state->fd, text, TEXT_SIZE, 0) != TEXT_SIZE || fsync(state->fd) != 0 ||
        (fsync(dir_fd) != 0 && errno != EINVAL))
        return strerror(errno);
    return NULL;
}

/* NULL, or why not. */
static const char *open_file(int dir_fd, const char *dir, struct state_dir *state)
{
    char text[TEXT_SIZE + 1];
    const char *why = own_files_check_dir(dir);
    if (why != NULL)
        return why;
    state->fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (state->fd < 0)
        return strerror(errno);
    why = own_files_check_open(dir, state->fd);
    if (why != NULL)
        return why;
    if (flock(state->fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? "another gateway uses it" : strerror(errno);
    ssize_t size = pread(state->fd, text, sizeof(text), 0);
    if (size < 0)
        return strerror(errno);
    if (size == 0)
        return write_new(dir_fd, state);
    return parse(text, (size_t)size, state->id)
               ? NULL
               : "it is not the id of a producer: delete it, and a new one is drawn";
}

bool state_dir_open(struct state_dir *ret_state, const char *dir, char *ret_why, size_t why_size)
{
    struct state_dir state = {.fd = -1};
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        (void)snprintf(ret_why, why_size, "--state-dir %s: %s", dir, strerror(errno));
        return false;
    }
    const char *why = open_file(dir_fd, dir, &state);
    if (why != NULL) {
        (void)snprintf(ret_why, why_size, "--state-dir %s: %s%s%s", dir, state.fd < 0 ? "" : name,
                       state.fd < 0 ? "" : ": ", why);
        state_dir_close(&state);
    }
    (void)close(dir_fd);
    if (why == NULL)
        *ret_state = state;
    return why == NULL;
}

void state_dir_close(struct state_dir *state)
{
    if (state->fd >= 0)
        (void)close(state->fd);
    state->fd = -1;
}
