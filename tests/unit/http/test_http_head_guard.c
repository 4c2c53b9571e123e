/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_head_guard: libmicrohttpd receives through head_guard, and reads what head.h reads.
 *
 * The rows of test_http_head go through a socket to a real libmicrohttpd, whole and byte by byte:
 * good ones give the requests and bodies that the row states; a bad one is never served, and
 * nothing after it. Without the guard the second is not so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "head_rows.h"
#include "http/head_guard.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { FD_MAX = 256, TURNS = 4, ANSWERS_MAX = 16384, MUTATED = 20000, MUTATED_MAX = 2048 };

/* One connection at a time. */
static struct {
    bool guarded;
    int fd;
    struct head head;
    uint32_t request;
    unsigned served;
    unsigned refused;
    bool smuggled; /* the request after a bad one was served */
    bool closed;
    bool closed_by_itself; /* before the server ended */
    char bodies[1024];
    size_t body_size;
} seen;

/* -- the server -------------------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    assert_non_null(response);
    if (status != 200)
        assert_int_equal(MHD_add_response_header(response, "Connection", "close"), MHD_YES);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* As the gateway does it: looks for a fault at each step of a request. */
static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **context)
{
    (void)cls;
    (void)method;
    (void)version;
    bool first = *context == NULL;
    if (first)
        seen.request++;
    *context = &seen;
    if (seen.guarded && head_fault(&seen.head, seen.request)) {
        seen.refused++;
        return answer(connection, 400);
    }
    if (first)
        return MHD_YES;
    if (*size > 0) {
        assert_true(seen.body_size + *size <= sizeof(seen.bodies));
        memcpy(seen.bodies + seen.body_size, data, *size);
        seen.body_size += *size;
        *size = 0;
        return MHD_YES;
    }
    seen.served++;
    seen.smuggled = seen.smuggled || strcmp(url, "/smuggled") == 0;
    return answer(connection, 200);
}

static void note_connection(void *cls, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode code)
{
    (void)cls;
    (void)context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        head_guard_forget(seen.fd);
        seen.closed = true;
        return;
    }
    seen.fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    if (seen.guarded)
        assert_true(head_guard_watch(seen.fd, &seen.head));
}

static size_t keep_escaped(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static struct MHD_Daemon *open_server(void)
{
    struct MHD_Daemon *server =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, handle, NULL,
                         MHD_OPTION_NOTIFY_CONNECTION, note_connection, NULL,
                         MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL, MHD_OPTION_END);
    assert_non_null(server);
    return server;
}

/* -- the client -------------------------------------------------------------------------------- */

static void turn(struct MHD_Daemon *server)
{
    for (int i = 0; i < TURNS; i++)
        assert_int_equal(MHD_run_wait(server, 0), MHD_YES);
}

