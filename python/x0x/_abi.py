"""The C ABI of libx0x as ctypes declarations, from include/x0x.h.

Everything here could be generated, and is: constants have the names of the header, structs
its fields, FUNCTIONS its prototypes. Nothing else in the package repeats a number.
"""

from __future__ import annotations

from ctypes import (
    POINTER,
    Structure,
    c_char,
    c_char_p,
    c_int32,
    c_size_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

X0X_ABI_MAJOR = 1
X0X_ABI_MINOR = 0
X0X_ABI_VERSION = (X0X_ABI_MAJOR << 16) | X0X_ABI_MINOR

X0X_ID_SIZE = 32
X0X_MAX_DIRECT_PAYLOAD = 16777216
X0X_MAX_TOPIC_PAYLOAD = 1048576
X0X_MAX_TOPIC_NAME = 256
X0X_NO_TIMEOUT = 0xFFFFFFFF

# enum x0x_status
X0X_OK = 0
X0X_S_AGAIN = 1
X0X_S_MORE = 2
X0X_E_INVALID_ARGUMENT = -101
X0X_E_BAD_HANDLE = -102
X0X_E_WRONG_KIND = -103
X0X_E_TOO_SMALL = -104
X0X_E_UNSUPPORTED = -105
X0X_E_CLOSED = -201
X0X_E_BUSY = -202
X0X_E_CANCELLED = -203
X0X_E_TIMEOUT = -204
X0X_E_NOT_FOUND = -301
X0X_E_UNREACHABLE = -302
X0X_E_DISCONNECTED = -303
X0X_E_NETWORK_MISMATCH = -304
X0X_E_AUTH = -401
X0X_E_CORRUPT = -402
X0X_E_IO = -403
X0X_E_BLOCKED = -501
X0X_E_POLICY = -502
X0X_E_TOO_LARGE = -503
X0X_E_LIMIT = -504
X0X_E_LAGGED = -505
X0X_E_PANIC = -901
X0X_E_POISONED = -902
X0X_E_FORKED = -903

# Every status by number.
STATUSES: dict[int, str] = {
    X0X_OK: "X0X_OK",
    X0X_S_AGAIN: "X0X_S_AGAIN",
    X0X_S_MORE: "X0X_S_MORE",
    X0X_E_INVALID_ARGUMENT: "X0X_E_INVALID_ARGUMENT",
    X0X_E_BAD_HANDLE: "X0X_E_BAD_HANDLE",
    X0X_E_WRONG_KIND: "X0X_E_WRONG_KIND",
    X0X_E_TOO_SMALL: "X0X_E_TOO_SMALL",
    X0X_E_UNSUPPORTED: "X0X_E_UNSUPPORTED",
    X0X_E_CLOSED: "X0X_E_CLOSED",
    X0X_E_BUSY: "X0X_E_BUSY",
    X0X_E_CANCELLED: "X0X_E_CANCELLED",
    X0X_E_TIMEOUT: "X0X_E_TIMEOUT",
    X0X_E_NOT_FOUND: "X0X_E_NOT_FOUND",
    X0X_E_UNREACHABLE: "X0X_E_UNREACHABLE",
    X0X_E_DISCONNECTED: "X0X_E_DISCONNECTED",
    X0X_E_NETWORK_MISMATCH: "X0X_E_NETWORK_MISMATCH",
    X0X_E_AUTH: "X0X_E_AUTH",
    X0X_E_CORRUPT: "X0X_E_CORRUPT",
    X0X_E_IO: "X0X_E_IO",
    X0X_E_BLOCKED: "X0X_E_BLOCKED",
    X0X_E_POLICY: "X0X_E_POLICY",
    X0X_E_TOO_LARGE: "X0X_E_TOO_LARGE",
    X0X_E_LIMIT: "X0X_E_LIMIT",
    X0X_E_LAGGED: "X0X_E_LAGGED",
    X0X_E_PANIC: "X0X_E_PANIC",
    X0X_E_POISONED: "X0X_E_POISONED",
    X0X_E_FORKED: "X0X_E_FORKED",
}

X0X_ERRF_RETRYABLE = 0x1
X0X_ERRF_FATAL = 0x2
X0X_ERRF_NOT_DELIVERED = 0x4
X0X_ERRF_DELIVERY_UNKNOWN = 0x8

X0X_FEATURE_TEST_PANIC = 0x1

# enum x0x_kind
X0X_KIND_ANY = 0
X0X_KIND_QUEUE = 1
X0X_KIND_AGENT = 2
X0X_KIND_SUBSCRIPTION = 3
X0X_KIND_INBOX = 4
X0X_KIND_OPERATION = 5

X0X_DRAIN_HINT = 262144
X0X_RF_ERROR = 0x1

# enum x0x_record_kind
X0X_R_COMPLETION = 1
X0X_R_MESSAGE = 2
X0X_R_DIRECT = 3
X0X_R_LAGGED = 4
X0X_R_CLOSED = 5
X0X_R_CONNECTED = 6
X0X_R_DISCONNECTED = 7
X0X_R_PEER_JOINED = 8
X0X_R_EVENT_MESSAGE = 9
X0X_R_ERROR = 10
X0X_R_SESSION_RESET = 11
X0X_R_LOG = 12
X0X_R_FATAL = 13

X0X_OPEN_NO_LOCAL_DISCOVERY = 0x1
X0X_OPEN_KEEP_NOFILE = 0x2
X0X_OPEN_NO_RELAY = 0x4

# enum x0x_trust
X0X_TRUST_BLOCKED = 0
X0X_TRUST_UNKNOWN = 1
X0X_TRUST_KNOWN = 2
X0X_TRUST_TRUSTED = 3

# enum x0x_decision
X0X_DECISION_UNKNOWN = 0
X0X_DECISION_ACCEPT = 1
X0X_DECISION_ACCEPT_WITH_FLAG = 2
X0X_DECISION_REJECT_BLOCKED = 3
X0X_DECISION_REJECT_MACHINE_MISMATCH = 4

# enum x0x_outcome
X0X_OUTCOME_DIRECT = 0
X0X_OUTCOME_COORDINATED = 1
X0X_OUTCOME_ALREADY_CONNECTED = 2
X0X_OUTCOME_UNREACHABLE = 3
X0X_OUTCOME_NOT_FOUND = 4

# enum x0x_policy
X0X_DROP_OLDEST = 0
X0X_DROP_NEWEST = 1

# enum x0x_event_mask
X0X_EVENTS_LIFECYCLE = 1
X0X_EVENTS_MESSAGE = 2

# enum x0x_method
X0X_M_JOIN = 1
X0X_M_LEAVE = 2
X0X_M_CONNECT_AGENT = 3
X0X_M_CONNECT_MACHINE = 4
X0X_M_CONNECT_ADDRESS = 5
X0X_M_IDENTITY = 101
X0X_M_IS_CONNECTED = 102
X0X_M_PEERS = 103
X0X_M_STATS = 104
X0X_M_LOCAL_ADDRESSES = 105
X0X_M_SET_EVENTS = 106
X0X_M_SET_TRUST = 107
X0X_M_TRUST = 108
X0X_M_CONTACTS = 109
X0X_M_REMOVE_CONTACT = 110
X0X_M_IS_AGENT_CONNECTED = 111
X0X_M_ADD_PEER = 112
X0X_M_SUBSCRIPTION_INFO = 201
X0X_M_INBOX_INFO = 202
X0X_M_TEST_PANIC = 9901

X0X_SUB_NO_REPLAY = 0x1
X0X_CREDIT_UNLIMITED = 0
X0X_CREDIT_NONE = 0xFFFFFFFF

X0X_SEND_UNORDERED = 0x1
X0X_SEND_FAIL_ON_DISCONNECT = 0x2

X0X_LOG_OFF = 0x7FFFFFFF
X0X_LOG_DEBUG = -4
X0X_LOG_INFO = 0
X0X_LOG_WARN = 4
X0X_LOG_ERROR = 8


class x0x_err(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("code", c_int32),
        ("flags", c_uint32),
        ("message", c_char * 240),
    ]


class x0x_queue_options(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("event_limit", c_uint32),
        ("log_limit", c_uint32),
    ]


class x0x_record(Structure):
    _fields_ = [
        ("bytes", c_uint32),
        ("kind", c_uint16),
        ("flags", c_uint16),
        ("id", c_uint64),
        ("seq", c_uint64),
        ("unix_ms", c_uint64),
        ("meta_len", c_uint32),
        ("payload_len", c_uint32),
    ]


# struct.unpack format of x0x_record.
RECORD_FORMAT = "<IHHQQQII"


class x0x_options(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("name", c_char_p),
        ("home_dir", c_char_p),
        ("identity_dir", c_char_p),
        ("runtime_dir", c_char_p),
        ("network_id", c_char_p),
        ("bind", c_char_p),
        ("bootstrap", c_char_p),
        ("machine_key_path", c_char_p),
        ("agent_key_path", c_char_p),
        ("machine_key", c_char_p),
        ("machine_key_len", c_size_t),
        ("agent_key", c_char_p),
        ("agent_key_len", c_size_t),
        ("dial_timeout_ms", c_uint32),
        ("send_timeout_ms", c_uint32),
        ("peer_timeout_ms", c_uint32),
        ("session_ttl_ms", c_uint32),
        ("close_grace_ms", c_uint32),
        ("accept_from", c_uint32),
        ("inbox_messages", c_uint32),
        ("inbox_bytes", c_uint64),
        ("max_operations", c_uint32),
        ("max_peers", c_uint32),
        ("go_max_procs", c_uint32),
        ("go_gc_percent", c_int32),
        ("go_memory_limit", c_uint64),
    ]


class x0x_sub_options(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("max_messages", c_uint32),
        ("policy", c_uint32),
        ("max_bytes", c_uint64),
        ("credit", c_uint32),
    ]


# Every exported function: (result type, argument types). `void *` is c_void_p, `char *` and
# `uint8_t *` are c_char_p: all of them accept bytes, whose length travels beside them.
FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "x0x_status_name": (c_char_p, (c_int32,)),
    "x0x_abi_version": (c_uint32, ()),
    "x0x_version": (c_char_p, ()),
    "x0x_features": (c_uint64, ()),
    "x0x_build_info": (c_int32, (c_char_p, c_size_t, POINTER(c_size_t))),
    "x0x_handle_kind": (c_int32, (c_uint64,)),
    "x0x_handle_close": (c_int32, (c_uint64,)),
    "x0x_live_handles": (c_uint64, (c_uint32,)),
    "x0x_queue_new": (c_int32, (POINTER(x0x_queue_options), POINTER(c_uint64), POINTER(x0x_err))),
    "x0x_queue_fd": (c_int32, (c_uint64, POINTER(c_int32))),
    "x0x_queue_wait": (c_int32, (c_uint64, c_uint32)),
    "x0x_queue_set_wake": (c_int32, (c_uint64, c_void_p, c_void_p)),
    "x0x_queue_drain": (
        c_int32,
        (c_uint64, c_void_p, c_size_t, POINTER(c_size_t), POINTER(c_uint32)),
    ),
    "x0x_open": (
        c_int32,
        (POINTER(x0x_options), c_uint64, POINTER(c_uint64), POINTER(x0x_err)),
    ),
    "x0x_close": (c_int32, (c_uint64, c_uint32)),
    "x0x_close_wait": (c_int32, (c_uint64, c_uint32)),
    "x0x_shutdown_wait": (c_int32, (c_uint32,)),
    "x0x_agent_id": (c_int32, (c_uint64, c_char_p)),
    "x0x_machine_id": (c_int32, (c_uint64, c_char_p)),
    "x0x_op_cancel": (c_int32, (c_uint64,)),
    "x0x_call": (
        c_int32,
        (
            c_uint64,
            c_uint32,
            c_void_p,
            c_size_t,
            c_uint64,
            POINTER(c_uint64),
            POINTER(x0x_err),
        ),
    ),
    "x0x_call_now": (
        c_int32,
        (
            c_uint64,
            c_uint32,
            c_void_p,
            c_size_t,
            c_void_p,
            c_size_t,
            POINTER(c_size_t),
            POINTER(x0x_err),
        ),
    ),
    "x0x_publish": (
        c_int32,
        (
            c_uint64,
            c_char_p,
            c_size_t,
            c_void_p,
            c_size_t,
            c_uint32,
            c_uint64,
            POINTER(c_uint64),
            POINTER(x0x_err),
        ),
    ),
    "x0x_subscribe": (
        c_int32,
        (
            c_uint64,
            c_char_p,
            c_size_t,
            POINTER(x0x_sub_options),
            POINTER(c_uint64),
            POINTER(x0x_err),
        ),
    ),
    "x0x_send": (
        c_int32,
        (
            c_uint64,
            c_char_p,
            c_void_p,
            c_size_t,
            c_uint32,
            c_uint32,
            c_uint64,
            POINTER(c_uint64),
            POINTER(x0x_err),
        ),
    ),
    "x0x_inbox_open": (c_int32, (c_uint64, c_uint32, POINTER(c_uint64), POINTER(x0x_err))),
    "x0x_credit_add": (c_int32, (c_uint64, c_uint32)),
    "x0x_log_to_queue": (c_int32, (c_uint64, c_int32)),
}
