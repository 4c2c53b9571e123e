/* SPDX-License-Identifier: Apache-2.0 */
/* fake: a sidecar that fails on request.
 *
 * Two ROUTER sockets in a directory. What arrives is written to standard output, checked against
 * the rules for clients, kept for the script, and answered by the model unless the script does that
 * itself. Faults are taken from a list on the way in and on the way out.
 *
 * Owns     the sockets, everything received.
 * Errors   what a client may not do is a line `violation ...`. What the machine cannot do ends the
 *          process with words.
 * Threads  one.
 */
#ifndef CONFORMANCE_FAKE_H
#define CONFORMANCE_FAKE_H

#include <zmq.h>

#include "message.h"

enum { FAULTS_MAX = 16, HELD_MAX = 16, MODES_MAX = 256 };

/* A message that was received. */
struct received {
    enum socket socket;
    struct message message;
    zmq_msg_t peer;
    bool consumed; /* by an expect or an await */
};

enum fault_kind { FAULT_DROP, FAULT_DOUBLE, FAULT_DELAY, FAULT_REFUSE };

struct fault {
    enum fault_kind kind;
    uint8_t type;
    unsigned count; /* how often still; of a delay: behind how many messages */
    uint32_t code;
};

/* A message that is delayed. */
struct held {
    enum socket socket;
    zmq_msg_t peer;
    zmq_msg_t frame;
    unsigned behind; /* how many messages are to go out before it */
};

struct fake {
    const char *dir;
    void *context; /* NULL: down */
    void *sockets[2];
    zmq_msg_t peers[2]; /* who spoke last */

    struct received *received;
    size_t received_count, received_room;
    struct message last[MODES_MAX]; /* of each type: what was consumed last */
    struct message defaults[MODES_MAX];
    uint8_t subscribed;     /* the type of the last SUBSCRIBE or FOLLOW that was consumed */
    bool manual[MODES_MAX]; /* the script answers this type */
    bool silent;

    struct fault faults[FAULTS_MAX];
    size_t fault_count;
    struct held held[HELD_MAX];
    size_t held_count;

    uint64_t instance;
    struct model *model;
};

void fake_open(struct fake *fake, const char *dir);
void fake_close(struct fake *fake);
/* As if the process ended: everything under way is lost. */
void fake_down(struct fake *fake);
/* And began again, as another instance. */
void fake_up(struct fake *fake);

/* Waits up to wait_ms for messages, or until `fd` (-1: none) is readable, and takes them. */
void fake_step(struct fake *fake, int fd, int wait_ms);

void fake_add_fault(struct fake *fake, struct fault fault);
/* Takes one time of a fault of this kind and type off the list. NULL: there is none. */
bool fake_take_fault(struct fake *fake, enum fault_kind kind, uint8_t type,
                     struct fault *ret_fault);

/* Sends a message with its defaults, through the faults. False: it cannot be; see words. */
bool fake_send(struct fake *fake, enum socket socket, zmq_msg_t *peer, struct message *message,
               char words[WORDS_SIZE]);
/* The same as an answer, with its request. */
bool fake_answer(struct fake *fake, struct received *to, struct message *message,
                 char words[WORDS_SIZE]);
void fake_send_bytes(struct fake *fake, enum socket socket, zmq_msg_t *peer, const void *bytes,
                     size_t size);

void fake_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A monotonic clock. */
uint64_t fake_now_ms(void);

#endif
