/* SPDX-License-Identifier: Apache-2.0 */
#include "http/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "err.h"

static const struct {
    unsigned status;
    const char *title;
} titles[] = {
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {421, "Misdirected Request"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {507, "Insufficient Storage"},
};

bool problem_set(struct problem *ret_problem, unsigned status, spn_err err, const char *format, ...)
{
    ret_problem->status = status;
    ret_problem->code = err_name(err);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_problem->detail, sizeof(ret_problem->detail), format, arguments);
    va_end(arguments);
    return false;
}

bool problem_header(struct problem *ret_problem, const char *name, struct spn_bytes value,
                    const char *what)
{
    char quoted[TEXT_QUOTED_SIZE];
    return problem_set(ret_problem, 400, SPN_E_INVALID, "%s is %s: %s", name,
                       text_quote(value, quoted), what);
}

bool problem_no_memory(struct problem *ret_problem)
{
    return problem_set(ret_problem, 503, SPN_E_NOMEM, "out of memory");
}

bool problem_conflict(struct problem *ret_problem)
{
    return problem_set(ret_problem, 409, SPN_E_INVALID,
                       "the session has another event with this id");
}

unsigned problem_status(spn_err err)
{
    switch (err) {
    case SPN_E_UNKNOWN_SESSION:
    case SPN_E_DELETED:
        return 404;
    case SPN_E_CLOSED:
        return 409;
    case SPN_E_UNKNOWN_ID:
    case SPN_E_TRIMMED:
        return 410;
    case SPN_E_OTHER_LIFE:
    case SPN_E_CONDITION:
    case SPN_E_DEPENDENT:
        return 412;
    case SPN_E_EVENT_TOO_LARGE:
        return 413;
    case SPN_E_BAD_SESSION:
    case SPN_E_BAD_ID:
    case SPN_E_BAD_TYPE:
    case SPN_E_BAD_DATA:
    case SPN_E_BAD_NOTE:
    case SPN_E_BAD_REASON:
    case SPN_E_BAD_ATTRIBUTES:
    case SPN_E_BAD_PREFIX:
    case SPN_E_BAD_POSITION:
    case SPN_E_INVALID:
        return 400;
    case SPN_E_TOO_MANY:
    case SPN_E_LIMIT:
        return 429;
    case SPN_E_DISK_FULL:
    case SPN_E_QUOTA_FULL:
        return 507;
    case SPN_E_UNSUPPORTED:
        return 501;
    case SPN_E_TIMEOUT:
    case SPN_E_UNAVAILABLE:
    case SPN_E_BACKPRESSURE:
    case SPN_E_STOPPING:
    case SPN_E_LOST:
        return 503;
    default:
        return 500;
    }
}

const char *problem_title(unsigned status)
{
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Error";
}

/* The detail is one line of text in which only two characters need an escape. */
static void put_escaped(struct out *out, const char *text)
{
    for (const char *c = text; *c != 0; c++) {
        if (*c == '"' || *c == '\\')
            out_put(out, "\\", 1);
        out_put(out, c, 1);
    }
}

void problem_write(const struct problem *problem, struct out *out)
{
    out_text(out, "{\"type\":\"/problems#");
    out_text(out, problem->code);
    out_text(out, "\",\"title\":\"");
    out_text(out, problem_title(problem->status));
    out_text(out, "\",\"status\":");
    out_number(out, problem->status);
    out_text(out, ",\"code\":\"");
    out_text(out, problem->code);
    out_text(out, "\",\"detail\":\"");
    put_escaped(out, problem->detail);
    out_text(out, "\"}\n");
}
