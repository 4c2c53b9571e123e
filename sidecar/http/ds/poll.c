/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/poll.h"

bool ds_poll_wait(struct gateway *gateway, struct ds_poll *poll,
                  const struct stream_options *options)
{
    poll->gateway = gateway;
    poll->key_mark = options->key_mark;
    gateway->counts.polls++;
    link_init(&poll->link);
    link_join(&gateway->polls, &poll->link);
    if (limits_enter(gateway, &poll->seat, options->session, options->token) == END_PEER)
        return true;
    ds_poll_leave(poll);
    return false;
}

/* Not longer than the token is good for. */
uint64_t ds_poll_ns(const struct gateway *gateway, const struct stream_options *options)
{
    uint64_t most_ns = gateway->options->long_poll_ns;
    uint64_t end_ns = limits_expires_ns(options->expires_s);
    uint64_t now_ns = gateway_now_ns();
    if (end_ns == 0 || end_ns > now_ns + most_ns)
        return most_ns;
    return end_ns > now_ns ? end_ns - now_ns : 1;
}

void ds_poll_leave(struct ds_poll *poll)
{
    struct gateway *gateway = poll->gateway;
    if (gateway == NULL)
        return;
    link_leave(&poll->link);
    gateway->counts.polls--;
    limits_leave(gateway, &poll->seat);
    poll->gateway = NULL;
}

static bool is_revoked(const struct ds_poll *poll)
{
    return poll->key_mark != 0 && !keys_have(poll->gateway->keys, poll->key_mark);
}

static void end_polls(struct gateway *gateway, bool only_revoked)
{
    struct link *next;
    for (struct link *link = gateway->polls.next; link != &gateway->polls; link = next) {
        struct ds_poll *poll = LINK_OWNER(link, struct ds_poll, link);
        next = link->next; /* it may leave */
        if (!only_revoked || is_revoked(poll))
            poll->end(poll);
    }
}

void ds_poll_end_all(struct gateway *gateway)
{
    end_polls(gateway, false);
}

void ds_poll_end_revoked(struct gateway *gateway)
{
    end_polls(gateway, true);
}
