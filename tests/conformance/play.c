/* SPDX-License-Identifier: Apache-2.0 */
/* sponson-transcript: plays a transcript, with a sidecar or with a client.
 *
 *   sponson-transcript FILE --sidecar SPONSOND [ARGUMENT...]   sends the client's frames
 *   sponson-transcript FILE --client CLIENT [ARGUMENT...]      sends the sidecar's frames
 *   sponson-transcript --write FILE --sidecar ...              encodes the client's frames anew
 * from their remarks, and writes the file
 *
 * Exit code 0: every frame was as it stands there. 1: one was not. 77: the client does not support
 * this. 2: it could not be played.
 */
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "child.h"
#include "transcript.h"

enum { WAIT_MS = 10000, TICK_MS = 20, BOUND_MAX = 64, ARRIVED_MAX = 64, EXIT_UNSUPPORTED = 77 };

/* What golden bytes stand for in this run. */
struct bound {
    char name[LAYOUT_NAME_SIZE];
    uint8_t golden[16], actual[16];
    size_t size;
};

/* A frame that no step has taken yet. */
struct arrived {
    enum socket socket;
    zmq_msg_t frame;
};

struct play {
    const char *path;
    struct transcript transcript;
    bool as_client, writes;
    char dir[64];
    void *context;
    void *sockets[2];
    void *monitors[2];
    zmq_msg_t peers[2];
    char **program; /* the other side, and what it runs as */
    struct child other;
    struct arrived arrived[ARRIVED_MAX];
    size_t arrived_count;
    const struct step *awaited; /* NULL: none now */
    const struct step *welcome; /* the last */
    bool unsupported;           /* as the client answered */
    struct bound bound[BOUND_MAX];
    size_t bound_count;
};

static bool failed(const struct play *play, const struct step *step, const char *words,
                   const char *detail)
{
    fprintf(stderr, "%s:%u: %s: %s %s\n", play->path, step->line, step->text, words, detail);
    for (size_t i = 0; i < play->arrived_count; i++) {
        zmq_msg_t *frame = (zmq_msg_t *)(uintptr_t)&play->arrived[i].frame;
        const uint8_t *bytes = zmq_msg_data(frame);
        const struct layout *layout =
            zmq_msg_size(frame) >= HEADER_SIZE ? layout_by_number(bytes[5]) : NULL;
        fprintf(stderr, "  it has sent %s on %s.sock, which the transcript has not here\n",
                layout != NULL ? layout->name : "?", socket_names[play->arrived[i].socket]);
    }
    return false;
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "sponson-transcript: %s: %s\n", what, zmq_strerror(errno));
    exit(2);
}

/* -- values that differ ------------------------------------------------------------------------ */

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static struct bound *find_bound(struct play *play, const char *name, const uint8_t *bytes,
                                size_t size, bool actual)
{
    for (size_t i = 0; i < play->bound_count; i++) {
        struct bound *bound = &play->bound[i];
        if (strcmp(bound->name, name) == 0 && bound->size == size &&
            memcmp(actual ? bound->actual : bound->golden, bytes, size) == 0)
            return bound;
    }
    return NULL;
}

static void bind_value(struct play *play, const char *name, const uint8_t *golden,
                       const uint8_t *actual, size_t size)
{
    if (play->bound_count == BOUND_MAX || size > sizeof(play->bound[0].golden))
        give_up("too many marks, or too large");
    struct bound *bound = &play->bound[play->bound_count++];
    *bound = (struct bound){.size = size};
    snprintf(bound->name, sizeof(bound->name), "%s", name);
    memcpy(bound->golden, golden, size);
    memcpy(bound->actual, actual, size);
}

/* The frame as this run has it. */
static void fill_in(struct play *play, const struct step *step, struct bytes *ret_bytes)
{
    bytes_put(ret_bytes, step->golden.at, step->golden.size);
    for (size_t i = 0; i < step->mark_count; i++) {
        const struct mark *mark = &step->marks[i];
        uint8_t *at = ret_bytes->at + mark->at;
        if (mark->name[0] == '\0' || is_zero(at, mark->size))
            continue;
        const struct bound *bound = find_bound(play, mark->name, at, mark->size, false);
        if (bound == NULL)
            bind_value(play, mark->name, at, at, mark->size);
        else
            memcpy(at, bound->actual, mark->size);
    }
}

