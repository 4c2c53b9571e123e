# SPDX-License-Identifier: Apache-2.0
# cmake -D IN=page.html -D OUT=admin_page.c -P embed.cmake: the page as a C array, and its policy.
# The page is plain ASCII, and has one <style> and one <script> without attributes.

# The base64 of bytes that are given in hexadecimal digits.
function(base64_of hex result)
    set(alphabet ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
    set(text "")
    string(LENGTH "${hex}" length)
    math(EXPR last "${length} - 1")
    foreach(at RANGE 0 ${last} 6)
        string(SUBSTRING "${hex}" ${at} 6 group)
        string(LENGTH "${group}" digits)
        string(SUBSTRING "${group}0000" 0 6 group)
        math(EXPR bits "0x${group}")
        set(shift 18)
        math(EXPR characters "${digits} / 2 + 1")
        foreach(index RANGE 1 ${characters})
            math(EXPR value "(${bits} >> ${shift}) & 63")
            string(SUBSTRING ${alphabet} ${value} 1 character)
            string(APPEND text ${character})
            math(EXPR shift "${shift} - 6")
        endforeach()
    endforeach()
    string(LENGTH "${text}" length)
    math(EXPR missing "(4 - ${length} % 4) % 4")
    string(REPEAT "=" ${missing} padding)
    set(${result} "${text}${padding}" PARENT_SCOPE)
endfunction()

# 'sha256-…' of what stands between <tag> and </tag>.
function(source_of tag result)
    string(FIND "${page}" "<${tag}>" begin)
    string(FIND "${page}" "</${tag}>" end)
    string(FIND "${page}" "</${tag}>" last REVERSE)
    if(begin LESS 0 OR end LESS begin OR NOT end EQUAL last)
        message(FATAL_ERROR "${IN}: needs exactly one <${tag}>")
    endif()
    string(LENGTH "<${tag}>" length)
    math(EXPR begin "${begin} + ${length}")
    math(EXPR length "${end} - ${begin}")
    string(SUBSTRING "${page}" ${begin} ${length} contents)
    string(SHA256 hash "${contents}")
    base64_of(${hash} text)
    set(${result} "'sha256-${text}'" PARENT_SCOPE)
endfunction()

file(READ ${IN} page)
file(READ ${IN} hex HEX)
if(hex MATCHES "^(..)*[89a-f].")
    message(FATAL_ERROR "${IN}: is not plain ASCII")
endif()
source_of(style style)
source_of(script script)
string(LENGTH "${hex}" size)
math(EXPR size "${size} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "/* Made from page.html by embed.cmake. */
#include \"http/admin_page.h\"

const char admin_page_html[] = {
${bytes}
};
const size_t admin_page_size = ${size};
const char admin_page_policy[] =
    \"default-src 'none'; connect-src 'self'; script-src ${script}; style-src ${style}; \"
    \"base-uri 'none'; form-action 'none'; frame-ancestors 'none'\";
")
