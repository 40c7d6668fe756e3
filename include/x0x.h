/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * x0x.h: a secure network of their own for AI agents, as a C library.
 *
 * This file is the contract and the manual. It is written by hand; the tables that the
 * Python and Node packages and the Go bindings use are generated from it (lines marked
 * with an @ tag are read by machines too), and a test fails when they drift.
 *
 * A first program, without error handling (capi/examples/quickstart.c is the whole one):
 *
 *     uint64_t queue, agent, inbox;
 *     x0x_queue_new(NULL, &queue, NULL);
 *     x0x_open(NULL, queue, &agent, NULL);                        // a fresh identity
 *     x0x_inbox_open(agent, 0, &inbox, NULL);                     // I read direct messages
 *     x0x_call(agent, X0X_M_JOIN, NULL, 0, 1, NULL, NULL);        // token 1
 *     x0x_send(agent, peer_id, "hi", 2, 0, 0, 2, NULL, NULL);     // token 2
 *     while (x0x_queue_wait(queue, 1000) == X0X_OK) {
 *         x0x_queue_drain(queue, buf, sizeof buf, &bytes, &records);
 *         for (const x0x_record *r = x0x_record_first(buf, bytes); r; r = x0x_record_next(buf, bytes, r))
 *             ...;  // X0X_R_COMPLETION with token 1 or 2, X0X_R_DIRECT, ...
 *     }
 *     x0x_close_wait(agent, 2000);
 *     x0x_handle_close(queue);
 *
 * RULES THAT HOLD FOR EVERY FUNCTION
 *
 * Handles   Queues, agents, subscriptions, inboxes and operations are 64-bit numbers below
 *           2^53, never pointers. 0 is no handle. A closed, reused, foreign or invented
 *           handle is a status (X0X_E_CLOSED, X0X_E_BAD_HANDLE, X0X_E_WRONG_KIND), never a
 *           crash and never somebody else's object.
 * Status    int32_t: 0 is success, > 0 is information, < 0 is an error from the one table
 *           below, the same numbers and names in C, Go, Python and Node.
 * Errors    The last parameter `x0x_err *err` may be NULL. If it is given, set err->size to
 *           sizeof(x0x_err) first; on error it receives code, flags and one line of text. On
 *           success its code becomes 0. There is no last-error state anywhere.
 * Memory    Inputs are borrowed for the call and copied. Results go only into memory that
 *           you pass. The library never gives you memory, so there is nothing to free.
 *           A pointer may be NULL exactly where its length is 0 or the text says so.
 * Blocking  Functions whose name ends in _wait block up to their timeout. No other function
 *           waits for anybody: at most it copies, makes a key or a signature, or reads or
 *           writes a small file.
 * Threads   Every function may be called from every thread with an ordinary stack (no
 *           fibers or green threads), concurrently, on the same handle too. Races with
 *           closing resolve to X0X_E_CLOSED. One thread drains a queue at a time.
 * Fork      After fork() without exec the child gets X0X_E_FORKED from everything. Load the
 *           library after forking, or use exec. The parent is not affected.
 * Signals   Threads of the library keep all asynchronous signals blocked; your handlers run
 *           on your threads. Loading raises RLIMIT_NOFILE's soft limit for a moment;
 *           x0x_open restores it unless X0X_OPEN_KEEP_NOFILE is set.
 * Unloading Never dlclose the library (it is linked NODELETE: dlclose does nothing).
 * Panics    A defect inside the library is caught where it happens: the call gets
 *           X0X_E_PANIC, its agent answers X0X_E_POISONED from then on and emits one
 *           X0X_R_FATAL record; other agents go on. What cannot be caught (a fatal error of
 *           the Go runtime, a panic on a thread of a dependency) ends the process.
 * Environment Nothing is read from the environment. Limits, folders and log levels are options.
 * Versions  Option structs start with their size: a newer, longer struct is accepted if the
 *           unknown tail is zero, else X0X_E_UNSUPPORTED. Numbers are never reused. Skip
 *           records of a kind that you do not know by their `bytes`.
 *
 * MESSAGEPACK  Arguments and results of x0x_call and x0x_call_now, and the meta part of
 *           records, are MessagePack arrays in the order written beside each number.
 *           Trailing optional arguments (marked ?) may be left out; no arguments at all may
 *           be passed as NULL, 0. Unknown trailing arguments are X0X_E_INVALID_ARGUMENT.
 *           `id` is 32 bytes of bin, `bin` bytes, `str` UTF-8, `u32` and `u64` unsigned.
 *           x0x_msgpack.h has a small reader and writer for C programs.
 */
#ifndef X0X_H
#define X0X_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define X0X_API __attribute__((visibility("default")))
#else
#define X0X_API
#endif

/* The version of this contract: major in the upper 16 bits. A library of the same major and
 * an equal or higher minor version serves this header. */
#define X0X_ABI_MAJOR 1
#define X0X_ABI_MINOR 2
#define X0X_ABI_VERSION ((X0X_ABI_MAJOR << 16) | X0X_ABI_MINOR)

#define X0X_ID_SIZE 32                       /* bytes of an agent id or machine id */
#define X0X_MAX_DIRECT_PAYLOAD 16777216      /* 16 MiB: the largest direct message */
#define X0X_MAX_TOPIC_PAYLOAD 1048576        /* 1 MiB: the largest topic message */
#define X0X_MAX_TOPIC_NAME 256               /* bytes of UTF-8, no NUL */
#define X0X_NO_TIMEOUT UINT32_MAX            /* wait without limit; 0 always means the default */
#define X0X_NO_WAIT 4294967294u              /* timeout_ms of x0x_publish: X0X_E_BUSY instead of waiting for room; since ABI 1.1 */

/* ---------------------------------------------------------------- statuses and errors */

/* @statuses  The one table of kinds. C X0X_E_TIMEOUT = Go x0x.ErrTimeout = Python
 * x0x.TimeoutError with .code == 'X0X_E_TIMEOUT' = Node err.code === 'X0X_E_TIMEOUT'. */