/* Puts the golden bytes where the marks are, so that all else can be compared. */
static bool put_golden(struct play *play, const struct step *step, uint8_t *bytes)
{
    for (size_t i = 0; i < step->mark_count; i++) {
        const struct mark *mark = &step->marks[i];
        const uint8_t *golden = step->golden.at + mark->at;
        const struct bound *bound = find_bound(play, mark->name, golden, mark->size, false);
        bool named = mark->name[0] != '\0';
        if (named && is_zero(golden, mark->size))
            continue;
        if (named && bound != NULL && memcmp(bound->actual, bytes + mark->at, mark->size) != 0)
            return failed(play, step, "has another", mark->name);
        if (named && bound == NULL)
            bind_value(play, mark->name, golden, bytes + mark->at, mark->size);
        memcpy(bytes + mark->at, golden, mark->size);
    }
    return true;
}

static bool compare(struct play *play, const struct step *step, const uint8_t *frame, size_t size)
{
    char words[64];
    struct bytes bytes = {NULL, 0, 0};
    bool good = size == step->golden.size;
    bytes_put(&bytes, frame, size);
    snprintf(words, sizeof(words), "%zu bytes, not %zu", size, step->golden.size);
    if (!good)
        failed(play, step, "has", words);
    good = good && put_golden(play, step, bytes.at);
    for (size_t i = 0; good && i < size; i++)
        if (bytes.at[i] != step->golden.at[i]) {
            snprintf(words, sizeof(words), "%02x at byte %zu, not %02x", bytes.at[i], i,
                     step->golden.at[i]);
            good = failed(play, step, "has", words);
        }
    bytes_release(&bytes);
    return good;
}

/* -- writing ----------------------------------------------------------------------------------- */

/* Golden bytes for a new value: of the first token `t`, of the second `u`. */
static int new_letter(const struct play *play, const char *name)
{
    int letter = (unsigned char)name[0];
    for (size_t i = 0; i < play->bound_count; i++)
        if (strcmp(play->bound[i].name, name) == 0)
            letter++;
    return letter;
}

/* Marks what the layout says; in a frame of the sidecar each new value gets golden bytes. */
static void mark_fields(struct play *play, struct step *step)
{
    struct message message = {0};
    char words[WORDS_SIZE];
    if (!message_decode(&message, step->golden.at, step->golden.size, words))
        give_up(words);
    step->mark_count = 0;
    for (size_t i = 0; i < message.count; i++) {
        const struct value *value = &message.values[i];
        uint8_t *at = step->golden.at + value->at;
        if (value->field == NULL || (!value->field->bound && !value->field->free))
            continue;
        const char *name = value->field->bound ? value->field->name : "";
        struct bound *bound = find_bound(play, name, at, value->size, true);
        if (value->field->free) {
            memset(at, 0, value->size);
        } else if (is_zero(at, value->size)) {
            continue;
        } else if (bound != NULL) {
            memcpy(at, bound->golden, value->size);
        } else {
            uint8_t golden[16];
            memset(golden, new_letter(play, name), sizeof(golden));
            bind_value(play, name, golden, at, value->size);
            memcpy(at, golden, value->size);
        }
        transcript_mark(step, value->at, value->size, name);
    }
    message_release(&message);
}

/* A remark such as token=$ stands for the last token that the sidecar sent. */
static void resolve(struct play *play, struct message *values)
{
    for (size_t i = 0; i < values->count; i++) {
        const struct value *value = &values->values[i];
        char text[40] = "";
        if (strcmp(value->text, "$") != 0)
            continue;
        for (size_t j = play->bound_count; j > 0 && text[0] == '\0'; j--) {
            const struct bound *bound = &play->bound[j - 1];
            if (strcmp(bound->name, value->name) != 0)
                continue;
            uint64_t number = 0;
            for (size_t k = 0; k < bound->size; k++)
                snprintf(text + 2 * k, 3, "%02x", bound->golden[k]);
            memcpy(&number, bound->golden, sizeof(number)); /* the same letter eight times */
            if (bound->size == sizeof(number))
                snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
        }
        message_set(values, value->name, text);
    }
}

