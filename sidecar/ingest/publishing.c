/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/publishing.h"

#include <assert.h>

/* The place of this user, or a free one; NULL: there is none. */
static struct publishing_sum *find_user(struct publishing *publishing, uint32_t uid)
{
    struct publishing_sum *found = NULL;
    for (size_t i = 0; i < PUBLISHING_USERS_MAX; i++) {
        struct publishing_sum *user = &publishing->users[i];
        if (user->count > 0 && user->uid == uid)
            return user;
        if (user->count == 0 && !found)
            found = user;
    }
    return found;
}

/* One that is alone may have any size. */
static bool has_room(const struct publishing_sum *sum, size_t bytes, uint32_t count_max,
                     size_t bytes_max)
{
    return sum->count == 0 || (sum->count < count_max && sum->bytes + bytes <= bytes_max);
}

static void add(struct publishing_sum *sum, size_t bytes)
{
    sum->count++;
    sum->bytes += bytes;
}

static void take_off(struct publishing_sum *sum, size_t bytes)
{
    assert(sum->count > 0 && sum->bytes >= bytes);
    sum->count--;
    sum->bytes -= bytes;
}

spn_err publishing_add(struct publishing *publishing, uint32_t uid, size_t bytes,
                       const char **ret_words)
{
    struct publishing_sum *user = find_user(publishing, uid);
    if (!user || !has_room(&publishing->all, bytes, PUBLISHING_COUNT_MAX, publishing->bytes_max)) {
        *ret_words = "too many one-shots wait for the disk: try again later";
        return SPN_E_BACKPRESSURE;
    }
    if (!has_room(user, bytes, PUBLISHING_COUNT_MAX / 2, publishing->bytes_max / 2)) {
        *ret_words = "the processes of this user have as many one-shots waiting as one user may";
        return SPN_E_LIMIT;
    }
    user->uid = uid;
    add(user, bytes);
    add(&publishing->all, bytes);
    return SPN_OK;
}

void publishing_remove(struct publishing *publishing, uint32_t uid, size_t bytes)
{
    take_off(find_user(publishing, uid), bytes);
    take_off(&publishing->all, bytes);
}
