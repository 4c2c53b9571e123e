/* SPDX-License-Identifier: Apache-2.0 */
/* history-judge: the judge of history.h for tests that are not in C.
 *
 *     history-judge PRODUCERS < LINES
 *
 * A line is one call, its words with tabs between them:
 *     sent PRODUCER NUMBER SESSION
 *     acked PRODUCER NUMBER stored|not
 *     entry POSITION SEQ SESSION ID DATA
 * Prints the verdict. Ends with 1 if there is any trouble, or nothing in the log.
 */
#include <stdbool.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "history.h"

enum { WORDS_MAX = 6 };

static size_t split(char *line, char *words[WORDS_MAX])
{
    size_t count = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *at = line; at != NULL && count < WORDS_MAX; count++)
        words[count] = strsep(&at, "\t");
    return count;
}

static uint64_t number(const char *word)
{
    return strtoull(word, NULL, 10);
}

static struct spn_bytes bytes(const char *word)
{
    return (struct spn_bytes){word, strlen(word)};
}

/* false: the line is none of these. */
static bool take(struct history *history, char *words[WORDS_MAX], size_t count)
{
    if (count == 4 && strcmp(words[0], "sent") == 0)
        history_sent(history, (uint32_t)number(words[1]), number(words[2]), words[3], NULL);
    else if (count == 4 && strcmp(words[0], "acked") == 0)
        history_acked(history, (uint32_t)number(words[1]), number(words[2]),
                      strcmp(words[3], "stored") == 0 ? HISTORY_STORED : HISTORY_NOT_STORED);
    else if (count == 6 && strcmp(words[0], "entry") == 0)
        history_dumped(history, &(struct history_entry){.position = number(words[1]),
                                                        .seq = number(words[2]),
                                                        .session = bytes(words[3]),
                                                        .id = bytes(words[4]),
                                                        .data = bytes(words[5])});
    else
        return false;
    return true;
}

static int judge(struct history *history)
{
    struct history_verdict verdict = history_judge(history);
    printf("sent=%" PRIu64 " acked=%" PRIu64 " stored=%" PRIu64 " lost=%" PRIu64 " doubled=%" PRIu64
           " reordered=%" PRIu64 " skipped=%" PRIu64 " foreign=%" PRIu64 " misnumbered=%" PRIu64
           " denied=%" PRIu64 " first=\"%s\"\n",
           verdict.sent, verdict.acked, verdict.stored, verdict.lost, verdict.doubled,
           verdict.reordered, verdict.skipped, verdict.foreign, verdict.misnumbered, verdict.denied,
           verdict.first);
    return verdict.troubles > 0 || verdict.stored == 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t room = 0;
    char *words[WORDS_MAX];
    struct history *history = history_new(argc > 1 ? (uint32_t)number(argv[1]) : 1);
    int status = 0;
    while (status == 0 && getline(&line, &room, stdin) > 0)
        if (!take(history, words, split(line, words)))
            status = 2;
    if (status == 0)
        status = judge(history);
    else
        fprintf(stderr, "history-judge: not a line: %s\n", words[0]);
    history_free(history);
    free(line);
    return status;
}
