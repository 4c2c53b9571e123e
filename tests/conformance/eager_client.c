/* SPDX-License-Identifier: Apache-2.0 */
/* eager-client [MESSAGE]: a client that connects both sockets at once, and needs WELCOME on both.
 * With a number it also sends a message of this type on read.sock, and needs an answer. It supports
 * nothing else.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

enum { HELLO = 16, WAIT_MS = 5000, SHORT_MS = 500, HELLO_SIZE = 26, HEADER_SIZE = 16 };

static void *open_socket(void *context, const char *name)
{
    char endpoint[256];
    int none = 0;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s.sock", getenv("SPONSON_SOCKET_DIR"), name);
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &(int){WAIT_MS}, sizeof(int));
    zmq_connect(socket, endpoint);
    return socket;
}

/* The features and fields of HELLO are zeros; other messages have the header only. */
static void ask(void *socket, uint8_t type)
{
    uint8_t frame[HELLO_SIZE] = {'S', 'P', 'N', 3, 0, type, 0, 0, 1};
    zmq_send(socket, frame, type == HELLO ? HELLO_SIZE : HEADER_SIZE, 0);
}

static bool is_answered(void *socket)
{
    char frame[256];
    return zmq_recv(socket, frame, sizeof(frame), 0) >= 0;
}

/* A short wait: the players do not answer it. */
static bool is_asked(void *socket, const char *type)
{
    ask(socket, (uint8_t)strtoul(type, NULL, 10));
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &(int){SHORT_MS}, sizeof(int));
    return is_answered(socket);
}

int main(int count, char **arguments)
{
    char line[4096];
    void *context = zmq_ctx_new();
    void *ingest = open_socket(context, "ingest");
    void *read = open_socket(context, "read");
    while (fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "quit\n") != 0) {
        const char *answer = "unsupported";
        if (strcmp(line, "connect\n") == 0) {
            ask(ingest, HELLO);
            ask(read, HELLO);
            bool good = is_answered(ingest) && is_answered(read);
            answer = good && (count == 1 || is_asked(read, arguments[1])) ? "ok" : "error 4";
        }
        puts(answer);
        fflush(stdout);
    }
    zmq_close(ingest);
    zmq_close(read);
    zmq_ctx_term(context);
    return 0;
}
