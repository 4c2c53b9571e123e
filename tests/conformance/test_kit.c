/* SPDX-License-Identifier: Apache-2.0 */
/* The kit itself: its layouts beside the examples of PROTOCOL.md, its decoder on every truncation,
 * and the rules that it checks, each broken once. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "model.h"

enum { MESSAGES_MAX = 4, EXAMPLES_MIN = 20 };

/* -- rules ------------------------------------------------------------------------------------- */

static char violation[WORDS_SIZE]; /* the first */
static unsigned violations;

void __wrap_fake_violation(const char *format, ...);
void __wrap_fake_violation(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (violations++ == 0)
        vsnprintf(violation, sizeof(violation), format, arguments);
    va_end(arguments);
}

struct row {
    const char *name;
    const char *messages[MESSAGES_MAX]; /* TYPE name=value ... */
    const char *violation;              /* how it begins; NULL: there is none */
};

#define EVENT "BATCH token=28673 base=1 entries.0.session=s entries.0.kind=event "
#define BATCH EVENT "entries.0.id=e "
#define ENTRY                                                                                      \
    "BATCH token=28673 base=1 first=1 entries.0.session=s entries.0.retry=4294967295 entries.0."
#define ONCE "PUBLISH request=9 level=durable kind=event retry=4294967295 "
#define FOLLOW "FOLLOW subscription=3 credit=100 "
#define SUBSCRIBE "SUBSCRIBE subscription=3 credit=100 session=s "

