/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "dump.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "event_list.h"
#include "stage.h"

enum { DUMP_MS = 120000, LINES_MORE = 10000 };

/* False: there is no end to them. */
static bool read_lines(struct history *history, FILE *lines)
{
    uint64_t left = 2 * history_judge(history).sent + LINES_MORE;
    struct event_item item = {.retry_ms = -1};
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    while (left-- > 0 && (size = getline(&line, &room, lines)) > 0) {
        if (!event_item_from_json(&item, line, (size_t)size))
            continue;
        history_dumped(history, &(struct history_entry){.session = item.session,
                                                        .id = item.id,
                                                        .data = item.data,
                                                        .seq = item.seq,
                                                        .position = item.position});
    }
    event_item_release(&item);
    free(line);
    return feof(lines) != 0;
}

int dump_into(struct history *history, const char *data_dir, const char *error_path)
{
    const char *words[] = {stage_sponson(), "dump", "--data-dir", data_dir, NULL};
    struct process dump = PROCESS_INIT;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct process_options options = {
        .argv = words, .output_fd = ends[1], .error_path = error_path};
    assert_int_equal(process_start(&dump, &options), SPN_OK);
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "re");
    assert_non_null(lines);
    bool ended = read_lines(history, lines);
    fclose(lines);
    if (!ended)
        process_kill(&dump);
    int code = process_wait(&dump, until_in(DUMP_MS));
    process_release(&dump);
    return ended ? code : DUMP_ENDLESS;
}
