/* SPDX-License-Identifier: Apache-2.0 */
/* Client.wait: how threads wait for one client together.
 *
 *   turn = client.turns; try; if that gave nothing: client.wait(turn, timeout); again
 *
 * The first thread that waits leads: it waits for the client's descriptor and steps. The others
 * follow: they wait for the bell, an eventfd, which is rung after each step, and when the leader
 * leaves. The GIL is released while a thread waits, and held for all else, so between the check of
 * the turn and the start of waiting no other thread can step.
 *
 * A thread that woke by the bell tries again, whether there is something for it or not. The bell is
 * silenced by the last of those that were waiting for it.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core.h"
#include "take.h"

enum {
    /* A signal that comes just before poll does not interrupt it. */
    SLICE_MS = 250,
};

static void silence(struct py_waiting *waiting)
{
    uint64_t rung;
    if (waiting->sleeping > 0 || !waiting->ringing)
        return;
    waiting->ringing = false;
    (void)!read(waiting->bell, &rung, sizeof(rung));
}

void py_waiting_ring(struct py_waiting *waiting)
{
    static const uint64_t once = 1;
    if (waiting->sleeping == 0 || waiting->ringing)
        return;
    waiting->ringing = write(waiting->bell, &once, sizeof(once)) == sizeof(once);
}

/* Until one of the descriptors is readable, the time is over, or a signal was handled. False, with
 * an exception set: its handler raised one. */
static bool sleep_on(struct py_waiting *waiting, struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int ready = 0;
    bool goes_on = true;
    waiting->sleeping++;
    while (goes_on && ready == 0 && timeout_ms != 0) {
        int slice_ms = timeout_ms < 0 || timeout_ms > SLICE_MS ? SLICE_MS : timeout_ms;
        Py_BEGIN_ALLOW_THREADS ready = poll(fds, count, slice_ms);
        Py_END_ALLOW_THREADS if (timeout_ms > 0) timeout_ms -= slice_ms;
        goes_on = PyErr_CheckSignals() == 0;
    }
    waiting->sleeping--;
    silence(waiting);
    return goes_on;
}

static bool lead(struct py_client *client, int timeout_ms)
{
    struct py_waiting *waiting = &client->waiting;
    struct pollfd fds[] = {{.fd = spn_client_fd(client->client), .events = POLLIN},
                           {.fd = waiting->bell, .events = POLLIN}};
    waiting->led = true;
    bool goes_on = sleep_on(waiting, fds, 2, timeout_ms);
    waiting->led = false;
    spn_err err = SPN_OK;
    if (client->client != NULL && (fds[0].revents & POLLIN) != 0) { /* not closed meanwhile */
        err = spn_client_step(client->client);
        client->turns++;
    }
    py_waiting_ring(waiting);
    if (goes_on && err != SPN_OK &&
        err != SPN_E_FENCED) { /* a fenced producer's calls raise that */
        py_raise(client->state, err, client->client);
        goes_on = false;
    }
    return goes_on;
}

static bool follow(struct py_client *client, int timeout_ms)
{
    struct pollfd fd = {.fd = client->waiting.bell, .events = POLLIN};
    return sleep_on(&client->waiting, &fd, 1, timeout_ms);
}

bool py_waiting_init(struct py_waiting *waiting)
{
    *waiting = (struct py_waiting){.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (waiting->bell < 0)
        PyErr_SetFromErrno(PyExc_OSError);
    return waiting->bell >= 0;
}

void py_waiting_release(struct py_waiting *waiting)
{
    if (waiting->bell >= 0)
        close(waiting->bell);
    waiting->bell = -1;
}

PyObject *py_client_wait(PyObject *self, PyObject *arguments)
{
    struct py_client *client = (struct py_client *)self;
    unsigned long long turn;
    int timeout_ms;
    if (!PyArg_ParseTuple(arguments, "Ki:wait", &turn, &timeout_ms))
        return NULL;
    if (client->client == NULL)
        return py_raise_text(client->state, SPN_E_INVALID, "the client is closed");
    if (client->turns != turn)
        return Py_NewRef(Py_None);
    bool goes_on = client->waiting.led ? follow(client, timeout_ms) : lead(client, timeout_ms);
    return goes_on ? Py_NewRef(Py_None) : NULL;
}
