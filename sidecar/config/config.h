/* SPDX-License-Identifier: Apache-2.0 */
/* config: the options of a program, from all the places that have them.
 *
 * A program has one table of options. --help, the keys of the configuration file, the environment's
 * variables, the checks of values, --print-config and what a reload may change all come from it.
 *
 * A value comes from one of four layers. The higher one prevails: default, file, environment,
 * command line. A file with an error in it is refused as a whole, also where a higher layer
 * prevails.
 *
 * config.c holds the layers; config_value.c has the kinds of values; config_arguments.c reads the
 * command line and the environment, config_file.c the file; config_print.c prints; config_start.c
 * does all of that, and config_reload.c does it again.
 *
 * Owns     the texts of the values. A program's TEXT and LIST options point to them.
 * Threads  one at a time.
 */
#ifndef SPN_CONFIG_H
#define SPN_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CONFIG_OPTIONS_MAX = 64,
    CONFIG_LIST_MAX = 64,   /* values of one option */
    CONFIG_ERRORS_MAX = 32, /* that are kept; others are counted */
    CONFIG_FILE_MAX = 1 << 20,
};

/* What an option is in the program's struct. */
enum config_kind {
    CONFIG_FLAG,    /* bool: no argument; in the file and the environment true or false */
    CONFIG_NUMBER,  /* an integer of any size, from least to most */
    CONFIG_BYTES,   /* the same, printed with K, M or G */
    CONFIG_TIME_MS, /* the same, in milliseconds; least and most too */
    CONFIG_TIME_NS, /* in nanoseconds; least and most in milliseconds */
    CONFIG_PATH,    /* char[PATH_MAX] */
    CONFIG_TEXT,    /* const char *; NULL: none */
    CONFIG_LIST,    /* struct config_list */
    CONFIG_MODE,    /* mode_t, octal */
    CONFIG_GROUP,   /* gid_t; (gid_t)-1: none */
    CONFIG_WORD,    /* unsigned: the place of one of the words */
};

enum config_how {
    CONFIG_RELOADS = 1,      /* SIGHUP may change it */
    CONFIG_NOT_IN_FILE = 2,  /* it is about this process, not about the service */
    CONFIG_ONLY_ON_LINE = 4, /* the same, and it is not in the environment either */
};

struct config_list {
    const char *items[CONFIG_LIST_MAX];
    size_t count;
};

struct config_option {
    const char *name;     /* without dashes: --name, `name:` in the file */
    const char *argument; /* in --help; NULL: a flag */
    const char *help;
    const char *fallback; /* the default, as in the file; NULL: none, or one that is computed */
    enum config_kind kind;
    unsigned how;  /* of enum config_how */
    size_t offset; /* in the program's struct ... */
    size_t size;   /* ... and there; 0: it is not kept */
    uint64_t least;
    uint64_t most;                                      /* of a LIST: values */
    const char *const *words;                           /* of a WORD, with NULL at the end */
    const char *variable;                               /* NULL: made from the name */
    bool (*check)(const char *value, const char **why); /* what its kind does not check, or NULL */
};

/* CONFIG_AT(struct, field): the last two of the place of a value. */
#define CONFIG_AT(type, field)                                                                     \
    .offset = offsetof(type, field), .size = sizeof(((type *)NULL)->field)

struct config;

struct config_program {
    const char *name;    /* sponsond */
    const char *version; /* what --version prints */
    const char *prefix;  /* of its variables */
    const char *file;    /* read if it is there and no other is named */
    const char *doc;     /* of argp */
    const struct config_option *options;
    size_t count;
    /* Sets defaults that are not in the table. NULL: there are none. */
    void (*defaults)(struct config *config);
    /* Makes the program's struct of what was read without an error, with config_apply, and adds
     * errors that only all the options together show. */
    void (*complete)(struct config *config, void *options);
};

/* The rows that every program's table begins with. */
#define CONFIG_OWN_OPTIONS(default_file)                                                           \
    {.name = "config",                                                                             \
     .argument = "FILE",                                                                           \
     .help = "Read this configuration file (default: " default_file ", if it is there)",           \
     .kind = CONFIG_PATH,                                                                          \
     .how = CONFIG_NOT_IN_FILE},                                                                   \
        {.name = "no-config",                                                                      \
         .help = "Read no configuration file",                                                     \
         .kind = CONFIG_FLAG,                                                                      \
         .how = CONFIG_NOT_IN_FILE},                                                               \
        {.name = "check-config",                                                                   \
         .help = "Only check the options from everywhere; exit code 0: they are right, 2: they "   \
                 "are not, and standard error has the reasons",                                    \
         .kind = CONFIG_FLAG,                                                                      \
         .how = CONFIG_ONLY_ON_LINE},                                                              \
    {                                                                                              \
        .name = "print-config",                                                                    \
        .help = "Only print the options in force, as a configuration file with a note where each " \
                "comes from",                                                                      \
        .kind = CONFIG_FLAG, .how = CONFIG_ONLY_ON_LINE                                            \
    }

