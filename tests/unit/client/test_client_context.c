/* SPDX-License-Identifier: Apache-2.0 */
/* context: one for all who have it at a time, room for many, another one in a child process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <zmq.h>

#include "context.h"

enum { SOCKETS = 2000, THREADS = 8, TURNS = 200 };

static void *get(void)
{
    void *context = NULL;
    assert_int_equal(context_get(&context), SPN_OK);
    assert_non_null(context);
    return context;
}

static bool works(void *context)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    return socket != NULL && zmq_close(socket) == 0;
}

static void test_shared(void **state)
{
    (void)state;
    void *first = get();
    assert_ptr_equal(get(), first);
    context_put();
    assert_true(works(first));
    context_put();
    assert_true(works(get())); /* after the last one a new one */
    context_put();
}

static void test_many_sockets(void **state)
{
    (void)state;
    static void *sockets[SOCKETS];
    void *context = get();
    for (size_t i = 0; i < SOCKETS; i++) {
        sockets[i] = zmq_socket(context, ZMQ_PAIR);
        if (sockets[i] == NULL)
            fail_msg("socket %zu: %s", i, zmq_strerror(zmq_errno()));
    }
    for (size_t i = 0; i < SOCKETS; i++)
        zmq_close(sockets[i]);
    context_put();
}

static void test_child(void **state)
{
    (void)state;
    void *ours = get();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        void *theirs = NULL;
        bool good = context_get(&theirs) == SPN_OK && theirs != ours && works(theirs);
        context_put();
        _exit(good ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(works(ours));
    context_put();
}

static void *come_and_go(void *unused)
{
    (void)unused;
    for (int i = 0; i < TURNS; i++) {
        void *context = NULL;
        if (context_get(&context) != SPN_OK)
            return "no context";
        bool good = works(context);
        context_put();
        if (!good)
            return "a context that was gone";
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *trouble;
        pthread_join(threads[i], &trouble);
        assert_null(trouble);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_many_sockets),
        cmocka_unit_test(test_child),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
