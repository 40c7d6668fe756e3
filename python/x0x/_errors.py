"""Errors: one class for each kind of the library's table, all below X0XError.

    X0XError
    ├── InvalidArgumentError (ValueError)      a malformed argument, id or key
    ├── BadHandleError, WrongKindError, TooSmallError
    ├── UnsupportedError (RuntimeError)        not offered by this build or platform
    ├── ClosedError                            you closed the agent or subscription
    ├── BusyError                              in use, or too much in flight: retry later
    ├── CancelledError                         cancelled before it took effect
    ├── TimeoutError (builtins.TimeoutError)
    ├── NotFoundError                          unknown agent, machine, topic or file
    ├── ConnectionError (builtins.ConnectionError)
    │   ├── UnreachableError                   known, but no path worked
    │   ├── DisconnectedError                  lost and not resumed
    │   └── NetworkMismatchError               the peer lives in another network
    ├── AuthError                              a proof of identity failed
    ├── CorruptError (ValueError)              a damaged file or message
    ├── IoError (OSError)                      the operating system refused
    ├── PolicyError                            refused by your own policy
    │   └── BlockedError                       you blocked this agent
    ├── TooLargeError (ValueError)             over a size limit; nothing was sent
    ├── LimitError                             a count limit is reached
    ├── LaggedError                            messages were dropped for a slow reader
    └── InternalError (RuntimeError)
        ├── PanicError                         a defect in the library, contained
        ├── PoisonedError                      the agent met a defect earlier: close it
        └── ForkedError                        used in the child of a fork

Where a call promises a builtin (opening and joining OSError, publishing RuntimeError), the
error raised there is a subclass of both: `except OSError` around `join_network()` and
`except x0x.TimeoutError` both work.
"""

from __future__ import annotations

import builtins
import errno
from typing import Any, ClassVar

from . import _abi


class X0XError(Exception):
    """Base of every error that this package raises, except TypeError for wrong types."""

    code: ClassVar[str] = "X0X_E_UNKNOWN"
    """The name of the kind, the same in C, Go, Python and Node: 'X0X_E_TIMEOUT'."""

    flags: int
    """X0X_ERRF_* as the library gave them."""

    def __init__(self, message: str = "", flags: int = 0) -> None:
        super().__init__(message)
        self.flags = flags

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return bool(self.flags & _abi.X0X_ERRF_RETRYABLE)

    @property
    def delivered(self) -> str | None:
        """For a failed send: 'no' (certainly not) or 'unknown' (it may have been)."""
        if self.flags & _abi.X0X_ERRF_NOT_DELIVERED:
            return "no"
        if self.flags & _abi.X0X_ERRF_DELIVERY_UNKNOWN:
            return "unknown"
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        message = str(self.args[0]) if self.args else ""
        mixed = type(self).__dict__.get("_builtin")
        return _rebuild, (self.code, message, self.flags, mixed)


class InvalidArgumentError(X0XError, ValueError):
    code = "X0X_E_INVALID_ARGUMENT"


class BadHandleError(X0XError):
    code = "X0X_E_BAD_HANDLE"


class WrongKindError(X0XError):
    code = "X0X_E_WRONG_KIND"


class TooSmallError(X0XError):
    code = "X0X_E_TOO_SMALL"


class UnsupportedError(X0XError, RuntimeError):
    code = "X0X_E_UNSUPPORTED"


class ClosedError(X0XError):
    code = "X0X_E_CLOSED"


class BusyError(X0XError):
    code = "X0X_E_BUSY"


class CancelledError(X0XError):
    code = "X0X_E_CANCELLED"


class TimeoutError(X0XError, builtins.TimeoutError):
    code = "X0X_E_TIMEOUT"


class NotFoundError(X0XError):
    code = "X0X_E_NOT_FOUND"


class ConnectionError(X0XError, builtins.ConnectionError):
    """Base of what goes wrong between here and a peer; never raised itself."""


class UnreachableError(ConnectionError):
    code = "X0X_E_UNREACHABLE"


class DisconnectedError(ConnectionError):
    code = "X0X_E_DISCONNECTED"


class NetworkMismatchError(ConnectionError):
    code = "X0X_E_NETWORK_MISMATCH"


class AuthError(X0XError):
    code = "X0X_E_AUTH"


class CorruptError(X0XError, ValueError):
    code = "X0X_E_CORRUPT"


class IoError(X0XError, OSError):
    code = "X0X_E_IO"


class PolicyError(X0XError):
    code = "X0X_E_POLICY"


class BlockedError(PolicyError):
    code = "X0X_E_BLOCKED"


class TooLargeError(X0XError, ValueError):
    code = "X0X_E_TOO_LARGE"


class LimitError(X0XError):
    code = "X0X_E_LIMIT"


class LaggedError(X0XError):
    code = "X0X_E_LAGGED"


class InternalError(X0XError, RuntimeError):
    """Base of defects and of use in a forked child; never raised itself."""


class PanicError(InternalError):
    code = "X0X_E_PANIC"


class PoisonedError(InternalError):
    code = "X0X_E_POISONED"


class ForkedError(InternalError):
    code = "X0X_E_FORKED"


def _classes(base: type[X0XError]) -> dict[str, type[X0XError]]:
    found = {base.code: base} if "code" in base.__dict__ else {}
    for sub in base.__subclasses__():
        found.update(_classes(sub))
    return found


CLASSES: dict[str, type[X0XError]] = _classes(X0XError)
"""Every kind's class by its code, X0XError itself for a kind of a newer library."""

# Classes that are a kind and a promised builtin at once, made when first raised.
_mixed: dict[tuple[type[X0XError], type[Exception]], type[X0XError]] = {}

# What opening a file answers in the language of the builtin functions.
_ERRNO = {"X0X_E_NOT_FOUND": errno.ENOENT, "X0X_E_POLICY": errno.EACCES, "X0X_E_BUSY": errno.EBUSY}


def _class(code: str, builtin: type[Exception] | None) -> type[X0XError]:
    kind = CLASSES.get(code, X0XError)
    if builtin is None or issubclass(kind, builtin):
        return kind
    both = _mixed.get((kind, builtin))
    if both is None:
        space = {"__module__": kind.__module__, "__doc__": kind.__doc__, "_builtin": builtin}
        both = type(kind.__name__, (kind, builtin), space)
        _mixed[kind, builtin] = both
    return both


def _rebuild(
    code: str, message: str, flags: int, builtin: type[Exception] | None
) -> X0XError:
    error = _class(code, builtin)(message, flags)
    if isinstance(error, OSError):
        error.errno = _ERRNO.get(code)
    return error


def error(
    status: int, message: str = "", flags: int = 0, builtin: type[Exception] | None = None
) -> X0XError:
    """The exception of a status. `builtin` is what the failed call promises besides."""
    code = _abi.STATUS_NAMES.get(status, X0XError.code)
    return _rebuild(code, message or f"{code} ({status})", flags, builtin)
