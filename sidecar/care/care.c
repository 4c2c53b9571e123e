/* SPDX-License-Identifier: Apache-2.0 */
#include "care/care.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/journal.h"

spn_err care_fail(struct care *care, spn_err err, const char *what, const char *words)
{
    snprintf(care->why, sizeof(care->why), "%.300s: %.320s", what, words);
    return err;
}

spn_err care_fail_errno(struct care *care, const char *what)
{
    return care_fail(care, SPN_E_SYSTEM, what, strerror(errno));
}

/* The detail may begin with the path itself. */
spn_err care_fail_store(struct care *care, spn_err err, const char *what)
{
    const char *detail = journal_detail();
    size_t size = strlen(what);
    if (strncmp(detail, what, size) == 0 && strncmp(detail + size, ": ", 2) == 0)
        detail += size + 2;
    return care_fail(care, err, what, detail);
}

spn_err care_fail_page(struct care *care, const char *what, const char *table, uint64_t page)
{
    char words[160];
    snprintf(words, sizeof(words),
             "page %llu of %s is damaged: `sponson verify` lists the damage, `sponson salvage` "
             "saves the rest",
             (unsigned long long)page, table);
    return care_fail(care, SPN_E_CORRUPT, what, words);
}

spn_err care_give_to_owner(struct care *care, int fd, const char *dir)
{
    struct stat owner;
    if (geteuid() != 0)
        return SPN_OK;
    if (stat(dir, &owner) != 0 || fchown(fd, owner.st_uid, owner.st_gid) != 0)
        return care_fail_errno(care, dir);
    return SPN_OK;
}