static void send_all(int fd, const char *bytes, size_t size, size_t piece,
                     struct MHD_Daemon *server)
{
    for (size_t at = 0; at < size && !seen.closed; at += piece) {
        size_t length = size - at < piece ? size - at : piece;
        ssize_t sent = send(fd, bytes + at, length, MSG_NOSIGNAL);
        assert_true(sent == (ssize_t)length || sent < 0); /* the server may be gone */
        turn(server);
    }
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

struct answers {
    unsigned ok;
    unsigned bad; /* status 400, and others that libmicrohttpd itself gives */
};

static struct answers receive_all(int fd)
{
    static char text[ANSWERS_MAX];
    size_t size = 0;
    for (ssize_t got = 1; got > 0; size += got > 0 ? (size_t)got : 0)
        got = read(fd, text + size, sizeof(text) - 1 - size);
    text[size] = '\0';
    unsigned ok = count_of(text, "HTTP/1.1 200 ") + count_of(text, "HTTP/1.0 200 ");
    return (struct answers){ok, count_of(text, "HTTP/1.1 ") + count_of(text, "HTTP/1.0 ") - ok};
}

/* half_close: the client ends its side when it has sent everything. */
static struct answers converse_until(const char *bytes, size_t size, size_t piece, bool guarded,
                                     bool half_close)
{
    int ends[2];
    memset(&seen, 0, sizeof(seen));
    seen.guarded = guarded;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    struct MHD_Daemon *server = open_server();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_int_equal(
        MHD_add_connection(server, ends[1], (struct sockaddr *)&address, sizeof(address)), MHD_YES);
    turn(server);
    send_all(ends[0], bytes, size, piece, server);
    if (half_close)
        (void)shutdown(ends[0], SHUT_WR);
    turn(server);
    seen.closed_by_itself = seen.closed;
    struct answers answers = receive_all(ends[0]);
    MHD_stop_daemon(server);
    assert_true(seen.closed);
    close(ends[0]);
    return answers;
}

static struct answers converse(const char *bytes, size_t size, size_t piece, bool guarded)
{
    return converse_until(bytes, size, piece, guarded, true);
}

/* -- tests ------------------------------------------------------------------------------------- */

static void check_good(const struct head_good_row *row, size_t piece)
{
    struct answers answers = converse(row->bytes, row->size, piece, true);
    assert_int_equal(seen.served, row->requests);
    assert_int_equal(seen.refused, 0);
    assert_int_equal(answers.ok, row->requests);
    assert_int_equal(answers.bad, 0);
    assert_int_equal(seen.body_size, strlen(row->bodies));
    assert_memory_equal(seen.bodies, row->bodies, seen.body_size);
}

static void good_row(void **state)
{
    const struct head_good_row *row = *state;
    check_good(row, row->size);
    check_good(row, 1);
}

static size_t with_smuggled(const struct head_bad_row *row, char *ret_bytes)
{
    memcpy(ret_bytes, row->bytes, row->size);
    memcpy(ret_bytes + row->size, HEAD_SMUGGLED, sizeof(HEAD_SMUGGLED) - 1);
    return row->size + sizeof(HEAD_SMUGGLED) - 1;
}

static void check_bad(const struct head_bad_row *row, size_t piece)
{
    char bytes[1024];
    size_t size = with_smuggled(row, bytes);
    struct answers answers = converse(bytes, size, piece < size ? piece : size, true);
    assert_int_equal(seen.served, 0);
    assert_false(seen.smuggled);
    assert_int_equal(answers.ok, 0);
    /* libmicrohttpd finds most wrong lengths itself, and writes the head of its 400 twice then. */
    assert_true(answers.bad <= (row->fault == HEAD_LENGTH ? 2 : 1));
}

static void bad_row(void **state)
{
    check_bad(*state, SIZE_MAX);
    check_bad(*state, 1);
}

/* A request before a bad one is served, and only that. */
static void bad_row_after_a_good_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(head_bad_rows); i++) {
        char bytes[1024] = HEAD_GET "\r\n";
        size_t before = sizeof(HEAD_GET) + 1;

        size_t size = before + with_smuggled(&head_bad_rows[i], bytes + before);
        struct answers answers = converse(bytes, size, size, true);
        if (seen.served != 1 || answers.ok != 1 || seen.smuggled)
            fail_msg("%s: %u served", head_bad_rows[i].name, seen.served);
    }
}

/* A connection with a fault is not held until its client leaves. */
static void bad_row_ends_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(head_bad_rows); i++) {
        const struct head_bad_row *row = &head_bad_rows[i];
        const size_t pieces[] = {row->size, 1,
                                 sizeof(HEAD_CHUNKED) - 1}; /* last: head, then body */
        for (size_t j = 0; j < COUNT(pieces); j++) {
            (void)converse_until(row->bytes, row->size, pieces[j], true, false);
            if (!seen.closed_by_itself)
                fail_msg("%s in pieces of %zu", row->name, pieces[j]);
        }
    }
}

/* Most faults of a head are answered, not only cut. */
static void faults_of_heads_are_answered(void **state)
{
    (void)state;
    static const enum head_fault faults[] = {
        HEAD_BARE_CR, HEAD_BARE_LF,      HEAD_TWO_HOSTS,   HEAD_NO_HOST,    HEAD_TWO_LENGTHS,
        HEAD_CODING,  HEAD_TWO_FRAMINGS, HEAD_TWO_CODINGS, HEAD_OLD_CODING, HEAD_FOLD};
    size_t wanted = 0;
    for (size_t i = 0; i < COUNT(head_bad_rows); i++) {
        const struct head_bad_row *row = &head_bad_rows[i];
        bool among = row->passed == row->size && row->bytes[0] == 'G';
        for (size_t j = 0; among && j < COUNT(faults); j++) {
            if (row->fault != faults[j] || strstr(row->bytes, "HTTP/1.1\r\n") == NULL)
                continue;
            char bytes[1024];
            size_t size = with_smuggled(row, bytes);
            struct answers answers = converse(bytes, size, size, true);
            if (answers.bad != 1)
                fail_msg("%s: %u answers", row->name, answers.bad);
            wanted++;
        }
    }
    assert_true(wanted > 20);
}

/* What the guard is for: these are served without it. When libmicrohttpd refuses them itself, this
 * fails, and the guard may go. */
static void served_without_the_guard(void **state)
{
    (void)state;
    unsigned served = 0;
    for (size_t i = 0; i < COUNT(head_bad_rows); i++) {
        char bytes[1024];
        size_t size = with_smuggled(&head_bad_rows[i], bytes);
        (void)converse(bytes, size, size, false);
        served += seen.served > 0;
    }
    assert_true(served > 20);
}