/* What the client's remarks say, with the marks of the layout. */
static void encode_anew(struct play *play, struct step *step)
{
    char words[WORDS_SIZE];
    bytes_release(&step->golden);
    resolve(play, &step->values);
    if (!message_encode(&step->values, &step->golden, words)) {
        failed(play, step, "cannot be encoded:", words);
        exit(2);
    }
    struct message message = {0};
    step->mark_count = 0;
    if (!message_decode(&message, step->golden.at, step->golden.size, words))
        give_up(words);
    for (size_t i = 0; i < message.count; i++) {
        const struct value *value = &message.values[i];
        if (value->field != NULL && value->field->bound &&
            !is_zero(step->golden.at + value->at, value->size))
            transcript_mark(step, value->at, value->size, value->field->name);
    }
    message_release(&message);
}

/* -- the other side ---------------------------------------------------------------------------- */

/* A socket on which each connection's handshake is reported. */
static void *watch(struct play *play, enum socket socket)
{
    char endpoint[32];
    void *monitor = zmq_socket(play->context, ZMQ_PAIR);
    snprintf(endpoint, sizeof(endpoint), "inproc://monitor-%d", socket);
    if (monitor == NULL ||
        zmq_socket_monitor(play->sockets[socket], endpoint, ZMQ_EVENT_HANDSHAKE_SUCCEEDED) != 0 ||
        zmq_connect(monitor, endpoint) != 0)
        give_up("zmq_socket_monitor");
    return monitor;
}

static void open_sockets(struct play *play)
{
    play->context = zmq_ctx_new();
    for (int i = 0; i < 2; i++) {
        char endpoint[128];
        int none = 0;
        int soon_ms = 5;
        play->sockets[i] = zmq_socket(play->context, play->as_client ? ZMQ_DEALER : ZMQ_ROUTER);
        if (play->sockets[i] == NULL)
            give_up("zmq_socket");
        zmq_setsockopt(play->sockets[i], ZMQ_LINGER, &none, sizeof(none));
        zmq_setsockopt(play->sockets[i], ZMQ_RECONNECT_IVL, &soon_ms, sizeof(soon_ms));
        play->monitors[i] = watch(play, (enum socket)i);
        snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s.sock", play->dir, socket_names[i]);
        if ((play->as_client ? zmq_connect : zmq_bind)(play->sockets[i], endpoint) != 0)
            give_up(endpoint);
        zmq_msg_init(&play->peers[i]);
    }
}

static void close_sockets(struct play *play)
{
    for (int i = 0; i < 2; i++) {
        zmq_msg_close(&play->peers[i]);
        zmq_socket_monitor(play->sockets[i], NULL, 0);
        zmq_close(play->sockets[i]);
        zmq_close(play->monitors[i]);
    }
    zmq_ctx_term(play->context);
}

static void send_frame(struct play *play, enum socket socket, const uint8_t *bytes, size_t size)
{
    zmq_msg_t *peer = &play->peers[socket];
    if (!play->as_client &&
        zmq_send(play->sockets[socket], zmq_msg_data(peer), zmq_msg_size(peer), ZMQ_SNDMORE) < 0)
        give_up("zmq_send");
    if (zmq_send(play->sockets[socket], bytes, size, 0) < 0)
        give_up("zmq_send");
}

/* With the last WELCOME. */
static void answer_hello(struct play *play, enum socket socket, const uint8_t *hello)
{
    struct bytes bytes = {NULL, 0, 0};
    fill_in(play, play->welcome, &bytes);
    memcpy(bytes.at + 8, hello + 8, 8);
    send_frame(play, socket, bytes.at, bytes.size);
    bytes_release(&bytes);
}

/* A client may ask HELLO again, and on the other socket, and renews its lease whenever it likes. */
static bool passes_over(struct play *play, enum socket socket, const uint8_t *frame, size_t size)
{
    const struct step *awaited = play->awaited;
    const struct layout *layout = size >= HEADER_SIZE ? layout_by_number(frame[5]) : NULL;
    if (play->as_client || layout == NULL ||
        (awaited != NULL && layout == awaited->layout && socket == awaited->socket))
        return false;
    if (strcmp(layout->name, "CREDIT") == 0)
        return true;
    if (strcmp(layout->name, "HELLO") != 0 || play->welcome == NULL)
        return false;
    answer_hello(play, socket, frame);
    return true;
}

