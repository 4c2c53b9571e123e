/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/look.h"

#include <assert.h>
#include <langinfo.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/text.h"
#include "sponson.h"

enum {
    WIDTH = 80,
    WIDTH_MIN = 20,
    GAP = 2, /* between two columns */
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
    DATE_AFTER_DAYS = 90,
};

/* -- the terminal ------------------------------------------------------------------------------ */

static unsigned width_of(int fd)
{
    struct winsize size;
    uint64_t columns = 0;
    const char *named = getenv("COLUMNS");
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    else if (!named || !text_count(named, 1, UINT16_MAX, &columns))
        columns = WIDTH;
    return columns < WIDTH_MIN ? WIDTH_MIN : (unsigned)columns;
}

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return (!no || !*no) && term && *term && strcmp(term, "dumb") != 0;
}

struct look look_of(int fd)
{
    bool terminal = isatty(fd);
    return (struct look){
        .terminal = terminal,
        .colour = terminal && wants_colour(),
        .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
        .width = terminal ? width_of(fd) : WIDTH,
    };
}

const char *look_begin(const struct look *look, enum look_colour colour)
{
    static const char *const escapes[] = {
#define LOOK_COLOUR_ROW(name, escape) "\033[" escape "m",
        LOOK_COLOUR_MAP(LOOK_COLOUR_ROW)
#undef LOOK_COLOUR_ROW
    };
    return look->colour ? escapes[colour] : "";
}

const char *look_end(const struct look *look)
{
    return look->colour ? "\033[0m" : "";
}

/* -- numbers and times ------------------------------------------------------------------------- */

/* A number of three digits or more with a unit: 1.23, 12.3, 123. */
static char *put_scaled(double value, const char *unit, char *ret_text)
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(ret_text, LOOK_TEXT_SIZE, "%.*f %s", decimals, value, unit);
    return ret_text;
}

static char *put_in_units(uint64_t number, double step, const char *const *units, size_t count,
                          char *ret_text)
{
    double value = (double)number;
    size_t unit = 0;
    while (unit + 1 < count && value >= step - 0.5) {
        value /= step;
        unit++;
    }
    if (unit > 0)
        return put_scaled(value, units[unit], ret_text);
    bool plain = units[0][0] == '\0';
    snprintf(ret_text, LOOK_TEXT_SIZE, "%llu%s%s", (unsigned long long)number, plain ? "" : " ",
             units[0]);
    return ret_text;
}

char *look_bytes(uint64_t bytes, char ret_text[LOOK_TEXT_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    return put_in_units(bytes, 1024, units, sizeof(units) / sizeof(units[0]), ret_text);
}

char *look_short(uint64_t count, char ret_text[LOOK_TEXT_SIZE])
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
    return put_in_units(count, 1000, units, sizeof(units) / sizeof(units[0]), ret_text);
}

char *look_count(uint64_t count, char ret_text[LOOK_TEXT_SIZE])
{
    char digits[LOOK_TEXT_SIZE];
    int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
    char *at = ret_text;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return ret_text;
}

char *look_amount(uint64_t count, char ret_text[LOOK_TEXT_SIZE])
{
    return count < 10000000 ? look_count(count, ret_text) : look_short(count, ret_text);
}

static char *put_two(uint64_t ms, uint64_t big, const char *big_unit, uint64_t small,
                     const char *small_unit, char *ret_text)
{
    uint64_t rest = ms % big / small;
    int size =
        snprintf(ret_text, LOOK_TEXT_SIZE, "%llu %s", (unsigned long long)(ms / big), big_unit);
    if (rest > 0)
        snprintf(ret_text + size, LOOK_TEXT_SIZE - (size_t)size, " %llu %s",
                 (unsigned long long)rest, small_unit);
    return ret_text;
}

char *look_span(uint64_t ms, char ret_text[LOOK_TEXT_SIZE])
{
    if (ms >= DAY_MS)
        return put_two(ms, DAY_MS, "d", HOUR_MS, "h", ret_text);
    if (ms >= HOUR_MS)
        return put_two(ms, HOUR_MS, "h", MINUTE_MS, "min", ret_text);
    if (ms >= MINUTE_MS)
        return put_two(ms, MINUTE_MS, "min", SECOND_MS, "s", ret_text);
    if (ms < SECOND_MS)
        snprintf(ret_text, LOOK_TEXT_SIZE, "%llu ms", (unsigned long long)ms);
    else
        snprintf(ret_text, LOOK_TEXT_SIZE, ms % SECOND_MS ? "%.1f s" : "%.0f s",
                 (double)(ms - ms % 100) / 1000);
    return ret_text;
}