enum config_layer { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_LINE, CONFIG_LAYERS };

/* What one layer has of one option. */
struct config_given {
    bool present;
    unsigned line; /* of the key in the file; 0: it is not there */
    size_t count;  /* of texts; one, but for lists */
    char **texts;
};

struct config {
    const struct config_program *program;
    struct config_given given[CONFIG_LAYERS][CONFIG_OPTIONS_MAX];
    char file[PATH_MAX]; /* that was read; "": none */
    char *errors[CONFIG_ERRORS_MAX];
    size_t error_count; /* also of those that are not kept */
};

/* -- config.c ---------------------------------------------------------------------------------- */

/* An empty one, with the table's defaults. NULL: out of memory. */
struct config *config_new(const struct config_program *program);
void config_free(struct config *config); /* takes NULL */

/* Has the defaults, the command line and the environment of this one, but no file. NULL: out of
 * memory. */
struct config *config_new_without_file(const struct config *config);

/* The place of an option in the table, whose name must be there. */
size_t config_index(const struct config_program *program, const char *name);

/* Sets a default that is not in the table. NULL: none. */
void config_set_default(struct config *config, const char *name, const char *text);

/* Gives one layer's option a value. A list gets one more, others get this one instead. The value is
 * checked. False: it is wrong; ret_why has the reason. */
bool config_give(struct config *config, enum config_layer layer, size_t index, const char *text,
                 const char **ret_why);

/* The highest layer that has the option. */
enum config_layer config_layer_of(const struct config *config, const char *name);
/* The text in force; of a list the first. NULL: none. */
const char *config_text(const struct config *config, const char *name);

/* Whether this option without an argument is set. */
bool config_has_flag(const struct config *config, const char *name);

/* Adds an error: "where: what is wrong". */
void config_wrong(struct config *config, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes the values in force into the program's struct. There are no errors. */
void config_apply(const struct config *config, void *options);

/* What a reload does with an option whose value is another one. */
struct config_change {
    const char *option;
    char *old_text; /* as config_value_text */
    char *new_text;
    bool taken; /* false: it needs a restart */
};

/* Writes what differs and may change into *running, and reports each difference. */
void config_take(const struct config_program *program, void *running, const void *fresh,
                 void (*report)(void *context, const struct config_change *change), void *context);

/* -- config_value.c ---------------------------------------------------------------------------- */

/* Checks a value and, unless options is NULL, writes it to its place. The reason of a wrong one is
 * valid until the next call in the same thread. */
bool config_value_set(const struct config_option *option, const char *text, void *options,
                      const char **ret_why);
/* Makes the value none: no group, no text, an empty list, 0. */
void config_value_clear(const struct config_option *option, void *options);
bool config_value_same(const struct config_option *option, const void *options, const void *others);
/* The value as the file has it; of a list item `at`. NULL: there is none. Freed by the caller. */
char *config_value_text(const struct config_option *option, const void *options, size_t at);

/* -- config_arguments.c ------------------------------------------------------------------------ */

/* Reads the command line. Ends the program on --help and --version (exit code 0), and on what is
 * wrong (2). */
void config_read_arguments(struct config *config, int argc, char **argv);
void config_read_environment(struct config *config);
/* The name of an option's variable. */
void config_variable(const struct config_program *program, const struct config_option *option,
                     char *ret_name, size_t size);

/* -- config_file.c ----------------------------------------------------------------------------- */

/* Reads the file that the other layers name, or the default one. required: it must be there, even
 * if nobody named it. */
void config_read_file(struct config *config, bool required);

/* -- config_print.c ---------------------------------------------------------------------------- */

/* Prints the values in force as a configuration file. False: it cannot be written, or a value
 * cannot be: YAML has only UTF-8. */
bool config_print(const struct config *config, const void *options, FILE *file);

/* -- config_start.c ---------------------------------------------------------------------------- */

/* Reads everything. Ends the program on --help, --version, --check-config and --print-config (exit
 * code 0), and if an option is wrong (2), with the reasons on stderr. Returns where the values come
 * from, to be kept as long as the options. */
struct config *config_start(const struct config_program *program, void *ret_options, int argc,
                            char **argv);

/* The descriptor that this option of the command line names. -1: none. Ends the program (2) if it
 * is not open. */
int config_descriptor(const struct config *config, const char *name);

/* Reads the file again. If the result has errors, *ret_options has no values. NULL: out of memory.
 */
struct config *config_read_again(const struct config *config, void *ret_options);

/* -- config_reload.c --------------------------------------------------------------------------- */

/* Reads the file again, writes what differs and may change into *running, and logs all of it.
 * fresh_options: room for another of the program's structs. bound (may be NULL) takes out of it
 * what cannot be had in this process, logs that, and returns whether there was such a thing. False:
 * nothing is changed; the log has the reasons. */
bool config_reload(struct config *config, void *running, void *fresh_options,
                   bool (*bound)(void *context, void *fresh_options), void *context);

#endif
