/* SPDX-License-Identifier: Apache-2.0 */
/* model_session: what is stored, and the result of a new entry. */
#include <stdlib.h>
#include <string.h>

#include "model_base.h"

enum { CODE_UNKNOWN_SESSION = 48, CODE_CLOSED = 52 };

char *model_copy(const char *text)
{
    char *made = strdup(text);
    if (made == NULL)
        abort();
    return made;
}

static void store(struct model *model, const char *session, const char *id, const char *content)
{
    if (model->stored_count == model->stored_room) {
        model->stored_room = (model->stored_room + 64) * 2;
        model->stored = realloc(model->stored, model->stored_room * sizeof(*model->stored));
        if (model->stored == NULL)
            abort();
    }
    model->stored[model->stored_count++] =
        (struct stored){model_copy(session), model_copy(id), model_copy(content)};
    model->position++;
}

/* A close is stored under the id "%close", which no event can have. */
static const struct stored *find_stored(const struct model *model, const char *session,
                                        const char *id)
{
    for (size_t i = model->stored_count; i > 0; i--) {
        const struct stored *stored = &model->stored[i - 1];
        if (strcmp(stored->session, session) == 0 && (id == NULL || strcmp(stored->id, id) == 0))
            return stored;
    }
    return NULL;
}

static void remove_session(struct model *model, const char *session)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->stored_count; i++) {
        struct stored *stored = &model->stored[i];
        if (strcmp(stored->session, session) != 0) {
            model->stored[kept++] = *stored;
            continue;
        }
        free(stored->session);
        free(stored->id);
        free(stored->content);
    }
    model->stored_count = kept;
    model->position++;
}

uint64_t model_seq(const struct model *model, const char *session, const char *id)
{
    uint64_t seq = 0;
    uint64_t found = 0;
    for (size_t i = 0; i < model->stored_count; i++) {
        const struct stored *stored = &model->stored[i];
        if (strcmp(stored->session, session) != 0 || strcmp(stored->id, "%close") == 0)
            continue;
        seq++;
        if (id != NULL && strcmp(stored->id, id) == 0)
            found = seq;
    }
    return found > 0 ? found : seq;
}

/* 0: it can be taken. */
static uint32_t refuse(struct model *model, const struct entry *entry, bool closed)
{
    bool ends = strcmp(entry->kind, "delete") == 0 || strcmp(entry->kind, "close") == 0;
    if (model->refuse_count > 0) {
        model->refuse_count--;
        return model->refuse_code;
    }
    if (closed && !ends)
        return CODE_CLOSED;
    return ends && find_stored(model, entry->session, NULL) == NULL ? CODE_UNKNOWN_SESSION : 0;
}

uint8_t model_decide(struct model *model, const struct entry *entry, uint32_t *ret_code)
{
    char content[512];
    bool no_type = strcmp(entry->type, "message") == 0;
    snprintf(content, sizeof(content), "%.60s %.400s", no_type ? "" : entry->type, entry->data);
    const struct stored *same =
        *entry->id != '\0' ? find_stored(model, entry->session, entry->id) : NULL;
    bool closed = find_stored(model, entry->session, "%close") != NULL;
    if (strcmp(entry->kind, "event") == 0 && same != NULL)
        return strcmp(same->content, content) == 0 ? DUPLICATE : CONFLICT;
    *ret_code = refuse(model, entry, closed);
    if (*ret_code != 0)
        return REFUSED;
    bool close = strcmp(entry->kind, "close") == 0;
    if (close && closed)
        return DUPLICATE;
    if (strcmp(entry->kind, "delete") == 0)
        remove_session(model, entry->session);
    else
        store(model, entry->session, close ? "%close" : entry->id, content);
    return STORED;
}

void model_free_sessions(struct model *model)
{
    for (size_t i = 0; i < model->stored_count; i++) {
        free(model->stored[i].session);
        free(model->stored[i].id);
        free(model->stored[i].content);
    }
    free(model->stored);
}
