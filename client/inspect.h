/* SPDX-License-Identifier: Apache-2.0 */
/* inspect: the calls that ask the sidecar and wait: spn_last_event, spn_get_*, spn_next_session.
 *
 * Each asks a question, waits, and takes the answer. It keeps the question, so that its answer
 * stays lent, and so that a call that does not wait finds it again: with a timeout of 0 the same
 * call goes on with the question that it asked before. A call that waits asks anew, so that its
 * answer is not older than the call.
 *
 * spn_next_session walks a list by name. It keeps the question that has a page of rows, as long as
 * each call goes on where the last one ended.
 *
 * Owns     its questions: one for all these calls, and two for the list, which are a page and the
 * one after it. Created by the first call that needs them, freed with the client. Lends    an
 * answer: until the next of these calls; a row of the list until spn_next_session is called again.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_INSPECT_H
#define SPN_CLIENT_INSPECT_H

#include "questions.h"

struct inspect;

/* Asks another question as these calls do, and keeps it as they do. *ret_question: lent until the
 * next of these calls. Errors of question_new and question_wait. */
spn_err inspect_ask(struct spn_client *client, const struct question_request *request,
                    int timeout_ms, spn_question **ret_question) SPN_MUST_USE;

void inspect_free(struct inspect *inspect); /* takes NULL */

#endif
