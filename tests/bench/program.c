/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "%s: ", program_invocation_short_name);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void *must_have(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        die("out of memory");
    return memory;
}

double us(const struct hist *hist, double percent)
{
    return (double)hist_percentile(hist, percent) / 1000;
}

void parse_number(const struct number *numbers, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(numbers[i].name);
        if (strncmp(word, numbers[i].name, size) != 0)
            continue;
        char *end;
        uint64_t value = strtoull(word + size, &end, 10);
        if (!isdigit((unsigned char)word[size]) || *end != '\0' || value < numbers[i].min ||
            value > numbers[i].max)
            die("not possible: %s", word);
        *numbers[i].value = value;
        return;
    }
    die("not known: %s", word);
}
