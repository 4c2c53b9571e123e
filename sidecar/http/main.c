/* SPDX-License-Identifier: Apache-2.0 */
/* sponson-http: the gateway's process: its signals, its sockets, its start and its end. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "http/admin.h"
#include "http/doors.h"
#include "http/ds/poll.h"
#include "http/gateway.h"
#include "http/head_guard.h"
#include "http/limits.h"
#include "http/publish.h"
#include "http/routes.h"
#include "http/service.h"
#include "http/stream.h"

enum {
    EXIT_FAILED = 1,
    DESCRIPTORS_MAX = 1 << 20,
    MAPPED_MIN = 128 * 1024, /* bytes of a block that goes back to the system when it is freed */
};

/* The options in force, and where they came from when the gateway started. */
struct running {
    struct http_options *options;
    struct config *config;
};

#define STOP_NS UINT64_C(5000000000) /* for what is being published; streams need less */

static int open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -1;
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* As many descriptors as the system allows, since each connection is one. Returns how many. */
static unsigned raise_limit(void)
{
    struct rlimit limit = {.rlim_max = DESCRIPTORS_MAX};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return DESCRIPTORS_MAX;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return (unsigned)limit.rlim_cur;
}

static void say_ready(const struct http_options *options, const struct doors *doors)
{
    char quoted[LOG_QUOTED_MAX];
    log_info("ready", "version=%s pid=%d sockets=%zu socket=%s", SPONSON_VERSION, (int)getpid(),
             doors->count, log_quote(doors->owns_socket ? options->socket : "", quoted));
    if (options->ready_fd < 0)
        return;
    (void)!write(options->ready_fd, "ready\n", 6);
    (void)close(options->ready_fd);
}

static void set_log(const struct http_options *options)
{
    log_set((enum log_level)options->log_level, (enum log_format)options->log_format);
}

/* A file that is wrong changes nothing. Most options are looked at whenever they are used. */
static void reload(struct gateway *gateway, const struct doors *doors, struct running *running)
{
    static struct http_options fresh;
    if (config_reload(running->config, running->options, &fresh, NULL, NULL))
        set_log(running->options);
    admin_print(gateway, doors->list, doors->count);
    char why[512];
    char quoted[LOG_QUOTED_MAX];
    if (!gateway_read_keys(gateway, why, sizeof(why))) {
        log_error("keys", "reason=%s", log_quote(why, quoted));
        return;
    }
    if (gateway->keys != NULL) {
        stream_end_revoked(gateway);
        ds_poll_end_revoked(gateway);
    }
    log_info("keys", "count=%zu", gateway->keys != NULL ? keys_count(gateway->keys) : 0);
}

/* Returns the signal that ends the gateway; 0: an error did. */
static int serve(struct gateway *gateway, const struct doors *doors, int signals,
                 struct service *service, struct running *running)
{
    for (;;) {
        bool has_signal;
        spn_err err = gateway_turn(gateway, signals, &has_signal);
        if (err != SPN_OK) {
            char quoted[LOG_QUOTED_MAX];
            log_error("failed", "error=%s reason=%s", spn_err_name(err),
                      log_quote(spn_client_detail(gateway->client), quoted));
            return 0;
        }
        struct signalfd_siginfo info;
        if (!has_signal || read(signals, &info, sizeof(info)) != sizeof(info))
            continue;
        if (info.ssi_signo != SIGHUP)
            return (int)info.ssi_signo;
        service_reloading(service);
        reload(gateway, doors, running);
        service_reloaded(service);
    }
}

/* No new connections; what is published gets its answers; streams end properly. */
static void stop(struct gateway *gateway, int signals)
{
    uint64_t end_ns = gateway_now_ns() + STOP_NS;
    gateway->is_stopping = true;
    web_quiesce(gateway->web);
    stream_end_all(gateway);
    publish_end_all(gateway);
    ds_poll_end_all(gateway);
    bool has_signal = false;
    while (!has_signal && gateway_now_ns() < end_ns &&
           (!link_alone(&gateway->streams) || !link_alone(&gateway->posts) ||
            !link_alone(&gateway->polls) || !link_alone(&gateway->publishers)))
        if (gateway_turn(gateway, signals, &has_signal) != SPN_OK)
            return;
}

int main(int argc, char **argv)
{
    static struct http_options options;
    static struct gateway gateway;
    static struct service service;
    static struct config *config; /* as long as the program runs, as its options */
    struct doors doors;
    char detail[512] = "";
    char quoted[LOG_QUOTED_MAX];
    config = options_parse(&options, argc, argv);
    set_log(&options);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_MIN); /* else it grows with the blocks that are freed */
    if (!head_guard_init(raise_limit()))
        return EXIT_FAILED;
    int signals = open_signals();
    if (signals < 0) {
        log_error("start", "reason=%s", log_quote(strerror(errno), quoted));
        return EXIT_FAILED;
    }
    if (!doors_open(&doors, &options, detail, sizeof(detail))) {
        doors_close(&doors, &options);
        log_error("start", "reason=%s", log_quote(detail, quoted));
        return EXIT_FAILED;
    }
    const struct gateway_parts parts = {
        .begin = routes_begin,
        .slow = limits_slow,
        .pressed = stream_cut_holders,
        .lane = publish_lane_calls,
    };
    spn_err err =
        gateway_open(&gateway, &options, &parts, doors.list, doors.count, detail, sizeof(detail));
    if (err != SPN_OK) {
        log_error("start", "error=%s reason=%s", spn_err_name(err), log_quote(detail, quoted));
        doors_close(&doors, &options);
        return EXIT_FAILED;
    }
    admin_print(&gateway, doors.list, doors.count);
    say_ready(&options, &doors);
    service_ready(&service, &gateway);
    int ended_by = serve(&gateway, &doors, signals, &service, &(struct running){&options, config});
    service_stopping(&service);
    if (ended_by != 0)
        stop(&gateway, signals);
    log_info("stopped", "signal=%d", ended_by);
    service_close(&service);
    gateway_close(&gateway);
    doors_close(&doors, &options);
    return ended_by != 0 ? EXIT_SUCCESS : EXIT_FAILED;
}
