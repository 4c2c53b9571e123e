/* SPDX-License-Identifier: Apache-2.0 */
#include "transcript.h"

#include <stdlib.h>
#include <string.h>

enum { HEX_COLUMN = 50, BYTES_PER_LINE = 16 };

static _Noreturn void give_up(const char *path, unsigned line, const char *words)
{
    fprintf(stderr, "%s:%u: %s\n", path, line, words);
    exit(2);
}

void transcript_mark(struct step *step, size_t at, size_t size, const char *name)
{
    step->marks = realloc(step->marks, (step->mark_count + 1) * sizeof(*step->marks));
    if (step->marks == NULL)
        abort();
    struct mark *mark = &step->marks[step->mark_count++];
    *mark = (struct mark){.at = at, .size = size};
    snprintf(mark->name, sizeof(mark->name), "%s", name);
}

void transcript_release(struct transcript *transcript)
{
    for (size_t i = 0; i < transcript->count; i++) {
        free(transcript->steps[i].text);
        free(transcript->steps[i].marks);
        bytes_release(&transcript->steps[i].golden);
        message_release(&transcript->steps[i].values);
    }
    free(transcript->steps);
}

/* -- reading ----------------------------------------------------------------------------------- */

static struct step *add_step(struct transcript *transcript, enum step_kind kind, const char *text)
{
    transcript->steps =
        realloc(transcript->steps, (transcript->count + 1) * sizeof(*transcript->steps));
    if (transcript->steps == NULL)
        abort();
    struct step *step = &transcript->steps[transcript->count++];
    *step = (struct step){.kind = kind, .text = strdup(text)};
    return step;
}

/* c read HELLO; with `lost` after it if the frame does not arrive */
static bool read_head(struct transcript *transcript, const char *line)
{
    char socket[8];
    char type[LAYOUT_NAME_SIZE];
    char lost[8] = "";
    int words = sscanf(line + 1, " %7s %23s %7s", socket, type, lost);
    if (words < 2 || layout_by_name(type) == NULL || (words == 3 && strcmp(lost, "lost") != 0))
        return false;
    struct step *step = add_step(transcript, *line == 'c' ? STEP_CLIENT : STEP_SIDECAR, line);
    step->layout = layout_by_name(type);
    step->socket = strcmp(socket, "read") == 0 ? READ : INGEST;
    step->lost = words == 3;
    step->values.layout = step->layout;
    return true;
}

/* Sizes and counts follow from the rest, and zeros from their absence: a field that is gone from
 * the layout with the value 0 is not missed. */
static void read_value(struct step *step, const char *word)
{
    const char *equals = strchr(word, '=');
    if (equals == NULL)
        return;
    bool follows = (equals - word > 5 && strncmp(equals - 5, ".size", 5) == 0) ||
                   (equals - word > 6 && strncmp(equals - 6, ".count", 6) == 0);
    if (!follows && equals[1 + strspn(equals + 1, "0")] != '\0')
        message_assign(&step->values, word);
}

/* HEX  [~NAME] REMARK */
static bool read_bytes(struct step *step, char *line)
{
    size_t at = step->golden.size;
    char *remark = strstr(line, "  ");
    if (*line == ' ')
        remark = line;
    if (remark != NULL)
        *remark++ = '\0';
    if (*line != '\0' && !bytes_from_hex(&step->golden, line))
        return false;
    for (char *word = remark != NULL ? strtok(remark, " ") : NULL; word != NULL;
         word = strtok(NULL, " ")) {
        if (*word == '~')
            transcript_mark(step, at, step->golden.size - at, word + 1);
        else
            read_value(step, word);
    }
    return true;
}

