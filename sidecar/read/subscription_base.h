/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_base: subscriptions and subscribers, and what the files about them share.
 *
 * subscription.c takes requests and runs what is due. subscription_table.c holds the subscriptions
 * and their states. subscription_cursor.c advances one subscription by slices while it is behind.
 * subscription_live.c advances all live subscriptions by one pass over the log.
 * subscription_deliver.c puts the deliveries of both into the outbox.
 *
 * A subscription of the log has the same table, credit and deliveries. follow.c advances one while
 * it is behind, subscription_live.c while it is live; follow_entry.c decides what it gets.
 *
 * Threads  the reader's.
 */
#ifndef SPN_SUBSCRIPTION_BASE_H
#define SPN_SUBSCRIPTION_BASE_H

#include <string.h>

#include "base/link.h"
#include "base/slot_index.h"
#include "base/slot_table.h"
#include "read/scan.h"
#include "read/session_cache.h"
#include "read/subscription.h"
#include "read/survey.h"

#define MS 1000000ull

enum {
    SCAN_ENTRIES = 256,
    SCANS_PER_TURN = 8,
    ASKS_MAX = 1024, /* questions at the broker; the other subscriptions wait for their turn */
    RETRIES_PER_TURN = 64, /* of a subscriber's blocked subscriptions */
    LEASE_LOOK_MS = 1000,
    FOLLOWED_MS = 2000, /* after which nobody follows the log any more */
};

enum subscription_state {
    LOCATING, /* its start is not known yet */
    WAITING,  /* for its session to be opened */
    BEHIND,   /* served by slices */
    STALLED,  /* has events to get and no credit; the scan offers it the end of its session */
    LIVE,     /* served by the scan */
    ENDING,   /* its end is not delivered yet */
    STATES,
};

/* One client's socket. */
struct subscriber {
    struct outbox_peer *peer;
    uint64_t heard_ns;
    uint32_t count; /* of its subscriptions */
    struct link all;
    struct link subscriptions; /* its own */
    struct link blocked;       /* its subscriptions that found no room */
    struct link stalled;       /* in the ring of subscribers with blocked subscriptions */
};

struct subscription {
    struct subscriber *subscriber;
    struct link own;     /* in its subscriber's ring */
    struct link scanned; /* in the ring of those that the scan serves: WAITING, STALLED, LIVE */
    struct link blocked; /* in its subscriber's ring of those that found no room */
    struct link due;     /* in the ring of those that ask or end outside of snapshots, or of those
                            of the log that are to be read for */
    struct link group;   /* ring of those that wait for the same name, or follow the same epoch; or
                            of the live ones of the log */
    uint64_t serial;     /* never used twice: shows that an answer is for a former subscription */
    uint64_t number;
    uint32_t slot;
    uint32_t incarnation;
    uint8_t state;     /* enum subscription_state */
    uint8_t start;     /* enum wire_start, while LOCATING */
    uint8_t otherwise; /* bits of enum wire_otherwise */
    uint8_t ending;    /* ENDING: enum wire_verdict of its end; else 0 */
    bool asking;       /* its question is at the broker */
    bool leads;        /* it leads its group: it is the one in by_name or by_epoch */
    bool indexed; /* it or its leader is in by_epoch: the verdict was sent, epoch and next_seq are
                     the cursor */
    bool closed;  /* its session was closed when that was last looked at; sent with the end */
    struct spn_life life; /* while LOCATING: of the requested start, like next_seq */
    uint64_t epoch;       /* of its life; only while indexed */
    uint64_t next_seq;
    uint64_t newest;  /* of its life when that was last looked at, or 0; sent with the end */
    uint64_t missing; /* of its life when it could not begin; sent with the end */
    uint64_t credit;
    uint64_t sent;
    uint32_t newest_count; /* items in its newest live delivery, which may still grow ... */
    uint32_t newest_size;  /* ... and their bytes */
    /* Only of the log. Its cursor is a position, its name the prefix, its life the database. */
    bool log;
    bool touches;            /* it gets them too */
    uint64_t hidden;         /* entries that retention hid since its newest delivery */
    uint64_t newest_missing; /* of its newest delivery, which may still grow */
    uint64_t reported;       /* next_seq, as of its newest delivery */
    uint64_t as_of_ns;     /* up to when all is known of what it is to read, or can be found ... */
    uint32_t as_of_serial; /* ... in the survey of this serial. 0 ns: never */
    uint16_t code;         /* ENDING with WIRE_REFUSED_VERDICT */
    uint8_t *id;           /* of the start; NULL: it has none, or is located */
    uint8_t *reason;       /* that its session was closed with; sent with the end; or NULL */
    uint16_t id_size;
    uint8_t reason_size;
    uint8_t name_size;
    uint8_t name[];
};

struct subscriptions {
    struct subscriptions_options options;
    struct slot_table slots;
    struct slot_index by_key;   /* (subscriber, number) */
    struct slot_index by_epoch; /* subscriptions with a known epoch: one of each group */
    struct slot_index by_name;  /* WAITING: one of each group */
    struct link subscribers;
    struct link scanned;
    struct link stalled; /* subscribers */
    struct link due;
    struct link reading;   /* of the log, to be read for */
    struct link following; /* of the log, live */
    struct session_cache cache;
    struct survey survey;
    uint64_t followed_ns; /* when somebody last followed the log */
    uint64_t serial;
    struct scan scan;   /* all entries up to its position were offered */
    uint64_t looked_ns; /* when leases were last checked */
    uint64_t retried_ns;
    size_t asking;
};

