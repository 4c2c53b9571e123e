/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

enum { STEP_MESSAGES_MAX = 256 }; /* of a socket, so that commands are heard beside a flood */

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "sponson-fake: %s: %s\n", what, zmq_strerror(errno));
    exit(2);
}

uint64_t fake_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void fake_violation(const char *format, ...)
{
    va_list arguments;
    fputs("violation ", stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* -- up and down ------------------------------------------------------------------------------- */

static void *bind_socket(struct fake *fake, enum socket which)
{
    char endpoint[256];
    int none = 0;
    int unlimited = 0;
    void *socket = zmq_socket(fake->context, ZMQ_ROUTER);
    if (socket == NULL)
        give_up("zmq_socket");
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof(unlimited));
    zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof(unlimited));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s.sock", fake->dir, socket_names[which]);
    if (zmq_bind(socket, endpoint) != 0)
        give_up(endpoint);
    return socket;
}

void fake_up(struct fake *fake)
{
    if (fake->context != NULL)
        return;
    fake->context = zmq_ctx_new();
    if (fake->context == NULL)
        give_up("zmq_ctx_new");
    fake->instance++;
    model_restart(fake->model);
    for (int i = 0; i < 2; i++)
        fake->sockets[i] = bind_socket(fake, (enum socket)i);
}

void fake_down(struct fake *fake)
{
    if (fake->context == NULL)
        return;
    for (; fake->held_count > 0; fake->held_count--) {
        zmq_msg_close(&fake->held[fake->held_count - 1].peer);
        zmq_msg_close(&fake->held[fake->held_count - 1].frame);
    }
    for (int i = 0; i < 2; i++)
        zmq_close(fake->sockets[i]);
    zmq_ctx_term(fake->context);
    fake->context = NULL;
}

void fake_open(struct fake *fake, const char *dir)
{
    *fake = (struct fake){.dir = dir, .instance = 0x1001, .model = model_new()};
    zmq_msg_init(&fake->peers[INGEST]);
    zmq_msg_init(&fake->peers[READ]);
    for (int number = 0; number < MODES_MAX; number++)
        fake->manual[number] = !model_answers((uint8_t)number);
    fake_up(fake);
}

void fake_close(struct fake *fake)
{
    char path[256];
    fake_down(fake);
    for (size_t i = 0; i < fake->received_count; i++) {
        message_release(&fake->received[i].message);
        zmq_msg_close(&fake->received[i].peer);
    }
    free(fake->received);
    for (int i = 0; i < MODES_MAX; i++) {
        message_release(&fake->last[i]);
        message_release(&fake->defaults[i]);
    }
    for (int i = 0; i < 2; i++) {
        zmq_msg_close(&fake->peers[i]);
        snprintf(path, sizeof(path), "%s/%s.sock", fake->dir, socket_names[i]);
        unlink(path);
    }
    model_free(fake->model);
}

/* -- faults ------------------------------------------------------------------------------------ */

void fake_add_fault(struct fake *fake, struct fault fault)
{
    if (fake->fault_count == FAULTS_MAX) {
        errno = ENOMEM;
        give_up("too many faults");
    }
    fake->faults[fake->fault_count++] = fault;
}

bool fake_take_fault(struct fake *fake, enum fault_kind kind, uint8_t type, struct fault *ret_fault)
{
    for (size_t i = 0; i < fake->fault_count; i++) {
        struct fault *fault = &fake->faults[i];
        if (fault->kind != kind || fault->type != type)
            continue;
        *ret_fault = *fault;
        if (kind == FAULT_DELAY || --fault->count == 0) {
            memmove(fault, fault + 1, (fake->fault_count - i - 1) * sizeof(*fault));
            fake->fault_count--;
        }
        return true;
    }
    return false;
}

/* -- sending ----------------------------------------------------------------------------------- */

static void print_bytes(const char *way, enum socket socket, const struct message *message,
                        const uint8_t *bytes, size_t size)
{
    printf("%s %s ", way, socket_names[socket]);
    message_print(stdout, message);
    fputs(" | ", stdout);
    for (size_t i = 0; i < size; i++)
        printf("%02x", bytes[i]);
    putchar('\n');
}

void fake_send_bytes(struct fake *fake, enum socket socket, zmq_msg_t *peer, const void *bytes,
                     size_t size)
{
    if (fake->context == NULL || zmq_msg_size(peer) == 0)
        return;
    if (zmq_send(fake->sockets[socket], zmq_msg_data(peer), zmq_msg_size(peer), ZMQ_SNDMORE) < 0 ||
        zmq_send(fake->sockets[socket], bytes, size, 0) < 0)
        give_up("zmq_send");
}

static void hold(struct fake *fake, enum socket socket, zmq_msg_t *peer, const struct bytes *bytes,
                 unsigned behind)
{
    struct held *held = &fake->held[fake->held_count];
    if (fake->held_count == HELD_MAX || zmq_msg_init_size(&held->frame, bytes->size) != 0)
        give_up("holding a message");
    fake->held_count++;
    memcpy(zmq_msg_data(&held->frame), bytes->at, bytes->size);
    zmq_msg_init(&held->peer);
    zmq_msg_copy(&held->peer, peer);
    held->socket = socket;
    held->behind = behind;
}

