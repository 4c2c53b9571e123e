/* SPDX-License-Identifier: Apache-2.0 */
#include "base/own_files.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static bool is_owner_known(const char *dir, uid_t owner)
{
    struct stat holder;
    return owner == geteuid() || owner == 0 || (stat(dir, &holder) == 0 && owner == holder.st_uid);
}

static const char *judge(const char *dir, const struct stat *file, mode_t kind)
{
    if (S_ISLNK(file->st_mode))
        return "a symbolic link";
    if ((file->st_mode & S_IFMT) != kind)
        return kind == S_IFSOCK ? "not a socket: it is not replaced" : "not a regular file";
    if (kind == S_IFSOCK)
        return NULL; /* a leftover socket is replaced, whoever owned it */
    if (file->st_nlink > 1)
        return "it has another name elsewhere (a hard link)";
    if (!is_owner_known(dir, file->st_uid))
        return "it belongs to another user";
    return NULL;
}

const char *own_files_check(const char *dir, const char *name, mode_t kind)
{
    struct stat file;
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return lstat(path, &file) != 0 ? NULL : judge(dir, &file, kind);
}

const char *own_files_check_open(const char *dir, int fd)
{
    struct stat file;
    return fstat(fd, &file) != 0 ? "it cannot be checked" : judge(dir, &file, S_IFREG);
}

const char *own_files_check_dir(const char *dir)
{
    struct stat status;
    if (stat(dir, &status) != 0)
        return NULL;
    if ((status.st_mode & S_IWOTH) != 0)
        return "everybody may write to it (chmod o-w)";
    if ((status.st_mode & S_IWGRP) != 0)
        return "its group may write to it (chmod g-w)";
    return NULL;
}
