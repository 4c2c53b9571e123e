/* SPDX-License-Identifier: Apache-2.0 */
#include "http/doors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/handed_over.h"

enum { BACKLOG = 4096, HOST_SIZE = 256 };

#define ONLY_HANDED_OVER "TCP comes only through ListenStream=127.0.0.1:PORT of its .socket unit"

struct opening {
    struct doors *doors;
    char *detail;
    size_t detail_size;
};

static bool fail(struct opening *opening, const char *address, const char *why)
{
    (void)snprintf(opening->detail, opening->detail_size, "%s: %s", address, why);
    return false;
}

static bool fail_errno(struct opening *opening, const char *address)
{
    char words[128];
    return fail(opening, address, strerror_r(errno, words, sizeof(words)));
}

/* address: NULL: a Unix socket. */
static bool add(struct opening *opening, int fd, const struct sockaddr *address, socklen_t size,
                bool is_admin)
{
    struct doors *doors = opening->doors;
    char *host = doors->hosts[doors->count % WEB_DOORS_MAX];
    if (doors->count == WEB_DOORS_MAX) {
        (void)close(fd);
        return fail(opening, "sockets", "there are too many");
    }
    if (address != NULL &&
        getnameinfo(address, size, host, DOORS_HOST_SIZE, NULL, 0, NI_NUMERICHOST) != 0) {
        (void)close(fd);
        return fail(opening, "sockets", "one has an address that cannot be read");
    }
    doors->list[doors->count++] = (struct web_door){.fd = fd,
                                                    .is_tcp = address != NULL,
                                                    .host = address != NULL ? host : NULL,
                                                    .is_admin = is_admin};
    return true;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *ip4 = (const void *)address;
        return ntohl(ip4->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family != AF_INET6)
        return false;
    const struct sockaddr_in6 *ip6 = (const void *)address;
    return memcmp(&ip6->sin6_addr, &in6addr_loopback, sizeof(in6addr_loopback)) == 0;
}

/* Every user of this host can reach TCP, so it needs a key; without one, loopback and the explicit
 * word. NULL: allowed. */
static const char *refusal(const struct sockaddr *address, const struct http_options *options,
                           bool is_admin)
{
    if (is_admin)
        return is_loopback(address) ? NULL : "is not on loopback, as the admin listener must be";
    if (options->key_file != NULL)
        return NULL;
    if (!options->insecure_loopback)
        return "is on TCP: that needs --key-file (or --insecure-loopback to try it)";
    return is_loopback(address) ? NULL : "is not on loopback: that needs --key-file";
}

/* -- sockets that were handed over ------------------------------------------------------------- */

static bool take_over(struct opening *opening, const struct http_options *options,
                      const struct handed_over *handed)
{
    for (size_t i = 0; i < handed->count; i++) {
        int fd = HANDED_OVER_FIRST + (int)i;
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t size = sizeof(address);
        const char *why = handed_over_fault(fd);
        if (why == NULL && getsockname(fd, (struct sockaddr *)&address, &size) != 0)
            return fail_errno(opening, handed->names[i]);
        bool is_tcp = address.ss_family != AF_UNIX;
        bool is_admin = strcmp(handed->names[i], "admin") == 0;
        const struct sockaddr *at = (const void *)&address;
        if (why == NULL && is_tcp)
            why = refusal(at, options, is_admin);
        if (why != NULL)
            return fail(opening, handed->names[i], why);
        if (!add(opening, fd, is_tcp ? at : NULL, size, is_admin))
            return false;
    }
    return true;
}

/* -- Unix -------------------------------------------------------------------------------------- */

/* Nobody listens there any more: its process ended without deleting the file. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused = fd >= 0 &&
                   connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0)
        (void)close(fd);
    return refused;
}

static bool bind_unix(int fd, const struct sockaddr_un *address)
{
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return true;
    if (errno != EADDRINUSE || !is_stale(address) || unlink(address->sun_path) != 0)
        return false;
    return bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
}

static bool fail_unix(struct opening *opening, const char *path)
{
    return errno == ENOENT
               ? fail(opening, path, "its directory does not exist (--socket, or --no-socket)")
               : fail_errno(opening, path);
}

/* The umask gives the file no more than the mode from its first moment on. */
static bool open_unix(struct opening *opening, const struct http_options *options)
{
    const char *path = options->socket;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return fail(opening, path, "is too long for a Unix socket");
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(opening, path);
    mode_t before = umask(0777);
    bool is_bound = bind_unix(fd, &address);
    (void)umask(before);
    bool is_open = is_bound &&
                   (options->socket_group == (gid_t)-1 ||
                    chown(path, (uid_t)-1, options->socket_group) == 0) &&
                   chmod(path, options->socket_mode) == 0 && listen(fd, BACKLOG) == 0;
    if (!is_open) {
        (void)fail_unix(opening, path);
        (void)close(fd);
        return false;
    }
    opening->doors->owns_socket = true;
    return add(opening, fd, NULL, 0, false);
}

