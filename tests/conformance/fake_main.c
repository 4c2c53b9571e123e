/* SPDX-License-Identifier: Apache-2.0 */
/* sponson-fake DIRECTORY: commands on standard input, one a line; each is answered with `ok` or
 * `failed WORDS`. Between them, one line for each message: see README.md. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script.h"

enum { LINE_SIZE = 1 << 16 };

static char line[LINE_SIZE];
static size_t filled;

/* False: standard input has ended, or quit came. */
static bool run_lines(struct fake *fake)
{
    char words[WORDS_SIZE];
    for (char *end = memchr(line, '\n', filled); end != NULL; end = memchr(line, '\n', filled)) {
        size_t used = (size_t)(end - line) + 1;
        *end = '\0';
        enum script_outcome outcome = script_run(fake, line, words);
        if (outcome == SCRIPT_OK || outcome == SCRIPT_QUIT)
            puts("ok");
        else
            printf("failed %s\n", words);
        fflush(stdout);
        if (outcome == SCRIPT_QUIT)
            return false;
        filled -= used;
        memmove(line, line + used, filled);
    }
    return true;
}

static bool read_input(struct fake *fake)
{
    if (filled == sizeof(line)) {
        fputs("sponson-fake: a line is too long\n", stderr);
        exit(2);
    }
    ssize_t got = read(STDIN_FILENO, line + filled, sizeof(line) - filled);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (got <= 0)
        return false;
    filled += (size_t)got;
    return run_lines(fake);
}

int main(int count, char **arguments)
{
    struct fake fake;
    if (count != 2) {
        fputs("usage: sponson-fake DIRECTORY\n", stderr);
        return 2;
    }
    layout_load();
    fake_open(&fake, arguments[1]);
    puts("ready");
    bool more = true;
    while (more) {
        fake_step(&fake, STDIN_FILENO, -1);
        zmq_pollitem_t input = {.fd = STDIN_FILENO, .events = ZMQ_POLLIN};
        if (zmq_poll(&input, 1, 0) > 0)
            more = read_input(&fake);
    }
    fake_close(&fake);
    return 0;
}
