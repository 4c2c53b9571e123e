/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_screen.h"

#include <curses.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

enum {
    INTERVAL_MIN_MS = 100,
    INTERVAL_MAX_MS = 60000,
    KEY_ESCAPE = 27,
    KEY_RETURN = '\r',
    ESCAPE_MS = 25,
    COLOURS_FIRST = 1,
};

struct screen {
    struct top *top;
    struct top_choice *choice;
    struct top_page page;
    int interval_ms;
    int64_t due_ms; /* the next sample */
    bool colours;
    bool filtering; /* what is typed goes into the filter */
    bool quit;
    enum top_view back; /* the view before help */
    char said[TOP_WORDS_SIZE];
};

static int64_t now_ms(void)
{
    return (int64_t)(clock_monotonic_ns() / 1000000u);
}

/* -- drawing ----------------------------------------------------------------------------------- */

static attr_t attributes_of(const struct screen *screen, enum top_style style)
{
    bool colours = screen->colours;
    switch (style) {
    case TOP_GOOD:
        return A_BOLD | (colours ? COLOR_PAIR(COLOURS_FIRST) : 0);
    case TOP_BAD:
        return A_BOLD | (colours ? COLOR_PAIR(COLOURS_FIRST + 1) : 0);
    case TOP_HEAD:
        return A_BOLD | A_UNDERLINE;
    case TOP_SELECTED:
        return A_REVERSE;
    case TOP_DIM:
        return A_DIM;
    case TOP_PLAIN:
        break;
    }
    return A_NORMAL;
}

static void draw_line(const struct screen *screen, int y, const char *text, size_t size,
                      enum top_style style)
{
    attr_t attributes = attributes_of(screen, style);
    (void)attrset((int)attributes);
    (void)mvaddnstr(y, 0, text, (int)size);
    if (style == TOP_SELECTED || style == TOP_HEAD)
        while (getcurx(stdscr) < COLS - 1 && addch(' ') == OK) {
        }
    (void)attrset(A_NORMAL);
}

static void draw_bottom(const struct screen *screen)
{
    static const char *const keys[] = {
        [TOP_SESSIONS] = "? keys  q quit  r b e t n sort  / filter  f follow  c processes",
        [TOP_CLIENTS] = "? keys  q quit  c sessions",
        [TOP_EVENTS] = "? keys  q quit  Esc back",
        [TOP_HELP] = "Esc back  q quit",
    };
    char line[2 * TOP_WORDS_SIZE];
    const struct top_choice *choice = screen->choice;
    if (screen->filtering)
        snprintf(line, sizeof(line), "only names with: %s_", choice->filter);
    else if (screen->said[0])
        snprintf(line, sizeof(line), "%s", screen->said);
    else if (choice->filter[0] && choice->view == TOP_SESSIONS)
        snprintf(line, sizeof(line), "%s  (only names with \"%s\")", keys[choice->view],
                 choice->filter);
    else
        snprintf(line, sizeof(line), "%s", keys[choice->view]);
    draw_line(screen, LINES - 1, line, strnlen(line, (size_t)COLS - 1), TOP_DIM);
}

static spn_err draw(struct screen *screen)
{
    screen->page.look.width = COLS > 1 ? (unsigned)COLS - 1 : 1;
    screen->page.height = (size_t)LINES;
    spn_err err = top_page_make(&screen->page, screen->top, screen->choice);
    if (err != SPN_OK)
        return err;
    (void)erase();
    for (size_t i = 0; i < screen->page.count && (int)i < LINES - 1; i++) {
        const struct top_line *line = &screen->page.lines[i];
        draw_line(screen, (int)i, screen->page.text.data + line->at, line->size, line->style);
    }
    draw_bottom(screen);
    (void)refresh();
    return SPN_OK;
}

/* -- keys -------------------------------------------------------------------------------------- */

static void follow(struct screen *screen)
{
    const struct top_session *session =
        top_page_selected(&screen->page, screen->top, screen->choice);
    if (!session)
        return;
    spn_err err = top_follow(screen->top, session);
    if (err == SPN_OK)
        screen->choice->view = TOP_EVENTS;
    else
        snprintf(screen->said, sizeof(screen->said), "cannot follow it: %s", spn_err_text(err));
}

static void go_back(struct screen *screen)
{
    struct top_choice *choice = screen->choice;
    if (choice->view == TOP_HELP) {
        choice->view = screen->back;
        return;
    }
    spn_err err = top_follow(screen->top, NULL);
    (void)err;
    if (choice->view == TOP_SESSIONS)
        choice->filter[0] = '\0';
    choice->view = TOP_SESSIONS;
}

static void type_filter(struct screen *screen, int key)
{
    char *filter = screen->choice->filter;
    size_t size = strlen(filter);
    if (key == KEY_ESCAPE)
        filter[0] = '\0';
    if (key == KEY_ESCAPE || key == KEY_RETURN || key == '\n' || key == KEY_ENTER) {
        screen->filtering = false;
    } else if (key == KEY_BACKSPACE || key == 127 || key == '\b') {
        while (size > 0 && ((unsigned char)filter[size - 1] & 0xC0) == 0x80)
            filter[--size] = '\0'; /* the rest of a character of several bytes */
        if (size > 0)
            filter[size - 1] = '\0';
    } else if (key >= ' ' && key <= UINT8_MAX && size + 1 < TOP_FILTER_SIZE) {
        filter[size] = (char)key;
        filter[size + 1] = '\0';
    }
    screen->choice->selected = 0;
}