enum x0x_status {
    X0X_OK = 0,                   /* success */
    X0X_S_AGAIN = 1,              /* nothing there yet: wait and try again */
    X0X_S_MORE = 2,               /* more records remain in the queue */

    X0X_E_INVALID_ARGUMENT = -101, /* an argument is malformed; the text says which */
    X0X_E_BAD_HANDLE = -102,      /* no such handle has ever existed */
    X0X_E_WRONG_KIND = -103,      /* the handle is of another kind */
    X0X_E_TOO_SMALL = -104,       /* your buffer is too small; the needed size was written */
    X0X_E_UNSUPPORTED = -105,     /* not offered by this version, build or platform */

    X0X_E_CLOSED = -201,          /* the object was closed, by you or with its parent */
    X0X_E_BUSY = -202,            /* in use, or too many operations in flight; retry later */
    X0X_E_CANCELLED = -203,       /* the operation was cancelled before it took effect */
    X0X_E_TIMEOUT = -204,         /* the time allowed ran out */

    X0X_E_NOT_FOUND = -301,       /* unknown agent, machine, topic or file */
    X0X_E_UNREACHABLE = -302,     /* known, but no path worked */
    X0X_E_DISCONNECTED = -303,    /* the connection was lost and could not be resumed */
    X0X_E_NETWORK_MISMATCH = -304, /* the peer belongs to another network id */

    X0X_E_AUTH = -401,            /* a proof of identity failed */
    X0X_E_CORRUPT = -402,         /* a file or message is damaged; nothing was overwritten */
    X0X_E_IO = -403,              /* the operating system refused; the text says what */

    X0X_E_BLOCKED = -501,         /* you blocked this agent */
    X0X_E_POLICY = -502,          /* refused by your own policy or by unsafe permissions */
    X0X_E_TOO_LARGE = -503,       /* over a documented size limit; nothing was sent */
    X0X_E_LIMIT = -504,           /* a documented count limit is reached */
    X0X_E_LAGGED = -505,          /* messages were dropped because this reader was slow */

    X0X_E_PANIC = -901,           /* a defect inside the library, contained; please report */
    X0X_E_POISONED = -902,        /* this agent met a defect earlier; close it */
    X0X_E_FORKED = -903           /* called in the child of a fork without exec */
};

/* Flags of x0x_err.flags and of the second element of a failed completion's meta. */
#define X0X_ERRF_RETRYABLE 0x1u         /* the same call may succeed later */
#define X0X_ERRF_FATAL 0x2u             /* the agent is no longer usable */
#define X0X_ERRF_NOT_DELIVERED 0x4u     /* a failed send: certainly not delivered */
#define X0X_ERRF_DELIVERY_UNKNOWN 0x8u  /* a failed send: may have been delivered */

typedef struct x0x_err {
    uint32_t size;      /* set to sizeof(x0x_err) before the call */
    int32_t code;       /* the status that the function returned */
    uint32_t flags;     /* X0X_ERRF_* */
    char message[240];  /* one line of UTF-8, NUL-terminated, free of secrets */
} x0x_err;

/* The symbol of a status ("X0X_E_TIMEOUT"), or "X0X_E_UNKNOWN". The string is static.
 * Any thread, does not block, works after fork. Since 0.3.0. */
X0X_API const char *x0x_status_name(int32_t status);

/* ------------------------------------------------------------------------- versions */

/* X0X_ABI_VERSION of the library. Compare before anything else. Since 0.3.0. */
X0X_API uint32_t x0x_abi_version(void);

/* The release ("0.3.0"), static. Since 0.3.0. */
X0X_API const char *x0x_version(void);

/* Optional parts present, as bits. Since 0.3.0. */
#define X0X_FEATURE_TEST_PANIC 0x1u     /* built with the panic test method; never released */
X0X_API uint64_t x0x_features(void);

/* One line about the build: version, Go version, target, schema hash of this header.
 * Writes at most cap bytes with a NUL, and the full length without NUL into *len_out.
 * X0X_OK, X0X_E_TOO_SMALL, X0X_E_INVALID_ARGUMENT, X0X_E_FORKED. Since 0.3.0. */
X0X_API int32_t x0x_build_info(char *buf, size_t cap, size_t *len_out);

/* ------------------------------------------------------------------------- handles */

/* @kinds */
enum x0x_kind {
    X0X_KIND_ANY = 0,           /* all kinds, for x0x_live_handles */
    X0X_KIND_QUEUE = 1,
    X0X_KIND_AGENT = 2,
    X0X_KIND_SUBSCRIPTION = 3,
    X0X_KIND_INBOX = 4,
    X0X_KIND_OPERATION = 5
};

/* The kind of an open handle (> 0), X0X_E_CLOSED, X0X_E_BAD_HANDLE or X0X_E_FORKED. Since 0.3.0. */
X0X_API int32_t x0x_handle_kind(uint64_t handle);

/* Closes a subscription, an inbox, an operation handle or a queue.
 * Subscription, inbox: delivery stops; records already counted as delivered stay in the
 *   queue, and one X0X_R_CLOSED record for the handle is its last.
 * Operation: forgets the handle; the operation itself goes on and still completes.
 * Queue: X0X_E_BUSY while an agent is attached. Its fd is closed, waiters return
 *   X0X_E_CLOSED, the wake callback is removed as by x0x_queue_set_wake(q, NULL, NULL).
 * Agent: the same as x0x_close(agent, 0).
 * A second close is X0X_E_CLOSED and harmless. Does not block. Since 0.3.0. */
X0X_API int32_t x0x_handle_close(uint64_t handle);

/* How many handles of a kind are open in this process. A test that ends with anything but 0
 * has a leak. Since 0.3.0. */
X0X_API uint64_t x0x_live_handles(uint32_t kind);

