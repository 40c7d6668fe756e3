"""Finding, loading and ending libx0x.

Importing the package loads nothing; the first agent does. That keeps imports free and lets a
pre-fork server fork first. The library is X0X_LIBRARY where that is set, otherwise the file
packaged beside this module. It is never unloaded.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import sys
import threading
from collections.abc import Callable
from typing import Any

from . import _abi
from ._errors import ForkedError, UnsupportedError, error

FILE_NAME = "libx0x.so"

# What an interpreter may take to end: agents say goodbye, then the process goes in any case.
EXIT_MS = 1_500

_lock = threading.Lock()
_loaded: ctypes.CDLL | None = None
_path = ""
_forked = False


def library() -> Any:
    """The library, loaded on first use. Raises UnsupportedError where there is none."""
    if _forked:
        raise ForkedError(
            "libx0x was loaded before this process was forked and cannot be used in it: "
            "use the 'spawn' or 'forkserver' start method, or create the first Agent after fork()"
        )
    return _loaded or _load()


def loaded() -> Any | None:
    """The library if it is loaded and usable in this process: for cleaning up."""
    return None if _forked else _loaded


def forked() -> bool:
    """Whether this process is the child of a fork that came after loading."""
    return _forked


def path() -> str:
    """The file that was loaded."""
    library()
    return _path


def build_info() -> str:
    """One line about the library: version, Go version, target, schema hash."""
    lib = library()
    size = ctypes.c_size_t()
    buffer = ctypes.create_string_buffer(512)
    status = lib.x0x_build_info(buffer, len(buffer), ctypes.byref(size))
    if status == _abi.X0X_E_TOO_SMALL:
        buffer = ctypes.create_string_buffer(size.value + 1)
        status = lib.x0x_build_info(buffer, len(buffer), ctypes.byref(size))
    if status < 0:
        raise error(status)
    return buffer.value.decode()


def _load() -> ctypes.CDLL:
    global _loaded, _path
    with _lock:
        if _loaded is not None:
            return _loaded
        _check_platform()
        file = _find()
        try:
            lib = ctypes.CDLL(file)
        except OSError as e:
            raise UnsupportedError(f"{file} cannot be loaded: {e}") from e
        _check_version(lib, file)
        _abi.declare(lib)
        os.register_at_fork(after_in_child=_mark_forked)
        atexit.register(_at_exit)
        _path = file
        _loaded = lib
        return lib


def _find() -> str:
    explicit = os.environ.get("X0X_LIBRARY")
    if explicit:
        if not os.path.isfile(explicit):
            raise UnsupportedError(f"X0X_LIBRARY names {explicit}, which is not a file")
        return os.path.abspath(explicit)
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), FILE_NAME)
    if not os.path.isfile(beside):
        raise UnsupportedError(
            f"{beside} is missing: this copy of the package was not built. Install it with pip "
            "(`pip install ./python` in the source tree, which needs Go), or set X0X_LIBRARY "
            "to a libx0x.so"
        )
    return beside


def _check_platform() -> None:
    """Refuse what the library cannot run on, before the dynamic linker does it in riddles."""
    where = f"{sys.platform} {platform.machine()}"
    if sys.platform != "linux":
        raise UnsupportedError(f"x0x does not support this platform yet: {where}; Linux only")
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        libc = ""
    if not libc.startswith("glibc"):
        raise UnsupportedError(
            f"x0x does not support this platform yet: {where} without glibc (musl?). "
            "A Go shared library cannot be loaded there; use a glibc based system or image"
        )
    if _in_subinterpreter():
        raise UnsupportedError("x0x cannot be used in a sub-interpreter: use the main one")


def _in_subinterpreter() -> bool:
    names = ("_interpreters", "_xxsubinterpreters")  # since 3.13, and before
    for name in names:
        try:
            module = __import__(name)
        except ImportError:
            continue
        current, main = module.get_current(), module.get_main()
        # 3.13 gives (id, whence), 3.10 to 3.12 an object that compares.
        return bool(current != main)
    return False


def _check_version(lib: ctypes.CDLL, file: str) -> None:
    try:
        lib.x0x_abi_version.restype = ctypes.c_uint32
        found = int(lib.x0x_abi_version())
    except AttributeError:
        raise UnsupportedError(f"{file} is not libx0x: it has no x0x_abi_version") from None
    major, minor = found >> 16, found & 0xFFFF
    if major != _abi.X0X_ABI_MAJOR or minor < _abi.X0X_ABI_MINOR:
        raise UnsupportedError(
            f"{file} speaks version {major}.{minor} of the C ABI; this package needs "
            f"{_abi.X0X_ABI_MAJOR}.x with x >= {_abi.X0X_ABI_MINOR}: install package and "
            "library from the same release, or unset X0X_LIBRARY"
        )


# Called before the library ends the process's agents at exit, last registered first.
before_exit: list[Callable[[], None]] = []


def _at_exit() -> None:
    lib = loaded()
    if lib is None:
        return
    for hook in reversed(before_exit):
        hook()
    lib.x0x_shutdown_wait(EXIT_MS)


def _mark_forked() -> None:
    global _forked
    _forked = True


class Scratch(threading.local):
    """Per thread: the places that calls write to, made once instead of for every call."""

    def __init__(self) -> None:
        self.err = _abi.x0x_err(size=ctypes.sizeof(_abi.x0x_err))
        self.err_ref = ctypes.byref(self.err)
        self.u64 = ctypes.c_uint64()
        self.u64_ref = ctypes.byref(self.u64)
        self.size = ctypes.c_size_t()
        self.size_ref = ctypes.byref(self.size)
        self.u32 = ctypes.c_uint32()
        self.u32_ref = ctypes.byref(self.u32)
        # As 64-bit words, since records are 8-byte aligned.
        self.buffer = (ctypes.c_uint64 * (_abi.X0X_DRAIN_HINT // 8))()
        self.buffer_at = ctypes.addressof(self.buffer)

    def check(self, status: int, builtin: type[Exception] | None = None) -> None:
        """Raise the error of a status that the call just made gave, if it is one."""
        if status < 0:
            err = self.err
            known = err.code == status
            message = err.message.decode("utf-8", "replace") if known else ""
            raise error(status, message, err.flags if known else 0, builtin)


scratch = Scratch()
