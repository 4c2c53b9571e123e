/* SPDX-License-Identifier: Apache-2.0 */
#include "token/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/read_whole.h"

/* NULL, or why the file is refused. */
static const char *judge(const struct stat *file)
{
    bool is_roots = file->st_uid == 0;
    mode_t others = S_IRWXO | S_IWGRP | S_IXGRP | (is_roots ? 0 : S_IRGRP);
    if (!S_ISREG(file->st_mode))
        return "it is not a regular file";
    if (!is_roots && file->st_uid != geteuid())
        return "it belongs to another user";
    if (file->st_mode & others)
        return "others can read or write it (chmod 600)";
    if (file->st_size > KEY_FILE_SIZE_MAX)
        return "it is larger than 64 KiB";
    return NULL;
}

static spn_err read_keys(int fd, struct keys **ret_keys, char ret_why[KEYS_WHY_SIZE])
{
    struct stat file;
    size_t size = 0;
    if (fstat(fd, &file) != 0)
        return SPN_E_SYSTEM;
    const char *why = judge(&file);
    if (why) {
        (void)snprintf(ret_why, KEYS_WHY_SIZE, "%s", why);
        return SPN_E_INVALID;
    }
    char *text = malloc(KEY_FILE_SIZE_MAX);
    if (!text || !read_whole(fd, text, KEY_FILE_SIZE_MAX, &size)) {
        free(text);
        return SPN_E_SYSTEM;
    }
    struct keys *keys = keys_parse((struct spn_bytes){text, size}, ret_why);
    OPENSSL_cleanse(text, size);
    free(text);
    if (!keys)
        return SPN_E_INVALID;
    *ret_keys = keys;
    return SPN_OK;
}

spn_err key_file_read(const char *path, struct keys **ret_keys, char ret_why[KEYS_WHY_SIZE])
{
    /* A pipe in its place has no writer: O_NONBLOCK keeps us from waiting for one. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ret_why[0] = '\0';
    if (fd < 0)
        return SPN_E_SYSTEM;
    spn_err err = read_keys(fd, ret_keys, ret_why);
    int number = errno;
    close(fd);
    errno = number;
    return err;
}
