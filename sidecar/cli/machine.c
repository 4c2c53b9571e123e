/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Enough for the first processor's paragraph, and more than /proc/PID/status ever has. */
enum { PROC_SIZE = 8192 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void copy_value(const char *from, char ret_value[MACHINE_TEXT_SIZE])
{
    while (is_blank(*from))
        from++;
    size_t size = strcspn(from, "\n");
    while (size > 0 && is_blank(from[size - 1]))
        size--;
    if (size > MACHINE_TEXT_SIZE - 1)
        size = MACHINE_TEXT_SIZE - 1;
    memcpy(ret_value, from, size);
    ret_value[size] = '\0';
}

bool machine_field(const char *text, const char *key, char ret_value[MACHINE_TEXT_SIZE])
{
    size_t size = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, size) != 0)
            continue;
        const char *at = line + size;
        while (is_blank(*at))
            at++;
        if (*at != ':')
            continue;
        copy_value(at + 1, ret_value);
        return true;
    }
    return false;
}

/* Reads the beginning of a file, as a string. */
static bool read_text(const char *path, char ret_text[PROC_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, ret_text, PROC_SIZE - 1);
    close(fd);
    if (size < 0)
        return false;
    ret_text[size] = '\0';
    return true;
}

void machine_look(struct machine *machine)
{
    char text[PROC_SIZE];
    struct utsname names = {0};
    *machine = (struct machine){.cores = sysconf(_SC_NPROCESSORS_ONLN), .cpu = "unknown"};
    if (read_text("/proc/cpuinfo", text))
        machine_field(text, "model name", machine->cpu);
    if (uname(&names) == 0)
        snprintf(machine->kernel, sizeof(machine->kernel), "%.40s %.40s %.40s", names.sysname,
                 names.release, names.machine);
}

bool machine_rss_anon(pid_t pid, uint64_t *ret_bytes)
{
    char path[64];
    char text[PROC_SIZE];
    char value[MACHINE_TEXT_SIZE];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (!read_text(path, text) || !machine_field(text, "RssAnon", value))
        return false;
    *ret_bytes = strtoull(value, NULL, 10) * 1024; /* "1234 kB" */
    return true;
}