/* ------------------------------------------------------------------------- queues
 *
 * Everything that the library has to tell arrives in a queue: completions of operations,
 * messages, events, logs. Make one queue per event loop or consuming thread and attach any
 * number of agents to it. Wait in one of three ways, then drain in batches:
 *
 *     x0x_queue_fd        a descriptor for poll, epoll, asyncio, libuv
 *     x0x_queue_wait      a blocking call with a timeout
 *     x0x_queue_set_wake  a callback
 *
 * A wake comes once when the queue turns from empty to non-empty; the drain that empties the
 * queue arms it again. Completions and X0X_R_CLOSED records are never dropped: the number of
 * operations in flight is limited instead (X0X_E_BUSY). Messages wait in the bounded queue of
 * their subscription or inbox until they are drained, so a slow reader costs bounded memory:
 * a subscription then drops by its policy and says so with X0X_R_LAGGED, an inbox closes the
 * window of its senders. Events and logs have bounded queues that drop the oldest (LAGGED).
 */
typedef struct x0x_queue_options {
    uint32_t size;        /* sizeof(x0x_queue_options) */
    uint32_t event_limit; /* lifecycle events kept per agent before the oldest is dropped; 0 = 1024 */
    uint32_t log_limit;   /* log records kept before the oldest is dropped; 0 = 1024 */
} x0x_queue_options;

/* A new queue. `options` may be NULL. Does not block. X0X_OK, X0X_E_INVALID_ARGUMENT,
 * X0X_E_UNSUPPORTED, X0X_E_LIMIT (1,024 queues), X0X_E_FORKED. Since 0.3.0. */
X0X_API int32_t x0x_queue_new(const x0x_queue_options *options, uint64_t *queue_out, x0x_err *err);

/* An eventfd that is readable while records wait. The library owns, reads, writes and closes
 * it: only poll it. Linux. X0X_OK, X0X_E_IO, handle errors. Since 0.3.0. */
X0X_API int32_t x0x_queue_fd(uint64_t queue, int32_t *fd_out);

/* Blocks until records wait (X0X_OK), the time is over (X0X_S_AGAIN) or the queue is closed
 * (X0X_E_CLOSED). timeout_ms 0 only looks; X0X_NO_TIMEOUT waits without limit. Several
 * threads may wait; each wakes. Since 0.3.0. */
X0X_API int32_t x0x_queue_wait(uint64_t queue, uint32_t timeout_ms);

/* Called on some thread of the library when the queue turns non-empty. It must not block and
 * must not call the library: set a flag, write a pipe, post to your loop. */
typedef void (*x0x_wake_fn)(void *user_data);

/* Sets, replaces or (NULL) removes the wake callback. If records wait already, the callback
 * is called once soon. When a call that removes or replaces it returns, the old callback is
 * not running and will not run again, so user_data may be freed. Must not be called from
 * inside the callback (X0X_E_BUSY). Since 0.3.0. */
X0X_API int32_t x0x_queue_set_wake(uint64_t queue, x0x_wake_fn fn, void *user_data);

/* Moves as many whole records as fit into buf, which must be 8-byte aligned. Returns X0X_OK
 * when the queue is now empty (also if it was), X0X_S_MORE when records remain. If not even
 * the first record fits: X0X_E_TOO_SMALL, its size in *bytes_out, and nothing is lost.
 * X0X_E_BUSY while another thread drains, X0X_E_INVALID_ARGUMENT for a misaligned buffer.
 * X0X_DRAIN_HINT is a good buffer size. Does not block. Since 0.3.0. */
#define X0X_DRAIN_HINT 262144
X0X_API int32_t x0x_queue_drain(uint64_t queue, void *buf, size_t cap, size_t *bytes_out, uint32_t *records_out);

/* One record, little-endian, 8-byte aligned, followed by meta_len bytes of MessagePack array
 * and payload_len raw bytes, then zero padding up to a multiple of 8:
 *
 *      0        4     6     8               16       24       32        36           40
 *      | bytes  |kind |flags| handle/token  | seq    | unix_ms | meta_len| payload_len | meta | payload | pad
 */
typedef struct x0x_record {
    uint32_t bytes;       /* of the whole record with header and padding */
    uint16_t kind;        /* X0X_R_* */
    uint16_t flags;       /* X0X_RF_* */
    uint64_t id;          /* the token of a completion; otherwise the handle that it concerns */
    uint64_t seq;         /* message sequence for X0X_R_MESSAGE and X0X_R_DIRECT, else 0 */
    uint64_t unix_ms;     /* when: the sender's clock for X0X_R_MESSAGE, else this machine's */
    uint32_t meta_len;    /* bytes of MessagePack behind the header */
    uint32_t payload_len; /* raw bytes behind the meta */
} x0x_record;

#define X0X_RF_ERROR 0x1u /* this completion failed */

/* @records  meta(...) is the MessagePack array; payload is the raw part. */
enum x0x_record_kind {
    X0X_R_COMPLETION = 1,   /* @record meta(status:i32, result:any) | meta(status:i32, flags:u32, message:str, details:any) */
    X0X_R_MESSAGE = 2,      /* @record meta(sender:id, epoch:u64, trust_level:u8, topic:str) payload: the message; id = subscription */
    X0X_R_DIRECT = 3,       /* @record meta(sender:id, machine_id:id, trust_decision:u8) payload: the message; id = inbox */
    X0X_R_LAGGED = 4,       /* @record meta(count:u64, first_seq:u64, last_seq:u64) messages dropped at this position; id = subscription, agent (events) or queue (logs) */
    X0X_R_CLOSED = 5,       /* @record meta(status:i32) the last record of this handle; X0X_OK if you closed it */
    X0X_R_CONNECTED = 6,    /* @record meta(agent_id:id, machine_id:id, address:str, path:str) an authenticated peer is there; id = agent */
    X0X_R_DISCONNECTED = 7, /* @record meta(agent_id:id, machine_id:id, status:i32, message:str) it is gone and a redial failed, or it said goodbye */
    X0X_R_PEER_JOINED = 8,  /* @record meta(agent_id:id, machine_id:id, address:str) a peer is seen for the first time since joining */
    X0X_R_EVENT_MESSAGE = 9, /* @record meta(sender:id, epoch:u64, trust_level:u8, topic:str) payload: the message; copy for `message` listeners, see X0X_M_SET_EVENTS; id = agent */
    X0X_R_ERROR = 10,       /* @record meta(status:i32, message:str, agent_id:id?) something went wrong outside any call */
    X0X_R_SESSION_RESET = 11, /* @record meta(agent_id:id) the peer's process is a new one: its earlier session ended */
    X0X_R_LOG = 12,         /* @record meta(level:i32, message:str, attributes:map) id = queue */
    X0X_R_FATAL = 13,       /* @record meta(status:i32, message:str) a defect poisoned this agent; id = agent */
    X0X_R_CONTACT_CHANGED = 14, /* @record meta(agent_id:id) a contact was added, changed or removed by a call of yours; id = agent. Since ABI 1.2 */
    X0X_R_IDENTITY_CONFLICT = 20, /* @record meta(agent_id:id, machine_id:id, address:str?) this agent runs on another machine too, which machine_id names: end one of the two; once for each machine; id = agent. Since ABI 1.2, as those that follow */
    X0X_R_AGENT_ONLINE = 21, /* @record meta(agent_id:id, machine_id:id, address:str?) an agent that shows itself to this one is online, see X0X_M_PRESENCE */
    X0X_R_AGENT_OFFLINE = 22 /* @record meta(agent_id:id, machine_id:id) it is not any more */
};

