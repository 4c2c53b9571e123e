/* SPDX-License-Identifier: Apache-2.0 */
/* model_session: what is stored, and the result of a new entry. */
#include <stdlib.h>
#include <string.h>

#include "model_base.h"

enum {
    CODE_UNKNOWN_SESSION = 48,
    CODE_OTHER_LIFE = 50,
    CODE_CLOSED = 52,
    CODE_CONDITION = 55,
    CODE_DEPENDENT = 56
};

char *model_copy(const char *text)
{
    char *made = strdup(text);
    if (made == NULL)
        abort();
    return made;
}

struct session *model_session(struct model *model, const char *name)
{
    for (size_t i = 0; i < model->session_count; i++)
        if (strcmp(model->sessions[i].name, name) == 0)
            return &model->sessions[i];
    return NULL;
}

void model_life_of(const struct session *session, char ret_life[LIFE_SIZE])
{
    if (session == NULL)
        snprintf(ret_life, LIFE_SIZE, "%032d", 0);
    else
        snprintf(ret_life, LIFE_SIZE, "%.30s%02x", model_life(), 0x6cU + session->life);
}

static struct session *open_session(struct model *model, const char *name)
{
    if (model->session_count == SESSIONS_MAX) {
        fake_violation("more sessions than this sidecar keeps");
        return NULL;
    }
    struct session *session = &model->sessions[model->session_count++];
    *session = (struct session){.name = model_copy(name), .life = model->deletes};
    model->position++;
    return session;
}

static void store(struct model *model, const char *session, const char *id, const char *content,
                  uint64_t seq)
{
    if (model->stored_count == model->stored_room) {
        model->stored_room = (model->stored_room + 64) * 2;
        model->stored = realloc(model->stored, model->stored_room * sizeof(*model->stored));
        if (model->stored == NULL)
            abort();
    }
    model->stored[model->stored_count++] =
        (struct stored){model_copy(session), model_copy(id), model_copy(content), seq};
}

static const struct stored *find_stored(const struct model *model, const struct entry *entry)
{
    for (size_t i = model->stored_count; i > 0; i--) {
        const struct stored *stored = &model->stored[i - 1];
        if (strcmp(stored->session, entry->session) == 0 && strcmp(stored->id, entry->id) == 0)
            return stored;
    }
    return NULL;
}

static void free_stored(struct stored *stored)
{
    free(stored->session);
    free(stored->id);
    free(stored->content);
}

static void remove_session(struct model *model, struct session *session)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->stored_count; i++) {
        struct stored *stored = &model->stored[i];
        if (strcmp(stored->session, session->name) != 0)
            model->stored[kept++] = *stored;
        else
            free_stored(stored);
    }
    model->stored_count = kept;
    free(session->name);
    *session = model->sessions[--model->session_count];
    model->deletes++;
}

/* -- deciding ---------------------------------------------------------------------------------- */

static bool is(const struct entry *entry, const char *kind)
{
    return strcmp(entry->kind, kind) == 0;
}

static bool has_seq(const struct entry *entry)
{
    return is(entry, "event") || is(entry, "marker") || is(entry, "reset");
}

/* The table of PROTOCOL.md, from the top. 0: all hold. */
static uint32_t refuse_by_condition(const struct entry *entry, const struct session *session)
{
    char life[LIFE_SIZE];
    model_life_of(session, life);
    if ((entry->flags & ENTRY_DEPENDS) != 0 && entry->depends_on_refused)
        return CODE_DEPENDENT;
    if ((entry->flags & ENTRY_NEW) != 0)
        return session != NULL ? CODE_CONDITION : 0;
    if ((entry->flags & ENTRY_LIFE) != 0 && session == NULL)
        return CODE_UNKNOWN_SESSION;
    if ((entry->flags & ENTRY_LIFE) != 0 && strcmp(entry->life, life) != 0)
        return CODE_OTHER_LIFE;
    if ((entry->flags & ENTRY_SEQ) != 0 && session == NULL)
        return entry->seq == 0 ? 0 : CODE_UNKNOWN_SESSION;
    if ((entry->flags & ENTRY_SEQ) != 0 && entry->seq != session->seq)
        return CODE_CONDITION;
    return 0;
}

/* 0: it can be taken. */
static uint32_t refuse(struct model *model, const struct entry *entry,
                       const struct session *session)
{
    if (model->refuse_count > 0) {
        model->refuse_count--;
        return model->refuse_code;
    }
    uint32_t code = refuse_by_condition(entry, session);
    if (code != 0)
        return code;
    if (session != NULL)
        return session->closed && has_seq(entry) ? CODE_CLOSED : 0;
    return is(entry, "close") || is(entry, "delete") || is(entry, "touch") ? CODE_UNKNOWN_SESSION
                                                                           : 0;
}

static void carry_out(struct model *model, const struct entry *entry, const char *content,
                      struct session *session)
{
    if (is(entry, "delete")) {
        model->position++;
        remove_session(model, session);
        return;
    }
    if (session == NULL && (session = open_session(model, entry->session)) == NULL)
        return;
    model->position++;
    if (has_seq(entry))
        store(model, entry->session, entry->id, content, ++session->seq);
    session->closed = session->closed || (entry->flags & ENTRY_CLOSES) != 0;
}

uint8_t model_decide(struct model *model, const struct entry *entry, struct decided *ret_decided)
{
    char content[512];
    bool no_type = strcmp(entry->type, "message") == 0;
    bool closes = (entry->flags & ENTRY_CLOSES) != 0;
    struct session *session = model_session(model, entry->session);
    snprintf(content, sizeof(content), "%.60s %.300s %d%.64s", no_type ? "" : entry->type,
             entry->data, closes, closes ? entry->reason : "");
    const struct stored *same = *entry->id != '\0' ? find_stored(model, entry) : NULL;
    model_life_of(session, ret_decided->life);
    ret_decided->seq = same != NULL ? same->seq : session != NULL ? session->seq : 0;
    ret_decided->closed = session != NULL && session->closed;
    if (is(entry, "event") && same != NULL)
        return strcmp(same->content, content) == 0 ? DUPLICATE : CONFLICT;
    ret_decided->code = refuse(model, entry, session);
    if (ret_decided->code != 0)
        return REFUSED;
    if (is(entry, "close") && session->closed)
        return DUPLICATE;
    carry_out(model, entry, content, session);
    session = model_session(model, entry->session);
    if (session != NULL) {
        model_life_of(session, ret_decided->life);
        ret_decided->seq = session->seq;
        ret_decided->closed = session->closed;
    }
    return STORED;
}

void model_free_sessions(struct model *model)
{
    for (size_t i = 0; i < model->stored_count; i++)
        free_stored(&model->stored[i]);
    for (size_t i = 0; i < model->session_count; i++)
        free(model->sessions[i].name);
    free(model->stored);
}
