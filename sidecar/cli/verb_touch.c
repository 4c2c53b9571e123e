/* SPDX-License-Identifier: Apache-2.0 */
/* verb_touch: keeps a session from its idle close and its time to live, without an event. */
#include "cli/cli.h"

#include "cli/session_change.h"

struct touch {
    struct cli_words words;
    struct cli_common common;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct touch *touch = state->input;
    return cli_parse_rest(key, arg, state, &touch->words, &touch->common);
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "SESSION",
    .doc =
        "Touch a session: its idle close and its time to live count from now, as after an event. "
        "A closed session lives longer, and stays closed."
        "\vExits with 3 if there is no such session.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

static spn_err publish(spn_client *client, struct spn_bytes session, const void *argument,
                       int timeout_ms, const struct spn_published **ret_published)
{
    (void)argument;
    return spn_touch_once(client, session, NULL, timeout_ms, ret_published);
}

int verb_touch(int argc, char **argv)
{
    struct touch touch = {
        .words = {.name = "SESSION", .count_min = 1, .count_max = 1},
        .common = {.timeout_ms = -1},
    };
    cli_parse(&argp, argc, argv, &touch);
    struct spn_bytes session = cli_session(touch.words.at[0]);
    char what[CLI_TEXT_SIZE];
    int exit_code = session_change_run(&touch.common, publish, session, NULL, NULL);
    if (exit_code == CLI_OK)
        cli_say_done("touched", cli_session_words(session, what));
    return exit_code;
}