char *look_ago(uint64_t time_ms, uint64_t now_ms, char ret_text[LOOK_TEXT_SIZE])
{
    static const struct {
        uint64_t ms;
        const char *unit;
    } units[] = {{DAY_MS, "d"}, {HOUR_MS, "h"}, {MINUTE_MS, "min"}, {SECOND_MS, "s"}};
    uint64_t age = now_ms > time_ms ? now_ms - time_ms : 0;
    char time[TEXT_TIME_SIZE];
    text_time(time_ms, time);
    snprintf(ret_text, LOOK_TEXT_SIZE, "now");
    if (age / DAY_MS >= DATE_AFTER_DAYS) {
        snprintf(ret_text, LOOK_TEXT_SIZE, "%.10s", time);
        return ret_text;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (age < units[i].ms)
            continue;
        snprintf(ret_text, LOOK_TEXT_SIZE, "%llu %s ago", (unsigned long long)(age / units[i].ms),
                 units[i].unit);
        break;
    }
    return ret_text;
}

/* -- columns ----------------------------------------------------------------------------------- */

/* The columns of the next character, and its bytes. What the locale cannot read is one column. */
static unsigned columns_of(const char *text, size_t size, size_t *ret_bytes)
{
    wchar_t wide = L' ';
    mbstate_t state = {0};
    size_t got = mbrtowc(&wide, text, size, &state);
    *ret_bytes = 1;
    if (got == 0 || got > size)
        return 1;
    int columns = wcwidth(wide);
    *ret_bytes = got;
    return columns >= 0 ? (unsigned)columns : 1;
}

/* The bytes that fit into width columns, and the columns that they take. */
static size_t fit(struct spn_bytes text, unsigned width, unsigned *ret_columns)
{
    const char *bytes = text.data;
    size_t at = 0;
    *ret_columns = 0;
    while (at < text.size) {
        size_t step;
        unsigned columns = columns_of(bytes + at, text.size - at, &step);
        if (*ret_columns + columns > width)
            break;
        *ret_columns += columns;
        at += step;
    }
    return at;
}

static void put_spaces(struct out *out, unsigned count)
{
    for (; count > 0; count--)
        out_text(out, " ");
}

/* Returns the columns that it takes. */
static unsigned put_cut(struct out *out, const struct look *look, struct spn_bytes text,
                        unsigned width)
{
    unsigned used;
    size_t size = fit(text, look->terminal ? width : UINT_MAX, &used);
    bool whole = size == text.size;
    unsigned dots = look->utf8 ? 1 : 3;
    if (!whole)
        size = fit(text, width > dots ? width - dots : 0, &used);
    out_put(out, text.data, size);
    if (whole)
        return used;
    out_text(out, look->utf8 ? "\u2026" : "...");
    return used + dots;
}

void look_put(struct out *out, const struct look *look, struct spn_bytes text, unsigned width,
              bool right)
{
    unsigned columns;
    bool whole = fit(text, width, &columns) == text.size;
    put_spaces(out, right && whole ? width - columns : 0);
    columns = put_cut(out, look, text, width);
    put_spaces(out, (right && whole) || columns > width ? 0 : width - columns);
}

/* -- tables ------------------------------------------------------------------------------------ */

void look_table_init(struct look_table *table, const struct look *look,
                     const struct look_column *columns, unsigned count)
{
    unsigned used = 0;
    unsigned shown = 0;
    assert(count > 0 && count <= LOOK_COLUMNS_MAX);
    for (; shown + 1 < count; shown++) {
        unsigned more = columns[shown].width + GAP;
        if (used + more + columns[count - 1].width > look->width)
            break;
        used += more;
    }
    *table = (struct look_table){
        .look = *look,
        .columns = columns,
        .count = count,
        .shown = shown,
        .name_width = look->width - used,
    };
}

void look_table_row(const struct look_table *table, struct out *out, const struct spn_bytes *texts,
                    int coloured, enum look_colour colour)
{
    for (unsigned i = 0; i < table->shown; i++) {
        const struct look_column *column = &table->columns[i];
        bool paint = coloured == (int)i;
        out_text(out, paint ? look_begin(&table->look, colour) : "");
        look_put(out, &table->look, texts[i], column->width, column->right);
        out_text(out, paint ? look_end(&table->look) : "");
        put_spaces(out, GAP);
    }
    put_cut(out, &table->look, texts[table->count - 1], table->name_width);
    out_text(out, "\n");
}

void look_table_heads(const struct look_table *table, struct out *out)
{
    struct spn_bytes heads[LOOK_COLUMNS_MAX] = {{NULL, 0}};
    for (unsigned i = 0; i < table->count; i++)
        heads[i] = spn_text(table->columns[i].head);
    out_text(out, look_begin(&table->look, LOOK_BOLD));
    look_table_row(table, out, heads, -1, LOOK_BOLD);
    out_text(out, look_end(&table->look));
}
