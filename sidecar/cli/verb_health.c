/* SPDX-License-Identifier: Apache-2.0 */
/* verb_health: is the sidecar well? For people, for scripts that start programs after it, and for
 * those who restart it (--live) or send it work (--ready). */
#include "cli/cli.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli/look.h"

struct health {
    struct cli_common common;
    int wait_ms; /* 0: do not wait */
    bool json;
    bool live; /* any answer is a good one */
    bool ready;
};

enum { KEY_WAIT = CLI_KEY, KEY_JSON, KEY_LIVE, KEY_READY };

enum {
    POLL_MS = 100,
    PROBE_MS = 700, /* Kubernetes gives a probe a second, the start of this program included */
};

static const struct argp_option options[] = {
    {"live", KEY_LIVE, 0, 0,
     "exit with 0 if the sidecar answers at all, however it is: restarting it makes no room on a "
     "full disk (time-out: 0.7 s)",
     0},
    {"ready", KEY_READY, 0, 0, "exit with 0 only if the sidecar is ok (time-out: 0.7 s)", 0},
    {"wait", KEY_WAIT, "SECONDS", 0,
     "wait up to this long for the sidecar to start and to be ok (default: do not wait for a "
     "sidecar that is not running)",
     0},
    {"json", KEY_JSON, 0, 0,
     "an object with status, reason, version, pid, instance, uptime_ms, durable, checkpoint", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct health *health = state->input;
    switch (key) {
    case KEY_WAIT:
        health->wait_ms = cli_wait_ms("--wait", arg);
        return 0;
    case KEY_JSON:
        health->json = true;
        return 0;
    case KEY_LIVE:
        health->live = true;
        return 0;
    case KEY_READY:
        health->ready = true;
        return 0;
    case ARGP_KEY_END:
        if (health->live && health->ready)
            cli_usage("--live", "not with --ready");
        return 0;
    default:
        return cli_parse_rest(key, arg, state, NULL, &health->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Print the sidecar's status. Exits with 0 if it is ok, with 1 if it is degraded or "
           "stopping (not with --live), with 4 if a process listens that does not answer in time, "
           "with 5 if no sidecar is running, and with 2 if this user may not use read.sock, on "
           "which it is asked. A sidecar that starts answers when it has recovered.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

static const char *status_name(spn_status status)
{
    switch (status) {
    case SPN_HEALTHY:
        return "ok";
    case SPN_DEGRADED:
        return "degraded";
    case SPN_STOPPING:
        return "stopping";
    }
    return "unknown";
}

/* The instance is 64 random bits, which do not fit into a JSON number. So it is 16 hexadecimal
 * digits. */
static json_t *health_json(const struct spn_health *health)
{
    char instance[17];
    snprintf(instance, sizeof(instance), "%016llx", (unsigned long long)health->instance);
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I}", "status",
                     status_name(health->status), "reason", health->reason, "version",
                     health->version, "pid", (json_int_t)health->pid, "instance", instance,
                     "uptime_ms", (json_int_t)health->uptime_ms, "durable",
                     (json_int_t)health->durable, "checkpoint", (json_int_t)health->checkpoint);
}

/* "123.4 s" in a pipe. */
static const char *uptime(const struct look *look, uint64_t ms, char text[LOOK_TEXT_SIZE])
{
    if (look->terminal)
        return look_span(ms, text);
    snprintf(text, LOOK_TEXT_SIZE, "%.1f s", (double)ms / 1000);
    return text;
}

static void put_health(struct out *out, const struct spn_health *health)
{
    char rest[CLI_TEXT_SIZE];
    char up[LOOK_TEXT_SIZE];
    struct look look = look_of(out->fd);
    out_text(out, look_begin(&look, health->status == SPN_HEALTHY ? LOOK_GREEN : LOOK_RED));
    out_text(out, status_name(health->status));
    out_text(out, look_end(&look));
    if (health->reason[0]) {
        out_text(out, ": ");
        out_text(out, health->reason);
    }
    snprintf(rest, sizeof(rest),
             "\n  version     %s\n  pid         %lu\n  uptime      %s\n  durable     %llu\n"
             "  checkpoint  %llu\n",
             health->version, (unsigned long)health->pid, uptime(&look, health->uptime_ms, up),
             (unsigned long long)health->durable, (unsigned long long)health->checkpoint);
    out_text(out, rest);
}

static bool is_well(const struct health *asked, const struct spn_health *health)
{
    return asked->live || health->status == SPN_HEALTHY;
}

static int print(const struct health *options_given, const struct spn_health *health)
{
    struct out out;
    int exit_code = is_well(options_given, health) ? CLI_OK : CLI_FAILURE;
    out_init(&out, STDOUT_FILENO);
    if (!options_given->json)
        put_health(&out, health);
    else if (cli_put_json(&out, health_json(health)) != CLI_OK)
        exit_code = CLI_FAILURE;
    return cli_finish(&out, exit_code);
}

/* -- asking ------------------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int left_ms(int64_t until_ms)
{
    int64_t left = until_ms - now_ms();
    return left > 0 ? (int)left : 0;
}

/* An open client waits by itself for a sidecar that restarts, so the loop needs only a pause. Ends
 * when the sidecar is well or the time is up. *ret_health is then the last answer, if any. */
static spn_err ask(spn_client *client, int64_t until_ms, const struct health *asked,
                   const struct spn_health **ret_health)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    spn_err err;
    for (;;) {
        err = spn_get_health(client, left_ms(until_ms), ret_health);
        bool well = err == SPN_OK && is_well(asked, *ret_health);
        if (well || asked->wait_ms == 0 || left_ms(until_ms) < POLL_MS)
            return err;
        nanosleep(&pause, NULL);
    }
}

static void set_timeout(struct health *health)
{
    struct cli_common *common = &health->common;
    common->at_once = health->wait_ms == 0;
    if (health->wait_ms > 0)
        common->timeout_ms = health->wait_ms;
    else if (common->timeout_ms < 0 && (health->live || health->ready))
        common->timeout_ms = PROBE_MS;
}

int verb_health(int argc, char **argv)
{
    struct health health = {.common = {.timeout_ms = -1}};
    const struct spn_health *found;
    spn_client *client;
    cli_parse(&argp, argc, argv, &health);
    set_timeout(&health);
    int64_t until_ms = now_ms() + cli_timeout_ms(&health.common);
    int exit_code = cli_connect(&health.common, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    spn_err err = ask(client, until_ms, &health, &found);
    if (err == SPN_OK)
        exit_code = print(&health, found);
    else
        exit_code = cli_fail("sidecar", err, spn_client_detail(client));
    spn_client_close(client);
    return exit_code;
}