/* Takes what has arrived. */
static void pump(struct play *play, int wait_ms)
{
    zmq_pollitem_t items[2] = {{.socket = play->sockets[INGEST], .events = ZMQ_POLLIN},
                               {.socket = play->sockets[READ], .events = ZMQ_POLLIN}};
    if (zmq_poll(items, 2, wait_ms) < 0 && errno != EINTR)
        give_up("zmq_poll");
    for (int i = 0; i < 2; i++) {
        zmq_msg_t frame;
        if ((items[i].revents & ZMQ_POLLIN) == 0)
            continue;
        zmq_msg_init(&frame);
        if (!play->as_client && zmq_msg_recv(&play->peers[i], play->sockets[i], 0) < 0)
            give_up("zmq_msg_recv");
        if (zmq_msg_recv(&frame, play->sockets[i], 0) < 0)
            give_up("zmq_msg_recv");
        if (passes_over(play, (enum socket)i, zmq_msg_data(&frame), zmq_msg_size(&frame))) {
            zmq_msg_close(&frame);
            continue;
        }
        if (play->arrived_count == ARRIVED_MAX)
            give_up("too many frames");
        play->arrived[play->arrived_count++] = (struct arrived){(enum socket)i, frame};
    }
}

static void forget_arrived(struct play *play, size_t i)
{
    play->arrived_count--;
    memmove(&play->arrived[i], &play->arrived[i + 1],
            (play->arrived_count - i) * sizeof(play->arrived[0]));
}

/* The first frame that arrived on this socket. */
static bool take_arrived(struct play *play, enum socket socket, zmq_msg_t *ret_frame)
{
    for (size_t i = 0; i < play->arrived_count; i++) {
        if (play->arrived[i].socket != socket)
            continue;
        *ret_frame = play->arrived[i].frame;
        forget_arrived(play, i);
        return true;
    }
    return false;
}

/* A client may have connected both sockets before there was a WELCOME to answer with. */
static void answer_arrived(struct play *play)
{
    for (size_t i = play->arrived_count; i-- > 0;) {
        zmq_msg_t *frame = &play->arrived[i].frame;
        if (!passes_over(play, play->arrived[i].socket, zmq_msg_data(frame), zmq_msg_size(frame)))
            continue;
        zmq_msg_close(frame);
        forget_arrived(play, i);
    }
}

/* Whether the client has answered that it does not support a command. */
static bool is_unsupported(struct play *play)
{
    play->unsupported = !play->as_client && child_wrote(&play->other, "unsupported");
    return play->unsupported;
}

static bool receive(struct play *play, struct step *step)
{
    zmq_msg_t frame;
    if (step->lost && play->as_client) /* nobody can see it */
        return true;
    play->awaited = step;
    for (int waited_ms = 0; !take_arrived(play, step->socket, &frame); waited_ms += TICK_MS) {
        if (is_unsupported(play))
            return false;
        if (waited_ms >= WAIT_MS)
            return failed(play, step, "does not come", "");
        pump(play, TICK_MS);
    }
    play->awaited = NULL;
    const uint8_t *bytes = zmq_msg_data(&frame);
    bool good = zmq_msg_size(&frame) >= HEADER_SIZE && bytes[5] == step->layout->number;
    if (!good) {
        const struct layout *other = layout_by_number(bytes[5]);
        failed(play, step, "does not come; what comes is", other != NULL ? other->name : "?");
    } else if (play->writes) {
        bytes_release(&step->golden);
        bytes_put(&step->golden, bytes, zmq_msg_size(&frame));
        mark_fields(play, step);
    } else {
        good = compare(play, step, bytes, zmq_msg_size(&frame));
    }
    zmq_msg_close(&frame);
    return good;
}

/* -- steps ------------------------------------------------------------------------------------- */

static bool play_frame(struct play *play, struct step *step)
{
    struct bytes bytes = {NULL, 0, 0};
    if ((step->kind == STEP_CLIENT) != play->as_client)
        return receive(play, step);
    if (play->writes)
        encode_anew(play, step);
    fill_in(play, step, &bytes);
    if (!step->lost)
        send_frame(play, step->socket, bytes.at, bytes.size);
    bytes_release(&bytes);
    if (strcmp(step->layout->name, "WELCOME") == 0) {
        play->welcome = step;
        answer_arrived(play);
    }
    return true;
}

