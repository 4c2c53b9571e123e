/* SPDX-License-Identifier: Apache-2.0 */
/* attack: what hostile and broken peers do, and harmless loads to compare them with.
 *
 * Each is a program of its own: it goes on at full speed until it is killed, and counts on a page
 * that it shares with the test how often it really did what it is named after.
 *
 * Owns     sockets, until its end.
 * Errors   a connection that is cut or refused is counted, and made again.
 * Threads  one.
 */
#ifndef SPN_ATTACK_H
#define SPN_ATTACK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct attack_page {
    _Atomic uint64_t done;    /* what it is about */
    _Atomic uint64_t cut;     /* connections that the daemon ended */
    _Atomic uint64_t refused; /* ... that were not taken */
};

/* A long session, which some of them ask for. */
#define ATTACK_BOOK "book"

/* How many connections it has at a time; 0: there is no such attack. */
size_t attack_peers(const char *name);

/* Runs the attack of this name, which never returns; the page is a file. Exit code 2: there is no
 * such attack, or no page. */
int attack_run(const char *name, const char *page_path);

#endif