static const struct row rows[] = {
    {"a batch", {BATCH "first=1 entries.0.id=a"}, NULL},
    {"a batch again",
     {BATCH "first=1 entries.0.id=a", BATCH "first=1 entries.0.id=a round=1"},
     NULL},
    {"a token that was never given", {"BATCH token=5 first=1 base=1"}, "BATCH: token 5"},
    {"number 0", {BATCH "first=0"}, "BATCH: 1 <= base"},
    {"base above first", {BATCH "first=1 base=2"}, "BATCH: 1 <= base"},
    {"base goes back", {BATCH "first=3 base=3", BATCH "first=4 base=2"}, "BATCH: base went back"},
    {"round goes back", {BATCH "first=1 round=2", BATCH "first=2 round=1"}, "BATCH: round went"},
    {"no entries", {"BATCH token=28673 first=1 base=1"}, "BATCH: 0 entries"},
    {"no session", {"BATCH token=28673 first=1 base=1 entries.0.id=a"}, "BATCH: entry 0 has no"},
    {"a number changes its data",
     {BATCH "first=1 entries.0.data=x", BATCH "first=1 entries.0.data=y"},
     "BATCH: number 1 was"},
    {"a number changes its session",
     {BATCH "first=1 entries.0.id=a", BATCH "first=1 entries.0.id=a entries.0.session=t"},
     "BATCH: number 1 was"},
    {"more data than WELCOME allows",
     {BATCH "first=1 entries.0.data=12345678901"},
     "BATCH: entry 0"},
    {"more entries than WELCOME allows",
     {BATCH "first=1 entries.1.id=a entries.2.id=b"},
     "BATCH: 3 entries"},
    {"an event without an id", {EVENT "first=1"}, "BATCH: an event without"},
    {"a close without CLOSES", {ENTRY "kind=close"}, "BATCH: a close without"},
    {"a close", {ENTRY "kind=close entries.0.flags=8 entries.0.reason=done"}, NULL},
    {"a touch with data", {ENTRY "kind=touch entries.0.data=x"}, "BATCH: a touch has"},
    {"a delete with a retry", {ENTRY "kind=delete entries.0.retry=3"}, "BATCH: a delete has"},
    {"a delete with a reason", {ENTRY "kind=delete entries.0.flags=8"}, "BATCH: an entry of kind"},
    {"a flag that nobody knows", {ENTRY "kind=delete entries.0.flags=64"}, "BATCH: an entry of"},
    {"a kind that nobody knows", {ENTRY "kind=99"}, "BATCH: an entry of kind 99"},
    {"new and of a life",
     {ENTRY "kind=touch entries.0.flags=5 entries.0.life=00112233445566778899aabbccddeeff"},
     "BATCH: NEW beside"},
    {"more in extra than the flags say",
     {ENTRY "kind=touch entries.0.extra.rest=00"},
     "BATCH: extra bytes"},
    {"a number that depends on itself",
     {ENTRY "kind=touch entries.0.flags=16 entries.0.depends=1"},
     "BATCH: number 1 depends on 1"},
    {"a number that depends on an earlier one",
     {BATCH "first=1",
      "BATCH token=28673 base=1 first=2 entries.0.session=s entries.0.kind=event entries.0.id=f "
      "entries.0.flags=16 entries.0.depends=1"},
     NULL},
    {"an empty note", {ENTRY "kind=event entries.0.id=a entries.0.flags=32"}, "BATCH: an empty"},
    {"a number changes its condition",
     {ENTRY "kind=touch entries.0.flags=2 entries.0.after_seq=1",
      ENTRY "kind=touch entries.0.flags=2 entries.0.after_seq=2"},
     "BATCH: number 1 was"},
    {"a one-shot", {ONCE "session=s id=a flags=12 reason=done"}, NULL},
    {"a one-shot of level none",
     {"PUBLISH request=9 kind=touch session=s retry=4294967295"},
     "PUBLISH: level none"},
    {"a one-shot without a session", {ONCE "id=a"}, "PUBLISH: there is no session"},
    {"a one-shot that depends on a number",
     {ONCE "session=s id=a flags=16 depends=1"},
     "PUBLISH: it depends"},
    {"a one-shot without an id", {ONCE "session=s"}, "PUBLISH: an event without"},
    {"a one-shot, new and of a seq",
     {ONCE "session=s id=a flags=6 after_seq=3"},
     "PUBLISH: NEW beside"},
    {"to follow the log", {FOLLOW "incarnation=1", FOLLOW "incarnation=2 start=position"}, NULL},
    {"to follow with an incarnation twice",
     {FOLLOW "incarnation=1", FOLLOW "incarnation=1"},
     "FOLLOW: incarnation 1 does not"},
    {"to follow from where nobody knows", {FOLLOW "incarnation=1 start=3"}, "FOLLOW: start 3"},
    {"a flag of FOLLOW that nobody knows", {FOLLOW "incarnation=1 flags=2"}, "FOLLOW: flags 2"},
    {"OPEN with base 0", {"OPEN request=1 token=0"}, "OPEN: base is 0"},
    {"OPEN with a made-up token", {"OPEN request=1 token=5 base=1"}, "OPEN: token 5"},
    {"a request without a number", {"HELLO"}, "HELLO: a request without"},
    {"a subscription", {SUBSCRIBE "incarnation=1", SUBSCRIBE "incarnation=2"}, NULL},
    {"an incarnation twice",
     {SUBSCRIBE "incarnation=1", SUBSCRIBE "incarnation=1"},
     "SUBSCRIBE: incarnation 1 does not"},
    {"no session to subscribe to", {"SUBSCRIBE subscription=3 incarnation=1"}, "SUBSCRIBE: there"},
    {"after no id", {SUBSCRIBE "incarnation=1 start=id"}, "SUBSCRIBE: there is no id"},
    {"credit goes back",
     {SUBSCRIBE "incarnation=1",
      "CREDIT request=1 grants.0.subscription=3 grants.0.incarnation=1 grants.0.credit=99"},
     "CREDIT: went back"},
};