/* Walking a drained buffer. Both return NULL at the end. */
static inline const x0x_record *x0x_record_first(const void *buf, size_t bytes)
{
    return bytes >= sizeof(x0x_record) ? (const x0x_record *)buf : NULL;
}
static inline const x0x_record *x0x_record_next(const void *buf, size_t bytes, const x0x_record *r)
{
    size_t at = (size_t)((const unsigned char *)(const void *)r - (const unsigned char *)buf) + r->bytes;
    return r->bytes >= sizeof(x0x_record) && at + sizeof(x0x_record) <= bytes
               ? (const x0x_record *)(const void *)((const unsigned char *)buf + at)
               : NULL;
}
static inline const void *x0x_record_meta(const x0x_record *r) { return (const unsigned char *)(r + 1); }
static inline const void *x0x_record_payload(const x0x_record *r) { return (const unsigned char *)(r + 1) + r->meta_len; }

/* ------------------------------------------------------------------------- agents */

/* @struct  All zero is a good default: a fresh identity that lives in memory, the network
 * "x0x.prod", an ephemeral port, discovery of the other agents of this user on this machine. */
typedef struct x0x_options {
    uint32_t size;                  /* sizeof(x0x_options) */
    uint32_t flags;                 /* X0X_OPEN_* */
    const char *name;               /* persistent identity: "alice" is HOME/.x0x-alice, "default" HOME/.x0x; NULL = in memory */
    const char *home_dir;           /* HOME for `name`; NULL = the passwd home of the user */
    const char *identity_dir;       /* persistent identity in this folder instead of HOME/.x0x-NAME */
    const char *runtime_dir;        /* folder of the local registry; NULL = /run/user/UID/x0x and /tmp/x0x-UID */
    const char *network_id;         /* NULL = "x0x.prod"; agents of different networks never connect */
    const char *bind;               /* UDP "host:port"; NULL = [::]:0, dual stack */
    const char *bootstrap;          /* "host:port" list separated by commas; hints only */
    const char *machine_key_path;   /* an existing key file; NULL = see name */
    const char *agent_key_path;     /* an existing key file; NULL = see name */
    const uint8_t *machine_key;     /* a 6,000-byte key file image, a 32-byte seed, or public‖secret (5,984 bytes) */
    size_t machine_key_len;
    const uint8_t *agent_key;       /* as machine_key */
    size_t agent_key_len;
    uint32_t dial_timeout_ms;       /* one try to one address; 0 = 8,000 */
    uint32_t send_timeout_ms;       /* default of x0x_send; 0 = 10,000 */
    uint32_t peer_timeout_ms;       /* silence after which a connection with unacknowledged data is given up; 0 = 1,000 */
    uint32_t session_ttl_ms;        /* how long a lost session can resume; 0 = 60,000 */
    uint32_t close_grace_ms;        /* default of x0x_close; 0 = 2,000 */
    uint32_t accept_from;           /* least trust level whose direct messages are delivered: 0 = anyone, X0X_TRUST_KNOWN, X0X_TRUST_TRUSTED */
    uint32_t inbox_messages;        /* direct messages that wait for the application; 0 = 1,024 */
    uint64_t inbox_bytes;           /* 0 = 32 MiB */
    uint32_t max_operations;        /* operations in flight before X0X_E_BUSY; 0 = 4,096 */
    uint32_t max_peers;             /* connections; 0 = 1,024 */
    uint32_t go_max_procs;          /* threads that run library code; process-wide, last wins; 0 = leave */
    int32_t go_gc_percent;          /* garbage collector target; process-wide; 0 = leave */
    uint64_t go_memory_limit;       /* soft memory limit in bytes; process-wide; 0 = leave */
    uint32_t active_peers;          /* peers that topics go through; 0 = 6, at most 64. This and what follows: since ABI 1.1 */
    uint32_t passive_peers;         /* agents remembered to take the place of a lost one of them; 0 = 30, at most 1,024 */
    int32_t max_peers_per_address;  /* of active_peers, at one IPv4 address or IPv6 /64 that is not this machine's; 0 = 3, negative = no bound */
    const char *contacts_path;      /* the file of contacts, used by one agent at a time; NULL = contacts.json in the identity folder, in memory without one. This and what follows: since ABI 1.2 */
    const char *user_key_path;      /* an existing key file of the person behind the agent; never made by the library */
    const uint8_t *user_key;        /* the same as bytes, as machine_key */
    size_t user_key_len;
    uint32_t visibility;            /* X0X_VISIBLE_*: to whom this agent says that it is online; 0 = to its neighbours. This and what follows: since ABI 1.2 */
    uint32_t presence_interval_ms;  /* how often it says so; 0 = 30,000 */
    uint32_t presence_timeout_ms;   /* silence after which another agent is offline at the latest; 0 = 300,000 */
} x0x_options;

#define X0X_OPEN_NO_LOCAL_DISCOVERY 0x1u /* neither register in nor read the local registry */
#define X0X_OPEN_KEEP_NOFILE 0x2u        /* leave RLIMIT_NOFILE as the runtime raised it */
#define X0X_OPEN_NO_RELAY 0x4u           /* do not carry topics that this agent does not subscribe to */