/* True: it was a key that moves. */
static bool move_selected(struct screen *screen, int key)
{
    struct top_choice *choice = screen->choice;
    size_t rows = top_page_rows(&screen->page, screen->top, choice);
    size_t page = LINES > 8 ? (size_t)LINES - 7 : 1;
    size_t at = choice->selected;
    size_t last = rows > 0 ? rows - 1 : 0;
    switch (key) {
    case KEY_UP:
        at = at > 0 ? at - 1 : 0;
        break;
    case KEY_DOWN:
        at++;
        break;
    case KEY_PPAGE:
        at = at > page ? at - page : 0;
        break;
    case KEY_NPAGE:
        at += page;
        break;
    case KEY_HOME:
        at = 0;
        break;
    case KEY_END:
        at = last;
        break;
    default:
        return false;
    }
    choice->selected = at < last ? at : last;
    return true;
}

static bool choose_sort(struct screen *screen, int key)
{
    static const char keys[] = {
#define TOP_SORT_KEY(name, key, option) key,
        TOP_SORT_MAP(TOP_SORT_KEY)
#undef TOP_SORT_KEY
    };
    for (size_t i = 0; i < sizeof(keys); i++) {
        if (keys[i] != key)
            continue;
        screen->choice->sort = (enum top_sort)i;
        screen->choice->selected = 0;
        return true;
    }
    return false;
}

static void set_interval(struct screen *screen, int ms)
{
    screen->interval_ms = ms < INTERVAL_MIN_MS   ? INTERVAL_MIN_MS
                          : ms > INTERVAL_MAX_MS ? INTERVAL_MAX_MS
                                                 : ms;
    snprintf(screen->said, sizeof(screen->said), "every %.1f s", screen->interval_ms / 1000.0);
    screen->due_ms = now_ms() + screen->interval_ms;
}

static void press(struct screen *screen, int key)
{
    struct top_choice *choice = screen->choice;
    screen->said[0] = '\0';
    if (screen->filtering) {
        type_filter(screen, key);
        return;
    }
    if (move_selected(screen, key) || (choice->view == TOP_SESSIONS && choose_sort(screen, key)))
        return;
    switch (key) {
    case 'q':
        screen->quit = true;
        break;
    case '?':
    case 'h':
        screen->back = choice->view == TOP_HELP ? screen->back : choice->view;
        choice->view = TOP_HELP;
        break;
    case KEY_ESCAPE:
    case KEY_LEFT:
        go_back(screen);
        break;
    case 'c':
        choice->view = choice->view == TOP_CLIENTS ? TOP_SESSIONS : TOP_CLIENTS;
        choice->selected = 0;
        break;
    case '/':
        screen->filtering = choice->view == TOP_SESSIONS;
        break;
    case 'f':
    case KEY_RETURN:
    case '\n':
    case KEY_ENTER:
        follow(screen);
        break;
    case 'p':
        choice->paused = !choice->paused;
        break;
    case '+':
        set_interval(screen, screen->interval_ms / 2);
        break;
    case '-':
        set_interval(screen, screen->interval_ms * 2);
        break;
    default:
        break;
    }
}

/* -- the loop ---------------------------------------------------------------------------------- */

static void wait_for_something(const struct screen *screen)
{
    int64_t left_ms = screen->due_ms - now_ms();
    bool follows = screen->top->events && !screen->top->ended;
    struct pollfd fds[] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = follows ? spn_client_fd(screen->top->client) : -1, .events = POLLIN},
    };
    (void)poll(fds, 2, left_ms > 0 ? (int)left_ms : 0);
}

/* An error of the client itself is shown with the next sample. */
static void take_followed(struct screen *screen)
{
    spn_err err = spn_client_step(screen->top->client);
    (void)err;
    if (!screen->choice->paused)
        (void)top_follow_take(screen->top);
}

static spn_err run(struct screen *screen)
{
    spn_err err = SPN_OK;
    while (err == SPN_OK && !screen->quit) {
        int key;
        if (now_ms() >= screen->due_ms) {
            if (!screen->choice->paused || !screen->top->known)
                (void)top_take(screen->top);
            screen->due_ms = now_ms() + screen->interval_ms;
        }
        take_followed(screen);
        err = draw(screen);
        if (err == SPN_OK)
            wait_for_something(screen);
        while (!screen->quit && (key = getch()) != ERR)
            press(screen, key);
    }
    return err;
}

static void begin_colours(struct screen *screen)
{
    struct look look = look_of(STDOUT_FILENO);
    if (!look.colour || !has_colors() || start_color() != OK || use_default_colors() != OK)
        return;
    (void)init_pair(COLOURS_FIRST, COLOR_GREEN, -1);
    (void)init_pair(COLOURS_FIRST + 1, COLOR_RED, -1);
    screen->colours = true;
}

int top_screen_run(struct top *top, struct top_choice *choice, int interval_ms)
{
    struct screen screen = {
        .top = top,
        .choice = choice,
        .page = {.look = look_of(STDOUT_FILENO)},
        .interval_ms = interval_ms > INTERVAL_MIN_MS ? interval_ms : INTERVAL_MIN_MS,
    };
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (!terminal)
        return cli_fail("terminal", SPN_E_SYSTEM, "TERM names no terminal that is known here");
    out_init(&screen.page.text, -1);
    screen.page.look.colour = false; /* curses has the colours */
    begin_colours(&screen);
    (void)cbreak();
    (void)noecho();
    (void)nonl();
    (void)curs_set(0);
    (void)keypad(stdscr, true);
    (void)nodelay(stdscr, true);
    (void)set_escdelay(ESCAPE_MS);
    spn_err err = run(&screen);
    (void)endwin();
    delscreen(terminal);
    top_page_release(&screen.page);
    return err == SPN_OK ? CLI_OK : cli_fail("top", err, NULL);
}
