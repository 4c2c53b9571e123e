/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/mended.h"

#include "base/log.h"

static void log_table(const struct journal_damage *damage, size_t table)
{
    static const char *const names[] = JOURNAL_TABLE_NAMES;
    unsigned long long pages = damage->leaves[table];
    if (damage->missing[table] > 0)
        log_error("damaged", "code=SPN_E_CORRUPT table=%s pages=%llu missing=%llu", names[table],
                  pages, (unsigned long long)damage->missing[table]);
    else if (pages > 0 || damage->miscounted[table])
        log_error("damaged", "code=SPN_E_CORRUPT table=%s pages=%llu", names[table], pages);
}

void mended_log_pages(const struct journal_damage *damage)
{
    for (size_t i = 0; i < JOURNAL_TABLES; i++)
        log_table(damage, i);
    if (damage->lost_from > 0)
        log_error("damaged", "code=SPN_E_CORRUPT lost_from=%llu lost_to=%llu",
                  (unsigned long long)damage->lost_from, (unsigned long long)damage->lost_to);
    if (damage->free_list)
        log_error("damaged",
                  "code=SPN_E_CORRUPT table=free reason=\"free pages are not used again\"");
}

void mended_log_recovered(const struct recovered *found)
{
    if (found->given_up + found->names + found->orphans + found->producers + found->lost == 0)
        return;
    log_error("damaged",
              "code=SPN_E_CORRUPT sessions_given_up=%llu names_restored=%llu orphans=%llu "
              "producers_forgotten=%llu positions_lost=%llu lost_from=%llu",
              (unsigned long long)found->given_up, (unsigned long long)found->names,
              (unsigned long long)found->orphans, (unsigned long long)found->producers,
              (unsigned long long)found->lost, (unsigned long long)found->lost_from);
}