/* Makes an agent whose completions, messages and events go to `queue`. Reads or creates keys,
 * opens no socket before X0X_M_JOIN. `options` may be NULL.
 * X0X_OK; X0X_E_INVALID_ARGUMENT; X0X_E_NOT_FOUND (a key path that does not exist);
 * X0X_E_CORRUPT (a damaged key or contacts file, left untouched); X0X_E_AUTH (the agent's
 * certificate is of another user than user_key); X0X_E_IO; X0X_E_POLICY (a key file that
 * others can read); X0X_E_BUSY (the identity folder is in use by a live process);
 * X0X_E_UNSUPPORTED; X0X_E_LIMIT (1,024 agents); handle errors of queue. Since 0.3.0. */
X0X_API int32_t x0x_open(const x0x_options *options, uint64_t queue, uint64_t *agent_out, x0x_err *err);

/* Begins to close an agent: says goodbye to peers, waits up to grace_ms (0 = close_grace_ms)
 * for sends in flight, completes every pending operation (X0X_E_CLOSED), closes its
 * subscriptions and inbox, and emits X0X_R_CLOSED for the agent as the very last record.
 * Idempotent: a second call is X0X_E_CLOSED. Does not block. Since 0.3.0. */
X0X_API int32_t x0x_close(uint64_t agent, uint32_t grace_ms);

/* x0x_close, and waits until the agent is gone (X0X_OK) or timeout_ms is over (X0X_E_TIMEOUT;
 * closing goes on). Its records can still be drained. Since 0.3.0. */
X0X_API int32_t x0x_close_wait(uint64_t agent, uint32_t timeout_ms);

/* Closes every agent and queue of the process, as at exit, waiting at most timeout_ms.
 * X0X_OK or X0X_E_TIMEOUT. The library can be used again afterwards. Since 0.3.0. */
X0X_API int32_t x0x_shutdown_wait(uint32_t timeout_ms);

/* The 32-byte ids of an agent: SHA-256 of its ML-DSA-65 public keys. Since 0.3.0. */
X0X_API int32_t x0x_agent_id(uint64_t agent, uint8_t id_out[X0X_ID_SIZE]);
X0X_API int32_t x0x_machine_id(uint64_t agent, uint8_t id_out[X0X_ID_SIZE]);

/* ------------------------------------------------------------------------- operations
 *
 * Asynchronous functions take a `token` of yours and, if op_out is not NULL, give an
 * operation handle for x0x_op_cancel. If the function returns X0X_OK, exactly one
 * X0X_R_COMPLETION with that token arrives in the agent's queue: success, error, cancelled or
 * closed with the agent. If it returns an error, none does. An operation handle closes by
 * itself with its completion.
 */

/* Asks an operation to stop. Asynchronous and idempotent: its completion tells whether the
 * cancellation (X0X_E_CANCELLED) or the operation won. X0X_OK, X0X_E_CLOSED when it has
 * completed. Since 0.3.0. */
X0X_API int32_t x0x_op_cancel(uint64_t op);

/* Starts method (asynchronous ones of the table below) of the object `handle`. Since 0.3.0. */
X0X_API int32_t x0x_call(uint64_t handle, uint32_t method, const void *args, size_t args_len,
                         uint64_t token, uint64_t *op_out, x0x_err *err);

/* Runs an immediate method and writes its MessagePack result into out. X0X_E_TOO_SMALL sets
 * *len_out to the needed size and changes nothing. Does not block. Since 0.3.0. */
X0X_API int32_t x0x_call_now(uint64_t handle, uint32_t method, const void *args, size_t args_len,
                             void *out, size_t cap, size_t *len_out, x0x_err *err);

/* Trust levels and decisions, as they stand in records and arguments. */
enum x0x_trust { /* @enum */
    X0X_TRUST_BLOCKED = 0,
    X0X_TRUST_UNKNOWN = 1,
    X0X_TRUST_KNOWN = 2,
    X0X_TRUST_TRUSTED = 3
};
enum x0x_decision { /* @enum */
    X0X_DECISION_UNKNOWN = 0,
    X0X_DECISION_ACCEPT = 1,
    X0X_DECISION_ACCEPT_WITH_FLAG = 2,
    X0X_DECISION_REJECT_BLOCKED = 3,
    X0X_DECISION_REJECT_MACHINE_MISMATCH = 4
};
enum x0x_identity_type { /* @enum  how you know that a contact is who it is */
    X0X_IDENTITY_ANONYMOUS = 0, /* by its id only */
    X0X_IDENTITY_KNOWN = 1,     /* met before */
    X0X_IDENTITY_TRUSTED = 2,   /* checked by you */
    X0X_IDENTITY_PINNED = 3     /* accepted from machines that you pinned, and from no others */
};
/* How a connection came about. */
enum x0x_outcome { /* @enum */
    X0X_OUTCOME_DIRECT = 0,
    X0X_OUTCOME_COORDINATED = 1,
    X0X_OUTCOME_ALREADY_CONNECTED = 2,
    X0X_OUTCOME_UNREACHABLE = 3,
    X0X_OUTCOME_NOT_FOUND = 4
};
enum x0x_policy { /* @enum  what a full subscription queue does */
    X0X_DROP_OLDEST = 0,
    X0X_DROP_NEWEST = 1
};
enum x0x_priority { /* @enum  which topics this agent serves first; no peer is told */
    X0X_PRIORITY_NORMAL = 0,
    X0X_PRIORITY_HIGH = 1, /* sent to each peer before all others, dropped last when memory is full */
    X0X_PRIORITY_LOW = 2   /* sent after all others, dropped first */
};
enum x0x_visibility { /* @enum  to whom an agent says that it is online */
    X0X_VISIBLE_NETWORK = 0,  /* to its neighbours, who tell those who ask, and to contacts */
    X0X_VISIBLE_CONTACTS = 1, /* to contacts only */
    X0X_VISIBLE_NOBODY = 2
};
enum x0x_presence_source { /* @enum  how it is known that an agent is online */
    X0X_SOURCE_DIRECT = 1, /* it said so itself, over a connection */
    X0X_SOURCE_FOAF = 2    /* somebody passed on what it said, which it signed */
};
enum x0x_event_mask { /* @enum  for X0X_M_SET_EVENTS */
    X0X_EVENTS_LIFECYCLE = 1, /* connected, disconnected, everything but messages (on by default) */
    X0X_EVENTS_MESSAGE = 2    /* copies of topic messages as X0X_R_EVENT_MESSAGE (off by default) */
};

