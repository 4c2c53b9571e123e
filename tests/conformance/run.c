/* SPDX-License-Identifier: Apache-2.0 */
/* sponson-conformance SCENARIO -- CLIENT...: one scenario with one client.
 *
 * A line of a scenario that begins with `>` goes to the client under test. One with `<` is what the
 * client must write next. Every other line is a command of the fake sidecar: see README.md.
 *
 * Exit code 0: it conforms. 1: it does not; the conversation is shown. 77: the client does not
 * support this. 2: the test could not run.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"

enum { ANSWER_MS = 15000, END_MS = 5000, SCENARIO_LINE_SIZE = 8192, EXIT_UNSUPPORTED = 77 };
enum { TRACE_MAX = 200 }; /* lines of the fake sidecar between two commands */

struct run {
    const char *path;
    unsigned line;
    struct child fake, client;
    FILE *trace;
    char *trace_text;
    size_t trace_size;
    bool unsupported;
    unsigned violations;
};

static bool failed(struct run *run, const char *what, const char *line)
{
    fprintf(run->trace, "%s:%u: %s: %s\n", run->path, run->line, what, line);
    return false;
}

/* Reads the fake's lines up to the answer to a command. */
static bool read_answer(struct run *run)
{
    const char *line;
    unsigned shown = 0;
    uint64_t due_ms = child_now_ms() + ANSWER_MS; /* a client in a loop may keep lines coming */
    while ((line = child_line(&run->fake, &run->client, ANSWER_MS)) != NULL &&
           child_now_ms() < due_ms) {
        if (++shown <= TRACE_MAX)
            fprintf(run->trace, shown < TRACE_MAX ? "    fake  %s\n" : "    fake  ...\n", line);
        if (strncmp(line, "violation ", 10) == 0)
            run->violations++;
        if (strcmp(line, "ok") == 0 || strcmp(line, "ready") == 0)
            return true;
        if (strncmp(line, "failed ", 7) == 0)
            return false;
    }
    return failed(run, "the fake sidecar does not answer", "");
}

static bool run_fake(struct run *run, const char *line)
{
    fprintf(run->trace, "%s\n", line);
    child_write(&run->fake, line);
    if (read_answer(run))
        return true;
    run->unsupported = run->unsupported || child_wrote(&run->client, "unsupported");
    return failed(run, "does not hold", line);
}

/* Word by word. `*` stands for any word, `...` for all that follow. */
static bool matches(const char *line, const char *pattern)
{
    for (;;) {
        line += strspn(line, " ");
        pattern += strspn(pattern, " ");
        size_t size = strcspn(line, " ");
        size_t wanted = strcspn(pattern, " ");
        if (wanted == 3 && strncmp(pattern, "...", 3) == 0)
            return true;
        if (size == 0 || wanted == 0)
            return size == wanted;
        bool any = wanted == 1 && *pattern == '*';
        if (!any && (size != wanted || strncmp(line, pattern, size) != 0))
            return false;
        line += size;
        pattern += wanted;
    }
}

static bool expect_client(struct run *run, const char *pattern)
{
    fprintf(run->trace, "< %s\n", pattern);
    const char *line = child_line(&run->client, &run->fake, ANSWER_MS);
    if (line == NULL)
        return failed(run, "the client writes nothing; it should write", pattern);
    fprintf(run->trace, "    client  %s\n", line);
    if (strncmp(line, "unsupported", 11) == 0) {
        run->unsupported = true;
        return false;
    }
    return matches(line, pattern) ? true : failed(run, "the client should write", pattern);
}

static bool run_line(struct run *run, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    line += strspn(line, " ");
    if (*line == '\0' || *line == '#')
        return true;
    if (*line == '<')
        return expect_client(run, line + 1 + strspn(line + 1, " "));
    if (*line != '>')
        return run_fake(run, line);
    fprintf(run->trace, "%s\n", line);
    child_write(&run->client, line + 1 + strspn(line + 1, " "));
    return true;
}

static bool run_scenario(struct run *run, FILE *file)
{
    char line[SCENARIO_LINE_SIZE];
    bool good = read_answer(run);
    while (good && fgets(line, sizeof(line), file) != NULL) {
        run->line++;
        good = run_line(run, line);
    }
    return good;
}

static void start(struct run *run, const char *dir, char **client)
{
    char fake[4096];
    ssize_t size = readlink("/proc/self/exe", fake, sizeof(fake) - 16);
    if (size < 0)
        exit(2);
    fake[size] = '\0';
    snprintf(strrchr(fake, '/') + 1, 16, "sponson-fake");
    setenv("SPONSON_SOCKET_DIR", dir, 1);
    child_start(&run->fake, "sponson-fake", (char *[]){fake, (char *)(uintptr_t)dir, NULL});
    child_start(&run->client, client[0], client);
}

static bool end(struct run *run)
{
    child_write(&run->client, "quit");
    int code = child_end(&run->client, END_MS);
    bool good = run_fake(run, "step"); /* what came last is checked too */
    child_write(&run->fake, "quit");
    (void)child_end(&run->fake, END_MS);
    if (code != 0)
        fprintf(run->trace, "the client ends with %d\n", code);
    if (run->violations > 0)
        fprintf(run->trace, "%s: %u violations\n", run->path, run->violations);
    return good && code == 0 && run->violations == 0;
}

int main(int count, char **arguments)
{
    char dir[] = "/tmp/sponson-conformance-XXXXXX";
    struct run run = {.path = count > 1 ? arguments[1] : ""};
    FILE *file = count > 3 && strcmp(arguments[2], "--") == 0 ? fopen(run.path, "r") : NULL;
    if (file == NULL) {
        fputs("usage: sponson-conformance SCENARIO -- CLIENT [ARGUMENT...]\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    run.trace = open_memstream(&run.trace_text, &run.trace_size);
    if (run.trace == NULL || mkdtemp(dir) == NULL)
        return 2;
    start(&run, dir, arguments + 3);
    bool good = run_scenario(&run, file);
    good = end(&run) && good;
    fclose(run.trace);
    fclose(file);
    rmdir(dir);
    if (!good)
        fputs(run.trace_text, stdout);
    free(run.trace_text);
    if (run.unsupported)
        return EXIT_UNSUPPORTED;
    return good ? 0 : 1;
}
