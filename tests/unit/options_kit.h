/* SPDX-License-Identifier: Apache-2.0 */
/* options_kit: every option of a program, from the file and from the environment, with each value
 * that is wrong for its kind. */
#ifndef SPN_TESTS_OPTIONS_KIT_H
#define SPN_TESTS_OPTIONS_KIT_H

#include "config/config.h"

/* Enters a directory of its own; options_kit_end removes it. */
bool options_kit_begin(void);
void options_kit_end(void);

/* Every option refuses what is wrong, with the place and the reason. */
void options_kit_refuse(const struct config_program *program);
/* The table is right: its defaults are values, its names are names, its values lie in the struct,
 * and those that a reload may change can be copied. */
void options_kit_look(const struct config_program *program, size_t struct_size);

#endif