/* @methods  name = number, then @async or @now, the kind of handle, arguments and result. */
enum x0x_method {
    X0X_M_JOIN = 1,             /* @async agent (timeout_ms:u32?) -> nil : listen, register, dial what is known; returns after one pass, also with no peers; idempotent */
    X0X_M_LEAVE = 2,            /* @async agent (timeout_ms:u32?) -> nil : goodbye to all peers and stop listening; joining again is possible */
    X0X_M_CONNECT_AGENT = 3,    /* @async agent (agent_id:id, timeout_ms:u32?) -> (outcome:u8, address:str?) */
    X0X_M_CONNECT_MACHINE = 4,  /* @async agent (machine_id:id, timeout_ms:u32?) -> (outcome:u8, address:str?) */
    X0X_M_CONNECT_ADDRESS = 5,  /* @async agent (address:str, timeout_ms:u32?) -> (agent_id:id, machine_id:id) */

    X0X_M_PRESENCE_FOAF = 20,   /* @async agent (ttl:u8?, timeout_ms:u32?) -> [(agent_id:id, machine_id:id, addresses:[str], last_seen_ms:u64, source:u8, online:bool)] : who is online within ttl hops (1 to 5, 0 = 2); see below, since ABI 1.2 */

    X0X_M_IDENTITY = 101,       /* @now agent () -> (agent_id:id, machine_id:id, user_id:id?) */
    X0X_M_IS_CONNECTED = 102,   /* @now agent () -> (connected:bool) */
    X0X_M_PEERS = 103,          /* @now agent () -> [(agent_id:id, machine_id:id, address:str, path:str, rtt_us:u64, dialled:bool, connected_ms:u64)] */
    X0X_M_STATS = 104,          /* @now agent () -> map(str:u64) every counter by name, such as "gossip.published" */
    X0X_M_LOCAL_ADDRESSES = 105, /* @now agent () -> [str] addresses that others on this machine can dial; empty before join */
    X0X_M_SET_EVENTS = 106,     /* @now agent (mask:u32) -> nil */
    X0X_M_SET_TRUST = 107,      /* @now agent (agent_id:id, level:u8) -> nil : takes effect at once, also on open connections */
    X0X_M_TRUST = 108,          /* @now agent (agent_id:id) -> (level:u8) */
    X0X_M_CONTACTS = 109,       /* @now agent () -> [(agent_id:id, level:u8, label:str, added_ms:u64, identity_type:u8, last_seen_ms:u64, machines:[(machine_id:id, label:str, first_seen_ms:u64, last_seen_ms:u64, pinned:bool)])] : by id; 0 is never; from identity_type on since ABI 1.2 */
    X0X_M_REMOVE_CONTACT = 110, /* @now agent (agent_id:id) -> (existed:bool) */
    X0X_M_IS_AGENT_CONNECTED = 111, /* @now agent (agent_id:id) -> (connected:bool) */
    X0X_M_ADD_PEER = 112,       /* @now agent (machine_id:id, addresses:[str], agent_id:id?) -> nil : a hint where a machine listens */
    X0X_M_SET_TOPIC_PRIORITY = 113, /* @now agent (topic:str, priority:u8) -> nil : from now on, subscribed or relayed; X0X_E_INVALID_ARGUMENT, X0X_E_LIMIT (65,536 topics) */
    X0X_M_TOPIC_MESH = 114,     /* @now agent () -> [(topic_id:id, name:str, priority:u8, subscriptions:u32, retained:u64, missing:u64, links:[(agent_id:id, eager:bool, carries:bool, distance:u32?, rtt_us:u64, first:u64, duplicates:u64)])] : see below */
    X0X_M_NEIGHBORS = 115,      /* @now agent () -> [id] the connected agents that topics go through (active_peers); empty before join */
    X0X_M_KNOWN_PEERS = 116,    /* @now agent () -> [(agent_id:id, machine_id:id, addresses:[str])] hearsay: who may take the place of a lost neighbour (passive_peers); empty before join */
    X0X_M_ADD_CONTACT = 117,    /* @now agent (agent_id:id, level:u8, label:str?) -> nil : X0X_M_SET_TRUST and, unless empty, X0X_M_SET_LABEL. This and what follows: see below, since ABI 1.2 */
    X0X_M_CONTACT = 118,        /* @now agent (agent_id:id) -> [(agent_id:id, level:u8, label:str, added_ms:u64, identity_type:u8, last_seen_ms:u64, machines:[(machine_id:id, label:str, first_seen_ms:u64, last_seen_ms:u64, pinned:bool)])] : as X0X_M_CONTACTS, one or none */
    X0X_M_SET_LABEL = 119,      /* @now agent (agent_id:id, label:str) -> nil : UTF-8 of at most 256 bytes */
    X0X_M_SET_IDENTITY_TYPE = 120, /* @now agent (agent_id:id, identity_type:u8) -> nil : pinned without a pinned machine shuts the agent out */
    X0X_M_ADD_MACHINE = 121,    /* @now agent (agent_id:id, machine_id:id, label:str?) -> nil : notes a machine, not pinned; of one that is there it changes the label; X0X_E_LIMIT (64) */
    X0X_M_REMOVE_MACHINE = 122, /* @now agent (agent_id:id, machine_id:id) -> nil : unpins it first */
    X0X_M_PIN_MACHINE = 123,    /* @now agent (agent_id:id, machine_id:id) -> nil : from now on the agent is accepted from its pinned machines only; X0X_E_LIMIT (64) */
    X0X_M_UNPIN_MACHINE = 124,  /* @now agent (agent_id:id, machine_id:id) -> nil : without pinned machines left the level alone decides */
    X0X_M_EVALUATE_TRUST = 125, /* @now agent (agent_id:id, machine_id:id?) -> (decision:u8) : what would become of a message from there */
    X0X_M_SIGN = 126,           /* @now agent (context:str, payload:bin) -> (signature:bin) : a statement of the agent that stands alone, see below */
    X0X_M_VERIFY = 127,         /* @now agent (agent_id:id, context:str, payload:bin, signature:bin) -> nil : X0X_E_AUTH if that agent has not signed this */
    X0X_M_IDENTITY_WORDS = 128, /* @now agent (id:id) -> (words:str) : four words by which people compare an id aloud; a check aid and no name */
    X0X_M_CARD = 129,           /* @now agent (display_name:str?, addresses:[str]?, groups:[(name:str, invite_link:str)]?, stores:[(name:str, topic:str)]?, lifetime_s:u32?, include_user:bool?, human_consent:bool?) -> (link:str) : see below */
    X0X_M_IMPORT_CARD = 130,    /* @now agent (link:str, level:u8?) -> (agent_id:id, added:bool, level:u8, display_name:str, machine_id:id?, user_id:id?, addresses:[str], groups:[(name:str, invite_link:str)], stores:[(name:str, topic:str)], created_s:u64, expires_s:u64) : see below */
    X0X_M_CERTIFICATE = 131,    /* @now agent () -> (certificate:bin?, user_id:id?, issued_ms:u64, expires_ms:u64) : of the person behind the agent; nil if there is none. With a user key it is renewed in time */