/* -- TCP --------------------------------------------------------------------------------------- */

/* "127.0.0.1:8080", "[::1]:8080". Names are not looked up. */
static struct addrinfo *parse_address(const char *text)
{
    char host[HOST_SIZE];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof(host))
        return NULL;
    size_t size = (size_t)(colon - text);
    bool is_bracketed = text[0] == '[' && text[size - 1] == ']';
    if (!is_bracketed && memchr(text, ':', size) != NULL)
        return NULL;
    memcpy(host, text + is_bracketed, size - 2 * is_bracketed);
    host[size - 2 * (size_t)is_bracketed] = '\0';
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    return getaddrinfo(host, colon + 1, &hints, &found) == 0 ? found : NULL;
}

static bool open_tcp(struct opening *opening, const struct http_options *options, const char *text,
                     bool is_admin)
{
    struct addrinfo *address = parse_address(text);
    if (address == NULL)
        return fail(opening, text, "is not ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080");
    const char *why = refusal(address->ai_addr, options, is_admin);
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_open = why == NULL && fd >= 0 &&
                   setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
                   bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    if (why == NULL && fd < 0 && errno == EAFNOSUPPORT)
        why = "this service has no network: " ONLY_HANDED_OVER;
    if (why != NULL)
        (void)fail(opening, text, why);
    else if (!is_open)
        (void)fail_errno(opening, text);
    if (is_open)
        is_open = add(opening, fd, address->ai_addr, address->ai_addrlen, is_admin);
    else if (fd >= 0)
        (void)close(fd);
    freeaddrinfo(address);
    return is_open;
}

/* -- all --------------------------------------------------------------------------------------- */

static bool has_admin(const struct doors *doors)
{
    for (size_t i = 0; i < doors->count; i++)
        if (doors->list[i].is_admin)
            return true;
    return false;
}

/* Beside sockets that were handed over only an admin listener is opened: who hands them over says
 * where requests come in. */
static bool open_beside(struct opening *opening, const struct http_options *options)
{
    if (options->listen.count > 0)
        return fail(opening, options->listen.items[0],
                    "sockets were handed over (LISTEN_FDS): " ONLY_HANDED_OVER);
    if (options->admin_listen == NULL)
        return true;
    if (has_admin(opening->doors))
        return fail(opening, options->admin_listen, "an admin socket was handed over already");
    return open_tcp(opening, options, options->admin_listen, true);
}

static bool open_all(struct opening *opening, const struct http_options *options)
{
    if (options->socket[0] != '\0' && !open_unix(opening, options))
        return false;
    for (size_t i = 0; i < options->listen.count; i++)
        if (!open_tcp(opening, options, options->listen.items[i], false))
            return false;
    if (options->admin_listen != NULL && !open_tcp(opening, options, options->admin_listen, true))
        return false;
    return opening->doors->count > 0 ||
           fail(opening, "--no-socket", "there is nothing to listen on");
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to through `opening`. */
bool doors_open(struct doors *ret_doors, const struct http_options *options, char *ret_detail,
                size_t detail_size)
{
    *ret_doors = (struct doors){.count = 0};
    struct opening opening = {ret_doors, ret_detail, detail_size};
    struct handed_over handed;
    char why[HANDED_OVER_WHY_MAX];
    spn_err err = handed_over_take(&handed, why);
    if (err != SPN_OK)
        return fail(&opening, "sockets", err == SPN_E_INVALID ? why : "out of memory");
    bool is_open = handed.count > 0
                       ? take_over(&opening, options, &handed) && open_beside(&opening, options)
                       : open_all(&opening, options);
    handed_over_release(&handed);
    return is_open;
}

void doors_close(struct doors *doors, const struct http_options *options)
{
    if (doors->owns_socket)
        (void)unlink(options->socket);
    doors->owns_socket = false;
}
