/* SPDX-License-Identifier: Apache-2.0 */
/* body: the events of a POST.
 *
 * The body comes in pieces of any size. Whatever the pieces are, the events and the problem are the
 * same. Feed bytes until they are used up or an event is ready, and take the events:
 *
 *     while (size > 0) {
 *         if (!body_feed(body, bytes, size, &used, &problem))
 *             refuse;
 *         bytes += used, size -= used;
 *         while ((found = body_next(body, &event, &problem)) == BODY_EVENT)
 *             publish(event);
 *         if (found == BODY_BAD)
 *             refuse;
 *     }
 *     if (!body_finish(body, &problem)) ...; and take the events that are left
 *
 * Events of text/event-stream are given as they come. Those of JSON, and the one of any other body,
 * are given after body_finish, and only if the whole body is right.
 *
 * An Idempotency-Key K is the id of the only event, or gives the ids K-0, K-1 ... The first event
 * is therefore held until the second one or the end has come. With holds_last each event is held
 * that long, so that the last one is known when it is given; or until body_let_go, for a body that
 * pauses.
 *
 * Owns     all that it was fed, as far as it needs it: 5 times the largest event of an event stream
 *          and the one that is held, a whole body of JSON, or one event's data.
 * Lends    an event: until the next call for the body.
 * Units    sizes in bytes.
 * Threads  belongs to one thread.
 */
#ifndef SPN_HTTP_BODY_H
#define SPN_HTTP_BODY_H

#include "http/body_event.h"

struct body;

enum body_kind { BODY_SSE, BODY_JSON, BODY_RAW };

struct body_options {
    enum body_kind kind;
    size_t data_max;       /* of one event; the sidecar's limit. At most 1 GiB */
    size_t json_max;       /* of a whole body that is JSON */
    uint64_t length;       /* of the body, if the request says it, else 0 */
    bool newlines_lf;      /* CRLF and CR in data become LF. Event streams have none in data */
    bool holds_last;       /* see above */
    struct spn_bytes key;  /* Idempotency-Key. In all three: data NULL: there is no such header */
    struct spn_bytes id;   /* Event-Id; refused unless BODY_RAW */
    struct spn_bytes type; /* Event-Type; the same */
};

/* NULL: see the problem; 413 for a length that is too much already. The options and their bytes are
 * copied. */
struct body *body_open(const struct body_options *options, struct problem *ret_problem);
void body_close(struct body *body); /* takes NULL */

/* Takes bytes until an event is ready or they are used up. Takes none while an event is ready.
 * False: the body is refused, and stays so; an event that was held is dropped. */
bool body_feed(struct body *body, const void *bytes, size_t size, size_t *ret_used,
               struct problem *ret_problem);

/* The body has ended: all its bytes were fed. Events that are ready may be taken before or after,
 * and the one that was given last stays valid. False: refused. */
bool body_finish(struct body *body, struct problem *ret_problem);

/* BODY_EVENT: the next event. BODY_NONE: none is ready; after body_finish there is no other.
 * BODY_BAD: memory ran out. */
enum body_found body_next(struct body *body, const struct spn_event **ret_event,
                          struct problem *ret_problem);

/* The body pauses: until more of it is fed, no event is held because it may be the last one. One
 * that is held for its id stays so. */
void body_let_go(struct body *body);

/* With holds_last: the event given last is the last one. It may be a marker, which cannot close a
 * session. */
bool body_is_last(const struct body *body);

/* How many bytes of what it was fed it holds. */
size_t body_held(const struct body *body);

/* The event stream ended inside an event, which was dropped, as the standard has it. */
bool body_is_cut(const struct body *body);

#endif