/* Until the client is connected again. What it sends before that may be lost, and then it would go
 * on otherwise than the transcript. */
static bool await_client(struct play *play, struct step *step)
{
    bool good = true;
    for (int i = 0; i < 2; i++) {
        zmq_pollitem_t item = {.socket = play->monitors[i], .events = ZMQ_POLLIN};
        good = good && zmq_poll(&item, 1, WAIT_MS) > 0;
    }
    return good ? true : failed(play, step, "the client does not connect again", "");
}

/* The sockets go and come back; a real sidecar with them. */
static bool play_restart(struct play *play, struct step *step)
{
    if (!play->as_client) {
        close_sockets(play);
        open_sockets(play);
        return await_client(play, step);
    }
    kill(play->other.pid, SIGTERM);
    if (child_end(&play->other, WAIT_MS) != 0)
        return failed(play, step, "does not end well", "");
    child_start(&play->other, play->program[0], play->program);
    return true;
}

static bool play_step(struct play *play, struct step *step)
{
    if (step->layout != NULL)
        return play_frame(play, step);
    if (step->kind == STEP_RESTART)
        return play_restart(play, step);
    if (play->as_client || step->kind == STEP_REMARK)
        return true;
    if (step->kind == STEP_TELL) {
        child_write(&play->other, step->text);
        return true;
    }
    const char *line = NULL;
    for (int waited_ms = 0; line == NULL && waited_ms < WAIT_MS; waited_ms += TICK_MS) {
        pump(play, 0);
        line = child_line(&play->other, NULL, TICK_MS);
    }
    if (line == NULL)
        return failed(play, step, "is what the client should write; it writes", "nothing");
    play->unsupported = strcmp(line, "unsupported") == 0;
    if (play->unsupported)
        return false;
    return strcmp(line, step->text) == 0
               ? true
               : failed(play, step, "is what the client should write; it writes", line);
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status;
    (void)flag;
    (void)walk;
    return remove(path);
}

static bool play_all(struct play *play)
{
    char data_dir[96];
    bool good = true;
    snprintf(play->dir, sizeof(play->dir), "/tmp/sponson-transcript-XXXXXX");
    if (mkdtemp(play->dir) == NULL)
        give_up("mkdtemp");
    snprintf(data_dir, sizeof(data_dir), "%s/data", play->dir);
    setenv("SPONSON_SOCKET_DIR", play->dir, 1);
    setenv("SPONSON_DATA_DIR", data_dir, 1);
    if (mkdir(data_dir, 0700) != 0)
        give_up(data_dir);
    if (!play->as_client)
        open_sockets(play);
    child_start(&play->other, play->program[0], play->program);
    if (play->as_client)
        open_sockets(play);
    for (size_t i = 0; good && i < play->transcript.count; i++)
        good = play_step(play, &play->transcript.steps[i]);
    if (play->as_client)
        kill(play->other.pid, SIGTERM);
    else
        child_write(&play->other, "quit");
    int code = child_end(&play->other, WAIT_MS);
    close_sockets(play);
    nftw(play->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    if (code != 0)
        fprintf(stderr, "%s ends with %d\n", play->program[0], code);
    return good && code == 0;
}

int main(int count, char **arguments)
{
    struct play play = {.writes = count > 1 && strcmp(arguments[1], "--write") == 0};
    int at = play.writes ? 2 : 1;
    if (count < at + 3 || (strcmp(arguments[at + 1], "--sidecar") != 0 &&
                           strcmp(arguments[at + 1], "--client") != 0)) {
        fputs("usage: sponson-transcript [--write] FILE --sidecar|--client PROGRAM [ARGUMENT...]\n",
              stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    layout_load();
    play.path = arguments[at];
    play.as_client = strcmp(arguments[at + 1], "--sidecar") == 0;
    transcript_read(&play.transcript, play.path);
    play.program = arguments + at + 2;
    bool good = play_all(&play);
    for (size_t i = 0; play.writes && i < play.transcript.count; i++)
        transcript_write(stdout, &play.transcript.steps[i]);
    transcript_release(&play.transcript);
    if (play.unsupported)
        return EXIT_UNSUPPORTED;
    return good ? 0 : 1;
}