    X0X_M_PRESENCE = 140,       /* @now agent () -> [(agent_id:id, machine_id:id, addresses:[str], last_seen_ms:u64, source:u8, online:bool)] : who is online, by id; empty before join. This and what follows: see below, since ABI 1.2 */
    X0X_M_PRESENCE_STATUS = 141, /* @now agent (agent_id:id) -> (agent_id:id, machine_id:id, addresses:[str], last_seen_ms:u64, source:u8, online:bool)? : as X0X_M_PRESENCE, also of a contact that is offline; nil if nothing is known */
    X0X_M_WATCH_PRESENCE = 142, /* @now agent (agent_id:id) -> nil : X0X_R_AGENT_ONLINE and _OFFLINE of one that is no contact; X0X_E_LIMIT (1,024) */
    X0X_M_UNWATCH_PRESENCE = 143, /* @now agent (agent_id:id) -> nil : ends it */

    X0X_M_SUBSCRIPTION_INFO = 201, /* @now subscription () -> (topic:str, pending:u64, dropped:u64, delivered:u64) */
    X0X_M_INBOX_INFO = 202,     /* @now inbox () -> (pending:u64, bytes:u64) */

    X0X_M_TEST_PANIC = 9901     /* @now agent () -> nil : panics on purpose; only in test builds, else X0X_E_UNSUPPORTED */
};

/* X0X_M_TOPIC_MESH lists the topics that flow through an agent, those that begin with "local:"
 * left out. name is "" for a topic that is only relayed; retained counts messages kept for
 * replay, missing those announced by a neighbour and not here yet. Each link is a neighbour:
 *
 *     eager       messages are pushed to it; otherwise they are announced, and it asks
 *     carries     it is sent this topic at all
 *     distance    of the nearest agent behind it that subscribes, 0 is the neighbour itself;
 *                 nil if nobody there does
 *     rtt_us      round-trip time; 0 if not known yet
 *     first       messages that it pushed and that were new here
 *     duplicates  messages that it pushed and that were here already
 *
 * Contacts change by calls of yours alone, never by what the network says. A change takes
 * effect at once, also on open connections and subscriptions, and one X0X_R_CONTACT_CHANGED
 * follows. The methods that need a contact or a machine of it which is not there are
 * X0X_E_NOT_FOUND, values that there are not X0X_E_INVALID_ARGUMENT, and a call that fails has
 * changed nothing. X0X_M_EVALUATE_TRUST is the first row that holds:
 *
 *     no contact                                 X0X_DECISION_UNKNOWN
 *     level blocked                              X0X_DECISION_REJECT_BLOCKED
 *     type pinned, the machine is pinned         X0X_DECISION_ACCEPT, also at level unknown
 *     type pinned, the machine is not pinned     X0X_DECISION_REJECT_MACHINE_MISMATCH
 *     level trusted                              X0X_DECISION_ACCEPT
 *     level known                                X0X_DECISION_ACCEPT_WITH_FLAG
 *     otherwise                                  X0X_DECISION_UNKNOWN
 *
 * Topic messages do not prove the machine they come from: for them the level alone counts.
 *
 * X0X_M_SIGN signs for a purpose of yours, which the context names: 1 to 255 bytes of UTF-8,
 * such as "example.org/vote/v1". A signature under one context does not hold under another, and
 * none can pass for a message of x0x. Arguments are at most 1 MiB: sign the hash of what is
 * longer. X0X_M_VERIFY is X0X_E_CORRUPT or X0X_E_UNSUPPORTED for what is no
 * signature.
 *
 * X0X_M_CARD makes a link "x0x://agent/..." in which the agent describes itself, signed.
 * Addresses left out are those where it listens now; lifetime_s 0 is 30 days. include_user shows
 * the person behind the agent to everybody who gets the link: X0X_E_POLICY without
 * human_consent, X0X_E_NOT_FOUND without a user. X0X_M_IMPORT_CARD verifies one, makes its agent
 * a contact of this level (left out: known) and name, and remembers the addresses as hints; who
 * is a contact already stays as it is. X0X_E_AUTH for a card that its agent has not signed or
 * that has ended, X0X_E_CORRUPT for a damaged one, X0X_E_INVALID_ARGUMENT for another text and
 * for your own card.
 * Presence: an agent says to its neighbours, its contacts and whoever watches it that it is
 * online, every presence_interval_ms, unless its visibility is narrower; whoever is blocked is
 * neither told nor shown. Contacts (X0X_TRUST_KNOWN and _TRUSTED) are watched wherever in the
 * network they are, others with X0X_M_WATCH_PRESENCE, until X0X_M_LEAVE. An agent that says
 * goodbye is offline at once, one that falls silent when its own rhythm makes that unlikely,
 * and after presence_timeout_ms at the latest. Each row has
 *
 *     addresses     where it says that it listens: hints, and only such as mean the same to all
 *     last_seen_ms  when it was heard of, by this machine's clock
 *     source        X0X_SOURCE_*
 *
 * X0X_M_PRESENCE_FOAF asks the neighbours, who ask theirs. It completes when all have answered,
 * or after timeout_ms (0 = 5,000, at most 60,000) with what has come; that is no error. Whom it
 * finds is in X0X_M_PRESENCE from then on. X0X_E_INVALID_ARGUMENT; X0X_E_BUSY (16 under way).
 * The methods that ask the network or change what is watched are X0X_E_UNREACHABLE before
 * X0X_M_JOIN.
 */