/* As a client would have sent it. */
static void take(struct fake *fake, const char *line)
{
    char words[WORDS_SIZE];
    char copy[512];
    struct bytes bytes = {NULL, 0, 0};
    struct received received = {.socket = INGEST};
    struct message message = {0};
    snprintf(copy, sizeof(copy), "%s", line);
    char *word = strtok(copy, " ");
    message.layout = layout_by_name(word);
    assert_non_null(message.layout);
    while ((word = strtok(NULL, " ")) != NULL)
        assert_true(message_assign(&message, word));
    if (!message_encode(&message, &bytes, words))
        fail_msg("%s", words);
    if (!message_decode(&received.message, bytes.at, bytes.size, words))
        fail_msg("%s", words);
    zmq_msg_init(&received.peer);
    model_check(fake->model, &received.message);
    model_take(fake->model, fake, &received, true);
    zmq_msg_close(&received.peer);
    message_release(&received.message);
    message_release(&message);
    bytes_release(&bytes);
}

static void run_row(void **state)
{
    const struct row *row = *state;
    struct fake fake = {.model = model_new()};
    layout_load();
    assert_true(message_assign(&fake.defaults[layout_by_name("WELCOME")->number], "data_max=10"));
    message_assign(&fake.defaults[layout_by_name("WELCOME")->number], "batch_events_max=2");
    take(&fake, "HELLO request=1");
    take(&fake, "OPEN request=2 base=1"); /* its token is 28673 */
    assert_int_equal(model_token(fake.model), 28673);
    violations = 0;
    for (size_t i = 0; i < MESSAGES_MAX && row->messages[i] != NULL; i++)
        take(&fake, row->messages[i]);
    if (row->violation == NULL && violations > 0)
        fail_msg("%s", violation);
    if (row->violation != NULL) {
        assert_true(violations > 0);
        assert_memory_equal(violation, row->violation, strlen(row->violation));
    }
    model_free(fake.model);
    message_release(&fake.defaults[layout_by_name("WELCOME")->number]);
}

/* -- layouts ----------------------------------------------------------------------------------- */

/* No message can be cut short. */
static void check_truncations(const struct bytes *whole, const char *name)
{
    char words[WORDS_SIZE];
    struct message cut = {0};
    for (size_t size = 0; size < whole->size; size++) {
        uint8_t *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, whole->at, size);
        if (message_decode(&cut, copy, size, words))
            fail_msg("%s can be cut to %zu bytes", name, size);
        free(copy);
    }
    message_release(&cut);
}

/* An example is a message of its layout, and its values give the same bytes. */
static void check_example(const char *name, const struct bytes *bytes)
{
    char words[WORDS_SIZE];
    struct message message = {0};
    struct message again = {0};
    struct bytes encoded = {NULL, 0, 0};
    if (!message_decode(&message, bytes->at, bytes->size, words))
        fail_msg("%s: %s", name, words);
    again.layout = message.layout;
    for (size_t i = 0; i < message.count; i++)
        message_set(&again, message.values[i].name, message.values[i].text);
    if (!message_encode(&again, &encoded, words))
        fail_msg("%s: %s", name, words);
    assert_int_equal(encoded.size, bytes->size);
    assert_memory_equal(encoded.at, bytes->at, bytes->size);
    check_truncations(bytes, name);
    message_release(&message);
    message_release(&again);
    bytes_release(&encoded);
}

static void test_examples(void **state)
{
    (void)state;
    char line[512];
    char name[64] = "";
    struct bytes bytes = {NULL, 0, 0};
    unsigned count = 0;
    FILE *file = fopen(PROTOCOL_MD, "r");
    assert_non_null(file);
    layout_load();
    while (fgets(line, sizeof(line), file) != NULL) {
        char *remark = strstr(line, "  ");
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "```hex %63s", name) == 1)
            continue;
        if (name[0] != '\0' && strcmp(line, "```") == 0) {
            check_example(name, &bytes);
            count++;
            name[0] = '\0';
            bytes_release(&bytes);
        }
        if (name[0] == '\0')
            continue;
        if (remark != NULL)
            *remark = '\0';
        assert_true(bytes_from_hex(&bytes, line));
    }
    fclose(file);
    assert_true(count >= EXAMPLES_MIN);
}

int main(void)
{
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
    struct CMUnitTest tests[ROWS + 1] = {cmocka_unit_test(test_examples)};
    for (size_t i = 0; i < ROWS; i++)
        tests[i + 1] =
            (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
