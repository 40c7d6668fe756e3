/* The quickstart in C: join, publish, connect, send a direct message, receive the answer.
 *
 *     cc quickstart.c $(pkg-config --cflags --libs x0x) -o quickstart && ./quickstart
 *
 * It starts itself a second time as the agent that answers. `--network ID` and
 * `--runtime-dir DIR` keep the two apart from other agents of yours.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <x0x.h>
#include <x0x_msgpack.h>

extern char **environ;

static uint64_t queue, agent, inbox;
static _Alignas(8) unsigned char buf[X0X_DRAIN_HINT];
static x0x_err err = {.size = sizeof err};

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", what, x0x_status_name(err.code), err.message);
    exit(1);
}

/* Waits for the completion of `token`, or, with token 0, for a direct message. */
static const x0x_record *wait_for(uint64_t token)
{
    size_t bytes;
    uint32_t records;
    for (;;) {
        if (x0x_queue_wait(queue, 20000) != X0X_OK) {
            fprintf(stderr, "nothing happened for 20 s\n");
            exit(1);
        }
        x0x_queue_drain(queue, buf, sizeof buf, &bytes, &records);
        for (const x0x_record *r = x0x_record_first(buf, bytes); r; r = x0x_record_next(buf, bytes, r)) {
            if (r->kind == X0X_R_COMPLETION && r->id == token) {
                x0x_reader meta = x0x_reader_init(x0x_record_meta(r), r->meta_len);
                x0x_get_array(&meta);
                int32_t status = (int32_t)x0x_get_int(&meta);
                if (status != X0X_OK) {
                    fprintf(stderr, "operation %llu: %s\n", (unsigned long long)token, x0x_status_name(status));
                    exit(1);
                }
                return r;
            }
            if (r->kind == X0X_R_DIRECT && token == 0)
                return r;
        }
    }
}

static void open_agent(const char *network, const char *runtime_dir)
{
    x0x_options options = {.size = sizeof options, .network_id = network, .runtime_dir = runtime_dir};
    if (x0x_queue_new(NULL, &queue, &err) != X0X_OK)
        fail("queue");
    if (x0x_open(&options, queue, &agent, &err) != X0X_OK)
        fail("open");
    /* One message at a time: the next one stays in the library until it is asked for. */
    if (x0x_inbox_open(agent, 1, &inbox, &err) != X0X_OK)
        fail("inbox");
    if (x0x_call(agent, X0X_M_JOIN, NULL, 0, 1, NULL, &err) != X0X_OK)
        fail("join");
    wait_for(1);
}

static void close_agent(void)
{
    x0x_close_wait(agent, 5000);
    x0x_handle_close(queue);
}

/* The other agent: says who it is, answers one message, and leaves when its input ends. */
static int respond(const char *network, const char *runtime_dir)
{
    uint8_t id[X0X_ID_SIZE], sender[X0X_ID_SIZE];
    uint32_t len;
    open_agent(network, runtime_dir);
    x0x_agent_id(agent, id);
    fwrite(id, 1, sizeof id, stdout);
    fflush(stdout);
    const x0x_record *r = wait_for(0);
    x0x_reader meta = x0x_reader_init(x0x_record_meta(r), r->meta_len);
    x0x_get_array(&meta);
    const uint8_t *from = x0x_get_bin(&meta, &len);
    if (meta.failed || len != X0X_ID_SIZE)
        return 1;
    memcpy(sender, from, sizeof sender);
    if (x0x_send(agent, sender, "{\"type\": \"response\"}", 20, 0, 0, 2, NULL, &err) != X0X_OK)
        fail("answer");
    wait_for(2);
    while (getchar() != EOF) {
    }
    close_agent();
    return 0;
}

int main(int argc, char **argv)
{
    char *network = NULL, *runtime_dir = NULL;
    int responder = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--network") == 0 && i + 1 < argc)
            network = argv[++i];
        else if (strcmp(argv[i], "--runtime-dir") == 0 && i + 1 < argc)
            runtime_dir = argv[++i];
        else if (strcmp(argv[i], "respond") == 0)
            responder = 1;
        else {
            fprintf(stderr, "usage: quickstart [--network ID] [--runtime-dir DIR]\n");
            return 2;
        }
    }
    if (responder)
        return respond(network, runtime_dir);

    /* Start the other agent and read its id. */
    int out[2], in[2];
    pid_t child;
    posix_spawn_file_actions_t files;
    char *args[7] = {argv[0], (char *)"respond"};
    int n = 2;
    if (network) {
        args[n++] = (char *)"--network";
        args[n++] = network;
    }
    if (runtime_dir) {
        args[n++] = (char *)"--runtime-dir";
        args[n++] = runtime_dir;
    }
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(in, O_CLOEXEC) != 0)
        return 1;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    if (posix_spawn(&child, "/proc/self/exe", &files, NULL, args, environ) != 0)
        return 1;
    posix_spawn_file_actions_destroy(&files);
    close(out[1]);
    close(in[0]);
    uint8_t target[X0X_ID_SIZE];
    if (read(out[0], target, sizeof target) != sizeof target)
        return 1;

    /* The quickstart. */
    uint8_t args_buf[64];
    open_agent(network, runtime_dir);
    if (x0x_publish(agent, "topic", 5, "hello", 5, 0, 2, NULL, &err) != X0X_OK)
        fail("publish");
    wait_for(2);
    x0x_writer w = x0x_writer_init(args_buf, sizeof args_buf);
    x0x_put_array(&w, 1);
    x0x_put_bin(&w, target, sizeof target);
    if (x0x_call(agent, X0X_M_CONNECT_AGENT, args_buf, w.used, 3, NULL, &err) != X0X_OK)
        fail("connect");
    wait_for(3);
    if (x0x_send(agent, target, "{\"type\": \"request\"}", 19, 0, 0, 4, NULL, &err) != X0X_OK)
        fail("send");
    wait_for(4);
    const x0x_record *r = wait_for(0);
    printf("received %.*s\n", (int)r->payload_len, (const char *)x0x_record_payload(r));

    close(in[1]); /* the other agent leaves, too */
    int status;
    waitpid(child, &status, 0);
    close_agent();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