/* -- bytes that nobody thought of ------------------------------------------------------------- */

/* A few good requests in which a few bytes are others. */
static size_t make_mutated(char bytes[MUTATED_MAX])
{
    static const char letters[] = "\r\n\0 \t:;,0159afx\x7F\xFF";
    size_t size = 0;
    for (size_t rows = 1 + head_random(3); rows > 0; rows--) {
        const struct head_good_row *row = &head_good_rows[head_random(COUNT(head_good_rows))];
        memcpy(bytes + size, row->bytes, row->size);
        size += row->size;
    }
    for (size_t changes = 1 + head_random(3); changes > 0; changes--) {
        size_t at = head_random(size);
        size_t how = head_random(4);
        if (how == 0) {
            bytes[at] = letters[head_random(sizeof(letters) - 1)];
        } else if (how == 1) {
            memmove(bytes + at, bytes + at + 1, size - at - 1);
            size--;
        } else {
            memmove(bytes + at + 1, bytes + at, size - at);
            size++;
            if (how == 3)
                bytes[at] = letters[head_random(sizeof(letters) - 1)];
        }
    }
    return size;
}

/* libmicrohttpd serves the requests that head.h found complete before a fault, and no others. */
static void mutated_connections(void **state)
{
    (void)state;
    for (int i = 0; i < MUTATED; i++) {
        char bytes[MUTATED_MAX];
        size_t size = make_mutated(bytes);
        struct head head = {0};
        (void)head_take(&head, bytes, size);
        uint32_t complete = head.request - (head.request > 0 && head.state != HEAD_AT_FIRST);
        (void)converse(bytes, size, head_random(2) == 0 ? size : 1 + head_random(64), true);
        bool old = memmem(bytes, size, "HTTP/1.0", 8) != NULL; /* closes after its answer */
        if (old ? seen.served > complete : seen.served != complete)
            fail_msg("%d: %u served of %u; %s", i, seen.served, complete,
                     head_words((enum head_fault)head.fault));
        assert_true(old || seen.head.fault == head.fault);
    }
}

/* -- descriptors that are not watched ---------------------------------------------------------- */

static void others_pass_through(void **state)
{
    (void)state;
    int ends[2];
    char got[8];
    struct head head = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[0], "\0\n\r", 3), 3);
    assert_int_equal(recv(ends[1], got, sizeof(got), 0), 3);
    assert_true(head_guard_watch(ends[1], &head));
    assert_int_equal(write(ends[0], "GE\0T", 4), 4);
    assert_int_equal(recv(ends[1], got, sizeof(got), MSG_PEEK), 4);
    assert_int_equal(head.state, HEAD_AT_FIRST);
    assert_int_equal(recv(ends[1], got, sizeof(got), 0), 4);
    assert_non_null(head_fault(&head, 1));
    assert_int_equal(write(ends[0], "\r\n\r\nGE", 6), 6);
    assert_int_equal(recv(ends[1], got, sizeof(got), 0), 4);
    assert_int_equal(recv(ends[1], got, sizeof(got), 0), 0);
    assert_int_equal(send(ends[0], "more", 4, MSG_NOSIGNAL), -1); /* it is at its end */
    head_guard_forget(ends[1]);
    assert_false(head_guard_watch(FD_MAX, &head));
    assert_false(head_guard_watch(-1, &head));
    close(ends[0]);
    assert_int_equal(recv(ends[1], got, sizeof(got), 0), 0);
    close(ends[1]);
    assert_int_equal(recv(-1, got, sizeof(got), 0), -1);
}

static void no_memory(void **state)
{
    (void)state;
    head_guard_release();
    assert_false(head_guard_watch(0, &seen.head));
    assert_true(head_guard_init(FD_MAX));
}

int main(void)
{
    struct CMUnitTest tests[COUNT(head_good_rows) + COUNT(head_bad_rows) + 7];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(head_good_rows); i++)
        tests[count++] = (struct CMUnitTest){head_good_rows[i].name, good_row, NULL, NULL,
                                             (void *)&head_good_rows[i]};
    for (size_t i = 0; i < COUNT(head_bad_rows); i++)
        tests[count++] = (struct CMUnitTest){head_bad_rows[i].name, bad_row, NULL, NULL,
                                             (void *)&head_bad_rows[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(bad_row_after_a_good_one);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(bad_row_ends_the_connection);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(faults_of_heads_are_answered);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(served_without_the_guard);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(mutated_connections);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(others_pass_through);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(no_memory);
    assert_int_equal(count, COUNT(tests));
    assert_true(head_guard_init(FD_MAX));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    head_guard_release();
    return failed;
}
