/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/salvage.h"

#include "wire.h"

/* Writes a row that marks its session as given up, and has no attributes. */
static spn_err put_given_up(struct journal *journal, struct journal_reader *reader, uint64_t epoch,
                            struct spn_bytes name, uint64_t clock_ns)
{
    static const struct record_attributes none;
    struct record_row row = {
        .position = epoch, .activity_ns = clock_ns, .state = RECORD_DAMAGED, .name = name};
    spn_err err = journal_read_life(reader, epoch, &row.life);
    if (err != SPN_OK && err != SPN_E_END)
        return err;
    err = journal_put_attributes(journal, epoch, &none);
    return err == SPN_OK ? journal_put_row(journal, epoch, &row) : err;
}

/* -- rows without names ------------------------------------------------------------------------ */

/* Writes the row's name again if it is missing, or has an earlier epoch. */
static spn_err check_name(struct journal *journal, struct journal_reader *reader, uint64_t epoch,
                          const struct record_row *row, struct salvaged *salvaged)
{
    uint64_t named = 0;
    spn_err err = journal_read_name(reader, row->name, &named);
    if ((err == SPN_OK && named >= epoch) || row->state == RECORD_DELETED ||
        epoch > journal_reader_meta(reader)->checkpoint)
        return SPN_OK;
    if (err != SPN_OK && err != SPN_E_END && err != SPN_E_CORRUPT)
        return err;
    salvaged->names++;
    return journal_put_name(journal, row->name, epoch);
}

static spn_err check_names(struct journal *journal, struct journal_reader *reader,
                           struct salvaged *salvaged)
{
    uint64_t epoch = 0;
    struct record_row row;
    for (;;) {
        uint64_t before = epoch;
        spn_err err = journal_read_row_after(reader, before, &epoch, &row);
        if (err == SPN_E_CORRUPT && epoch > before)
            continue;
        if (err == SPN_OK)
            err = check_name(journal, reader, epoch, &row, salvaged);
        if (err != SPN_OK)
            return err == SPN_E_END ? SPN_OK : err;
    }
}

/* -- names without rows ------------------------------------------------------------------------ */

static spn_err check_row(struct journal *journal, struct journal_reader *reader,
                         struct spn_bytes name, uint64_t epoch, uint64_t clock_ns,
                         struct salvaged *salvaged)
{
    struct record_row row;
    if (epoch > journal_reader_meta(reader)->checkpoint)
        return SPN_OK; /* the log has the session */
    spn_err err = journal_read_row(reader, epoch, &row);
    if (err != SPN_E_END && err != SPN_E_CORRUPT)
        return err;
    err = epochs_add(&salvaged->given_up, epoch);
    return err == SPN_OK ? put_given_up(journal, reader, epoch, name, clock_ns) : err;
}

static spn_err check_rows(struct journal *journal, struct journal_reader *reader, uint64_t clock_ns,
                          struct salvaged *salvaged)
{
    struct spn_bytes name = {NULL, 0};
    for (;;) {
        const void *before = name.data;
        uint64_t epoch = 0;
        spn_err err = journal_read_name_after(reader, name, &name, &epoch);
        if (err == SPN_E_CORRUPT && name.data != before) {
            /* If the row of such a name is whole, check_names has just written the name again. */
            salvaged->orphans++;
            continue;
        }
        if (err == SPN_OK)
            err = check_row(journal, reader, name, epoch, clock_ns, salvaged);
        if (err != SPN_OK)
            return err == SPN_E_END ? SPN_OK : err;
    }
}

/* -- rows and names without a session ---------------------------------------------------------- */

static spn_err drop_rows(struct journal *journal, const struct epochs *damaged,
                         struct salvaged *salvaged)
{
    spn_err err = SPN_OK;
    for (size_t i = 0; i < damaged->count && err == SPN_OK; i++) {
        if (epochs_has(&salvaged->given_up, damaged->list[i]))
            continue;
        salvaged->orphans++;
        err = journal_delete_row(journal, damaged->list[i]);
    }
    return err;
}

/* Deletes unreadable names, before check_names writes the known ones again. */
static spn_err drop_names(struct journal *journal, struct journal_reader *reader)
{
    struct spn_bytes name = {NULL, 0};
    for (;;) {
        const void *before = name.data;
        uint64_t epoch = 0;
        spn_err err = journal_read_name_after(reader, name, &name, &epoch);
        if (err == SPN_E_CORRUPT && name.data != before)
            err = journal_delete_name(journal, name, 0);
        if (err != SPN_OK)
            return err == SPN_E_END ? SPN_OK : err;
    }
}

/* -- all of it --------------------------------------------------------------------------------- */

spn_err salvage_run(struct journal *journal, struct journal_reader *reader,
                    const struct epochs *damaged, uint64_t clock_ns, struct salvaged *ret_salvaged)
{
    struct salvaged salvaged = {.names = 0};
    spn_err err = journal_begin(journal);
    if (err == SPN_OK)
        err = drop_names(journal, reader);
    if (err == SPN_OK)
        err = check_names(journal, reader, &salvaged);
    if (err == SPN_OK)
        err = check_rows(journal, reader, clock_ns, &salvaged);
    if (err == SPN_OK)
        err = drop_rows(journal, damaged, &salvaged);
    if (err == SPN_OK)
        err = journal_commit(journal);
    journal_abort(journal);
    if (err != SPN_OK && !journal_lacks_room(err)) {
        epochs_release(&salvaged.given_up);
        return err;
    }
    *ret_salvaged = salvaged;
    return SPN_OK;
}

/* Reads the session's name from its row, or from the entry that opened it. */
static spn_err find_name(struct journal_reader *reader, uint64_t epoch, struct spn_bytes *ret_name)
{
    struct record_row row;
    struct record_entry open;
    spn_err err = journal_read_row(reader, epoch, &row);
    if (err == SPN_OK) {
        *ret_name = row.name;
        return SPN_OK;
    }
    err = journal_read_entry(reader, epoch, &open);
    if (err == SPN_OK && (open.kind != RECORD_OPEN || open.data.size > WIRE_SESSION_MAX))
        err = SPN_E_CORRUPT;
    if (err != SPN_OK)
        return err;
    *ret_name = open.data;
    return SPN_OK;
}

spn_err salvage_give_up(struct journal *journal, struct journal_reader *reader, uint64_t epoch,
                        uint64_t clock_ns)
{
    struct spn_bytes name;
    spn_err err = find_name(reader, epoch, &name);
    if (err == SPN_OK)
        err = journal_begin(journal);
    if (err == SPN_OK)
        err = put_given_up(journal, reader, epoch, name, clock_ns);
    if (err == SPN_OK)
        err = journal_put_name(journal, name, epoch);
    if (err == SPN_OK)
        err = journal_commit(journal);
    journal_abort(journal);
    return journal_lacks_room(err) || err == SPN_E_END || err == SPN_E_CORRUPT ? SPN_OK : err;
}