/* subscription_table.c */

spn_err subscription_table_init(struct subscriptions *all) SPN_MUST_USE;
void subscription_table_release(struct subscriptions *all);

struct spn_bytes subscription_name_of(const struct subscription *subscription);

/* NULL: there is no such subscription. */
struct subscription *subscription_find(const struct subscriptions *all,
                                       const struct subscriber *subscriber, uint64_t number);

/* Returns one of the subscriptions that wait for this name. NULL: there is none. */
struct subscription *subscription_find_waiting(const struct subscriptions *all,
                                               struct spn_bytes name);

/* Returns one of the subscriptions that follow this epoch. NULL: there is none. */
struct subscription *subscription_find_following(const struct subscriptions *all, uint64_t epoch);

/* It follows its epoch from now on. Room in by_epoch must be reserved. */
void subscription_follow(struct subscriptions *all, struct subscription *subscription);
void subscription_set_state(struct subscriptions *all, struct subscription *subscription,
                            enum subscription_state state);

/* It found no room, or no memory. It continues when there is some. */
void subscription_block(struct subscriptions *all, struct subscription *subscription);
void subscription_unblock(struct subscription *subscription);

/* Leaves the next action to the tick, because it must not happen inside a caller's snapshot or
 * while an index is walked. */
void subscription_later(struct subscriptions *all, struct subscription *subscription);
void subscription_drop_subscriber(struct subscriber *subscriber);
void subscription_drop_id(struct subscription *subscription);

/* Notes that its session is closed, and the reason of that. SPN_E_NOMEM. */
spn_err subscription_note_closed(struct subscription *subscription,
                                 struct spn_bytes reason) SPN_MUST_USE;

/* Its subscriber stays. */
void subscription_take_out(struct subscriptions *all, struct subscription *subscription);
void subscription_forget(struct subscriptions *all, struct subscription *subscription);

/* The client is gone: forgets all its subscriptions. */
void subscription_forget_subscriber(struct subscriptions *all, struct subscriber *subscriber);
struct subscriber *subscription_take_subscriber(struct subscriptions *all,
                                                struct outbox_peer *peer);
spn_err subscription_add(struct subscriptions *all, struct subscriber *subscriber,
                         const struct wire_subscribe *from, struct subscription **ret_subscription);

/* Returns memory that many subscriptions took, when few are left. */
void subscription_give_back(struct subscriptions *all);

/* subscription_deliver.c */

struct wire_deliver subscription_delivery(const struct subscription *subscription,
                                          enum wire_delivery kind);

/* Puts a delivery without items into the outbox. standing: NULL for a gap. */
spn_err subscription_deliver_plain(struct subscriptions *all, struct outbox_peer *peer,
                                   const struct wire_deliver *deliver,
                                   const struct wire_standing *standing);

/* An end that finds no room is kept until there is room: the client has no other way to learn of
 * it. */
void subscription_end(struct subscriptions *all, struct subscription *subscription,
                      uint8_t verdict);
spn_err subscription_deliver_gap(struct subscriptions *all, struct subscription *subscription,
                                 uint64_t missing);
spn_err subscription_deliver_slice(struct subscriptions *all, struct subscription *subscription,
                                   const struct slice *slice);

/* Delivers one more event, in the same delivery as the previous one if that is the outbox's
 * newest. */
spn_err subscription_deliver_live(struct subscriptions *all, struct subscription *subscription,
                                  uint64_t position, const struct record_entry *entry);

/* The same with an item of the log; the cursor is then at its position. */
spn_err subscription_deliver_item(struct subscriptions *all, struct subscription *subscription,
                                  const struct wire_item *item);
spn_err subscription_deliver_log_gap(struct subscriptions *all, struct subscription *subscription,
                                     uint64_t last);
/* Delivers where the cursor of the log stands, if that is not known to the client. */
spn_err subscription_deliver_progress(struct subscriptions *all, struct subscription *subscription);

/* follow_entry.c */

/* Takes the next entry of the log: delivers it if this subscription gets it, and moves the cursor.
 * *ret_stalled: it has no credit for it; nothing happened. behind: deletions and the retention rule
 * are applied as of the survey. Call it inside a snapshot. */
spn_err follow_take(struct subscriptions *all, struct subscription *subscription, uint64_t position,
                    const struct record_entry *entry, bool behind, bool *ret_stalled);

/* subscription_cursor.c */

bool subscription_may_ask(const struct subscription *subscription);

/* Continues as many subscriptions as may ask the broker at a time. Each answer leads here again. */
void subscription_go_on_with_due(struct subscriptions *all);

/* subscription_live.c */

/* A subscription joins the scan. It knows nothing beyond horizon: entries that were committed after
 * the broker answered are in this snapshot, but not in the view. If the scan has already passed
 * them, it goes back. That does not affect the other subscriptions, which skip seqs that they
 * already have. */
void subscription_join_live(struct subscriptions *all, uint64_t horizon);

#endif
