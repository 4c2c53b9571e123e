/* SPDX-License-Identifier: Apache-2.0 */
#include "http_gateway.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

enum { WORDS_MAX = 48 };

const char *http_program(void)
{
    const char *path = getenv("SPONSON_TEST_SPONSON_HTTP");
    return path && *path ? path : HTTP_PROGRAM;
}

const char *http_socket(struct stage *stage)
{
    return stage_path(stage, "http.sock");
}

static void join_words(const char **all, size_t count, const char *const *more)
{
    while (*more) {
        assert_true(count < WORDS_MAX - 1);
        all[count++] = *more++;
    }
    all[count] = NULL;
}

struct process *http_start_words(struct stage *stage, const char *const *words, const char *socket)
{
    const char *all[WORDS_MAX] = {http_program(), "--socket", socket, "--ready-fd=3"};
    int ready[2];
    join_words(all, 4, words);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    struct process_options start = {
        .argv = all, .handed_fd = ready[1], .error_path = stage->log_path};
    struct process *gateway = stage_process(stage, &start);
    close(ready[1]);
    bool is_ready = stage_is_ready(ready[0], until_in(STAGE_WAIT_MS));
    close(ready[0]);
    if (!is_ready)
        fail_msg("sponson-http did not get ready; exit code %d",
                 process_wait(gateway, until_in(100)));
    return gateway;
}

struct outcome http_run_words(struct stage *stage, const char *const *words)
{
    const char *all[WORDS_MAX] = {http_program()};
    join_words(all, 1, words);
    struct process_options start = {.argv = all};
    return stage_end(stage, stage_process(stage, &start), until_in(STAGE_WAIT_MS));
}

unsigned http_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

unsigned http_fds(const struct process *process)
{
    char path[64];
    unsigned count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)process->pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}