static bool read_line(struct transcript *transcript, char *line)
{
    struct step *last = transcript->count > 0 ? &transcript->steps[transcript->count - 1] : NULL;
    if ((*line == 'c' || *line == 's') && line[1] == ' ')
        return read_head(transcript, line);
    if (*line == '>')
        add_step(transcript, STEP_TELL, line + 1 + strspn(line + 1, " "));
    else if (*line == '<')
        add_step(transcript, STEP_EXPECT, line + 1 + strspn(line + 1, " "));
    else if (strcmp(line, "restart") == 0)
        add_step(transcript, STEP_RESTART, line);
    else if (*line == '#' || *line == '\0')
        add_step(transcript, STEP_REMARK, line);
    else
        return last != NULL && last->layout != NULL && read_bytes(last, line);
    return true;
}

void transcript_read(struct transcript *transcript, const char *path)
{
    char line[TRANSCRIPT_LINE_SIZE];
    unsigned number = 0;
    FILE *file = fopen(path, "r");
    *transcript = (struct transcript){0};
    if (file == NULL)
        give_up(path, 0, "cannot be opened");
    while (fgets(line, sizeof(line), file) != NULL) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (!read_line(transcript, line))
            give_up(path, number, "not understood");
        struct step *last = &transcript->steps[transcript->count - 1];
        last->line = last->line != 0 ? last->line : number;
    }
    fclose(file);
}

/* -- writing ----------------------------------------------------------------------------------- */

static void write_bytes(FILE *file, const uint8_t *bytes, size_t size, const char *mark,
                        const char *remark)
{
    size_t done = 0;
    do {
        size_t part = size - done < BYTES_PER_LINE ? size - done : BYTES_PER_LINE;
        for (size_t i = 0; i < part; i++)
            fprintf(file, i > 0 ? " %02x" : "%02x", bytes[done + i]);
        if (done == 0)
            fprintf(file, "%*s%s%s", (int)(HEX_COLUMN - part * 3 + (part == 0 ? 0 : 1)), "", mark,
                    remark);
        putc('\n', file);
        done += part;
    } while (done < size);
}

static const char *mark_at(const struct step *step, size_t at, char text[LAYOUT_NAME_SIZE + 4])
{
    text[0] = '\0';
    for (size_t i = 0; i < step->mark_count; i++)
        if (step->marks[i].at == at)
            snprintf(text, LAYOUT_NAME_SIZE + 4, "~%s ", step->marks[i].name);
    return text;
}

static void write_frame(FILE *file, const struct step *step)
{
    struct message message = {0};
    char words[WORDS_SIZE];
    char mark[LAYOUT_NAME_SIZE + 4];
    char remark[TRANSCRIPT_LINE_SIZE];
    const uint8_t *bytes = step->golden.at;
    size_t at = 8;
    if (step->golden.size < HEADER_SIZE) /* it was not reached */
        return;
    if (!message_decode(&message, bytes, step->golden.size, words))
        fprintf(file, "# it cannot be taken apart: %s\n", words);
    snprintf(remark, sizeof(remark), "magic, version %u.%u, type %u, zero", bytes[3], bytes[4],
             bytes[5]);
    write_bytes(file, bytes, at, "", remark);
    for (size_t i = 0; i < message.count; i++) {
        const struct value *value = &message.values[i];
        if (value->at < at || value->size == 0)
            continue;
        if (value->at > at)
            write_bytes(file, bytes + at, value->at - at, "", "zero");
        snprintf(remark, sizeof(remark), "%s=%.4000s", value->name, value->text);
        write_bytes(file, bytes + value->at, value->size, mark_at(step, value->at, mark), remark);
        at = value->at + value->size;
    }
    if (at < step->golden.size)
        write_bytes(file, bytes + at, step->golden.size - at, "", "zero");
    message_release(&message);
}

void transcript_write(FILE *file, const struct step *step)
{
    static const char *const before[] = {
        [STEP_REMARK] = "",  [STEP_TELL] = "> ", [STEP_EXPECT] = "< ",
        [STEP_RESTART] = "", [STEP_CLIENT] = "", [STEP_SIDECAR] = ""};
    fprintf(file, "%s%s\n", before[step->kind], step->text);
    if (step->layout != NULL)
        write_frame(file, step);
}
