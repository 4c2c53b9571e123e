# SPDX-License-Identifier: Apache-2.0
# layouts.txt as a source file: cmake -DFROM=layouts.txt -DTO=layouts_text.c -P layouts.cmake
file(READ "${FROM}" text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
file(WRITE "${TO}" "/* Made from layouts.txt. */
extern const char *const layouts_text;
const char *const layouts_text =
    \"${text}\";
")