/* ------------------------------------------------------------------------- messages */

/* Publishes to a topic. Completes when the message is signed and queued to the peers; waits
 * while the publish queue is full, up to timeout_ms (0 = 10,000). With X0X_NO_WAIT it does not
 * wait for room: it is X0X_E_BUSY, retryable, and nothing was published. Publishing before any
 * peer is known is fine. Topics that start with "local:" stay in this process.
 * Returned or in the completion: X0X_E_INVALID_ARGUMENT (topic not UTF-8, with NUL, or over
 * 256 bytes), X0X_E_TOO_LARGE (payload over 1 MiB), X0X_E_BUSY (also: too many operations in
 * flight, or 64 MiB of messages wait for room), X0X_E_TIMEOUT, X0X_E_CANCELLED, X0X_E_CLOSED,
 * X0X_E_POISONED, handle errors. Completion result: nil. Since 0.3.0. */
X0X_API int32_t x0x_publish(uint64_t agent, const char *topic, size_t topic_len,
                            const void *payload, size_t payload_len, uint32_t timeout_ms,
                            uint64_t token, uint64_t *op_out, x0x_err *err);

#define X0X_SUB_NO_REPLAY 0x1u      /* only messages from now on, not those retained */
#define X0X_CREDIT_UNLIMITED 0u     /* deliver as the queue is drained */
#define X0X_CREDIT_NONE UINT32_MAX  /* deliver nothing before x0x_credit_add */

typedef struct x0x_sub_options {
    uint32_t size;         /* sizeof(x0x_sub_options) */
    uint32_t flags;        /* X0X_SUB_* */
    uint32_t max_messages; /* that wait to be drained; 0 = 1,024 */
    uint32_t policy;       /* X0X_DROP_* when full */
    uint64_t max_bytes;    /* 0 = 8 MiB */
    uint32_t credit;       /* messages that may be drained before x0x_credit_add; 0 = unlimited */
} x0x_sub_options;

/* Subscribes; X0X_R_MESSAGE records of the handle follow, own messages included, and one
 * X0X_R_CLOSED at the end. `options` may be NULL. Works before joining. Does not block.
 * X0X_OK, X0X_E_INVALID_ARGUMENT, X0X_E_LIMIT (4,096 subscriptions), X0X_E_POISONED, handle
 * errors. Since 0.3.0. */
X0X_API int32_t x0x_subscribe(uint64_t agent, const char *topic, size_t topic_len,
                              const x0x_sub_options *options, uint64_t *sub_out, x0x_err *err);

#define X0X_SEND_UNORDERED 0x1u          /* may overtake earlier messages */
#define X0X_SEND_FAIL_ON_DISCONNECT 0x2u /* fail when the peer is found disconnected instead of waiting for it until the timeout */

/* Sends one direct message to one agent: private, acknowledged, in order. Connects if needed.
 * Completes when the recipient's library has accepted it into the queue that its application
 * reads: result (path:str, rtt_us:u64, sequence:u64). timeout_ms 0 = send_timeout_ms. On failure the
 * flags say NOT_DELIVERED or DELIVERY_UNKNOWN. Returned or in the completion:
 * X0X_E_INVALID_ARGUMENT, X0X_E_TOO_LARGE (over 16 MiB), X0X_E_BLOCKED (you blocked the
 * recipient), X0X_E_BUSY (too many operations in flight), X0X_E_NOT_FOUND (no address known),
 * X0X_E_UNREACHABLE, X0X_E_TIMEOUT, X0X_E_DISCONNECTED, X0X_E_CANCELLED, X0X_E_CLOSED,
 * X0X_E_POISONED, handle errors. Since 0.3.0. */
X0X_API int32_t x0x_send(uint64_t agent, const uint8_t agent_id[X0X_ID_SIZE],
                         const void *payload, size_t payload_len, uint32_t flags, uint32_t timeout_ms,
                         uint64_t token, uint64_t *op_out, x0x_err *err);

/* Opens the agent's inbox: direct messages become X0X_R_DIRECT records, oldest first, those
 * that arrived before included. `credit` as in x0x_sub_options. One inbox per agent is open at a
 * time (X0X_E_BUSY); after closing it messages wait again. Since 0.3.0. */
X0X_API int32_t x0x_inbox_open(uint64_t agent, uint32_t credit, uint64_t *inbox_out, x0x_err *err);

/* Allows n more messages of a subscription or inbox that was opened with a credit. Saturates;
 * on an unlimited one it does nothing. Since 0.3.0. */
X0X_API int32_t x0x_credit_add(uint64_t handle, uint32_t n);

/* ------------------------------------------------------------------------- logs */

#define X0X_LOG_OFF INT32_MAX
#define X0X_LOG_DEBUG (-4)
#define X0X_LOG_INFO 0
#define X0X_LOG_WARN 4
#define X0X_LOG_ERROR 8

/* Sends log records of this process at `level` and above to `queue` as X0X_R_LOG, replacing
 * an earlier choice; X0X_LOG_OFF stops. Silent by default. Never contains keys or payloads.
 * Since 0.3.0. */
X0X_API int32_t x0x_log_to_queue(uint64_t queue, int32_t level);

#ifdef __cplusplus
}
#endif

#endif /* X0X_H */
