/* SPDX-License-Identifier: Apache-2.0 */
#include "fork_guard.h"

#include <sys/mman.h>
#include <unistd.h>

void fork_guard_init(struct fork_guard *guard)
{
    *guard = (struct fork_guard){.pid = getpid(), .page_size = (size_t)sysconf(_SC_PAGESIZE)};
    void *page =
        mmap(NULL, guard->page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return;
    if (madvise(page, guard->page_size, MADV_WIPEONFORK) != 0) {
        munmap(page, guard->page_size);
        return;
    }
    guard->page = page;
    guard->page[0] = 1;
}

void fork_guard_release(struct fork_guard *guard)
{
    if (guard->page != NULL)
        munmap((void *)guard->page, guard->page_size);
    *guard = (struct fork_guard){0};
}

bool fork_guard_is_child(const struct fork_guard *guard)
{
    return guard->page != NULL ? guard->page[0] == 0 : guard->pid != getpid();
}