/* A message went out: those that waited for it follow. */
static void let_go(struct fake *fake, enum socket socket)
{
    for (size_t i = 0; i < fake->held_count; i++) {
        struct held *held = &fake->held[i];
        if (held->socket != socket || --held->behind > 0)
            continue;
        fake_send_bytes(fake, socket, &held->peer, zmq_msg_data(&held->frame),
                        zmq_msg_size(&held->frame));
        zmq_msg_close(&held->peer);
        zmq_msg_close(&held->frame);
        fake->held[i--] = fake->held[--fake->held_count];
    }
}

bool fake_send(struct fake *fake, enum socket socket, zmq_msg_t *peer, struct message *message,
               char words[WORDS_SIZE])
{
    struct bytes bytes = {NULL, 0, 0};
    struct fault fault;
    uint8_t type = message->layout->number;
    message_default(message, &fake->defaults[type]);
    model_complete(fake->model, message);
    bool good = message_encode(message, &bytes, words);
    if (good && fake_take_fault(fake, FAULT_DROP, type, &fault)) {
        print_bytes("lost", socket, message, bytes.at, bytes.size);
    } else if (good && fake_take_fault(fake, FAULT_DELAY, type, &fault)) {
        print_bytes("held", socket, message, bytes.at, bytes.size);
        hold(fake, socket, peer, &bytes, fault.count);
    } else if (good) {
        bool twice = fake_take_fault(fake, FAULT_DOUBLE, type, &fault);
        for (int i = 0; i < (twice ? 2 : 1); i++) {
            print_bytes("out", socket, message, bytes.at, bytes.size);
            fake_send_bytes(fake, socket, peer, bytes.at, bytes.size);
        }
        model_note_sent(fake->model, message);
        let_go(fake, socket);
    }
    bytes_release(&bytes);
    return good;
}

bool fake_answer(struct fake *fake, struct received *to, struct message *message,
                 char words[WORDS_SIZE])
{
    if (message_find(message, "request") == NULL)
        message_set(message, "request", message_text(&to->message, "request"));
    return fake_send(fake, to->socket, &to->peer, message, words);
}

/* -- receiving --------------------------------------------------------------------------------- */

static struct received *keep(struct fake *fake, enum socket socket)
{
    if (fake->received_count == fake->received_room) {
        fake->received_room = (fake->received_room + 16) * 2;
        fake->received = realloc(fake->received, fake->received_room * sizeof(*fake->received));
        if (fake->received == NULL)
            give_up("memory");
    }
    struct received *received = &fake->received[fake->received_count++];
    *received = (struct received){.socket = socket};
    zmq_msg_init(&received->peer);
    zmq_msg_copy(&received->peer, &fake->peers[socket]);
    return received;
}

/* A model that answers adds nothing to what was received, so the pointer stays good. */
static void take_frame(struct fake *fake, enum socket socket, const uint8_t *bytes, size_t size)
{
    char words[WORDS_SIZE] = "";
    struct fault fault;
    struct message message = {0};
    bool good = message_decode(&message, bytes, size, words);
    uint8_t type = message.layout != NULL ? message.layout->number : 0;
    bool lost = fake_take_fault(fake, FAULT_DROP, type, &fault);
    print_bytes(lost ? "gone" : "in", socket, &message, bytes, size);
    if (!good || message.layout == NULL)
        fake_violation("a frame on %s.sock: %s", socket_names[socket], words);
    else if (!message.layout->from_client || !message.layout->on[socket])
        fake_violation("%s does not belong on %s.sock", message.layout->name, socket_names[socket]);
    else
        model_check(fake->model, &message);
    if (lost || !good) {
        message_release(&message);
        return;
    }
    struct received *received = keep(fake, socket);
    received->message = message;
    bool twice = fake_take_fault(fake, FAULT_DOUBLE, type, &fault);
    for (int i = 0; i < (twice ? 2 : 1); i++)
        model_take(fake->model, fake, received, !fake->manual[type]);
}

static bool take_message(struct fake *fake, enum socket socket)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, fake->sockets[socket], ZMQ_DONTWAIT) < 0)
        return false;
    zmq_msg_move(&fake->peers[socket], &frame);
    for (int count = 0; zmq_msg_get(&fake->peers[socket], ZMQ_MORE) != 0; count++) {
        if (zmq_msg_recv(&frame, fake->sockets[socket], 0) < 0)
            give_up("zmq_msg_recv");
        if (count > 0 || zmq_msg_more(&frame))
            fake_violation("a message of several frames on %s.sock", socket_names[socket]);
        else
            take_frame(fake, socket, zmq_msg_data(&frame), zmq_msg_size(&frame));
        if (!zmq_msg_more(&frame))
            break;
    }
    zmq_msg_close(&frame);
    return true;
}

void fake_step(struct fake *fake, int fd, int wait_ms)
{
    zmq_pollitem_t items[3] = {{.fd = fd, .events = ZMQ_POLLIN}};
    int first = fd >= 0 ? 1 : 0;
    int count = first;
    for (int i = 0; fake->context != NULL && i < 2; i++)
        items[count++] = (zmq_pollitem_t){.socket = fake->sockets[i], .events = ZMQ_POLLIN};
    fflush(stdout);
    if (zmq_poll(items, count, wait_ms) < 0 && errno != EINTR)
        give_up("zmq_poll");
    for (int i = 0; fake->context != NULL && i < 2; i++)
        for (int taken = 0; taken < STEP_MESSAGES_MAX; taken++)
            if (!take_message(fake, (enum socket)i))
                break;
    fflush(stdout);
}
