"""A PEP 517 build backend without dependencies: the package, and libx0x built with Go.

The library comes from the first of
  1. X0X_PREBUILT: a libx0x.so that was built before (`make wheel`);
  2. the Go source beside this package (../capi in the repository, ./go in an sdist).
The wheel is py3-none-manylinux_2_N_ARCH: ctypes fits every Python, and N is read from the
library. The sdist carries the Go source.
"""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
LIBRARY = "libx0x.so"
GO_TOOLCHAIN = "go1.27.3"
# Everything is dated alike, so that the same source gives the same bytes.
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "1767225600"))

Settings = Mapping[str, Any] | None


# --------------------------------------------------------------------------- hooks


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    return []


get_requires_for_build_sdist = get_requires_for_build_wheel
get_requires_for_build_editable = get_requires_for_build_wheel


def build_wheel(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    project = _project()
    with tempfile.TemporaryDirectory(prefix="x0x-build-") as temporary:
        library = _library(Path(temporary))
        files = {f"x0x/{name}": data for name, data in _package()}
        files[f"x0x/{LIBRARY}"] = library.read_bytes()
        return _write_wheel(wheel_directory, project, _tag(library), files)


def build_editable(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """An editable install: the package stays here, with the library built beside it."""
    project = _project()
    with tempfile.TemporaryDirectory(prefix="x0x-build-") as temporary:
        library = _library(Path(temporary))
        tag = _tag(library)
        target = HERE / "x0x" / LIBRARY
        if library.resolve() != target.resolve():
            # A new file, not new bytes in one that a process may have loaded.
            shutil.copyfile(library, target.with_suffix(".new"))
            os.replace(target.with_suffix(".new"), target)
    files = {"__editable__.agent_x0x.pth": f"{HERE}\n".encode()}
    return _write_wheel(wheel_directory, project, tag, files)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    project = _project()
    base = f"agent_x0x-{project['version']}"
    files: dict[str, bytes] = {f"x0x/{name}": data for name, data in _package()}
    for folder in ("_build", "tests", "examples"):
        for path in sorted((HERE / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                files[str(path.relative_to(HERE))] = path.read_bytes()
    for name in ("pyproject.toml", "README.md", "requirements-dev.txt"):
        if (HERE / name).is_file():
            files[name] = (HERE / name).read_bytes()
    source = _go_source()
    if source is None:
        raise SystemExit("agent-x0x: an sdist is made in the repository, where ../capi is")
    for name, data in _go_files(source):
        files[f"go/{name}"] = data
    files.update(_licences())
    files["PKG-INFO"] = _metadata(project)
    target = Path(sdist_directory) / f"{base}.tar.gz"
    with (
        open(target, "wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, EPOCH) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(files):
            info = tarfile.TarInfo(f"{base}/{name}")
            info.size, info.mtime, info.mode = len(files[name]), EPOCH, 0o644
            tar.addfile(info, io.BytesIO(files[name]))
    return target.name


# --------------------------------------------------------------------------- library


def _library(temporary: Path) -> Path:
    """The library to package, built if need be."""
    if sys.platform != "linux":
        raise SystemExit(f"agent-x0x: {sys.platform} is not supported yet, only Linux")
    prebuilt = os.environ.get("X0X_PREBUILT")
    if prebuilt:
        path = Path(prebuilt)
        if not path.is_file():
            raise SystemExit(f"agent-x0x: X0X_PREBUILT names {path}, which is not a file")
        return path
    source = _go_source()
    if source is None:
        raise SystemExit(
            "agent-x0x: there is no Go source to build libx0x from (neither ../capi nor ./go). "
            "Install a wheel, or set X0X_PREBUILT to a libx0x.so"
        )
    if shutil.which("go") is None or shutil.which(os.environ.get("CC", "gcc")) is None:
        raise SystemExit(
            "agent-x0x: building from source needs Go 1.21 or later and a C compiler in PATH "
            "(Go fetches the toolchain that it needs). Install them, or install a wheel: "
            "pip install --only-binary :all: agent-x0x"
        )
    return _go_build(source, temporary / LIBRARY)


def _go_build(source: Path, output: Path) -> Path:
    environment = dict(os.environ)
    environment.setdefault("GOTOOLCHAIN", GO_TOOLCHAIN)
    environment["CGO_ENABLED"] = "1"
    # An older glibc than that of the build machine: see the header for how.
    floor = source / "capi" / "oldglibc.h"
    if floor.is_file() and platform.machine() == "x86_64":
        # Go's build cache does not look into the header, so its checksum stands in the flags.
        mark = zlib.crc32(floor.read_bytes())
        environment["CGO_CFLAGS"] = f"-O2 -g -include {floor} -DX0X_OLDGLIBC={mark}"
        environment["CGO_LDFLAGS"] = "-Wl,--no-as-needed -l:libpthread.so.0"
    command = [
        "go", "build", "-buildmode=c-shared", "-trimpath", "-tags", "netgo,osusergo",
        "-ldflags", f"-s -w -extldflags=-Wl,--version-script={source}/capi/x0x.map",
        "-o", str(output), "./capi",
    ]  # fmt: skip
    print("agent-x0x: building libx0x with Go", flush=True)
    result = subprocess.run(command, cwd=source, env=environment, check=False)
    if result.returncode != 0:
        raise SystemExit("agent-x0x: building libx0x failed; the messages of Go are above")
    return output


def _go_source() -> Path | None:
    for candidate in (HERE.parent, HERE / "go"):
        if (candidate / "go.mod").is_file() and (candidate / "capi").is_dir():
            return candidate
    return None


def _go_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """What the library is built from; no tests, tools or examples."""
    for name in ("go.mod", "go.sum"):
        yield name, (source / name).read_bytes()
    for folder in ("capi", "core", "include"):
        for path in sorted((source / folder).rglob("*")):
            relative = path.relative_to(source)
            skipped = {"testdata", "ctest", "examples", "cmd"} & set(relative.parts)
            if skipped or path.name.endswith("_test.go") or not path.is_file():
                continue
            yield str(relative), path.read_bytes()


def _tag(library: Path) -> str:
    """The platform of the library: the newest glibc symbol that it asks for decides."""
    data = library.read_bytes()
    machine = {62: "x86_64", 183: "aarch64"}.get(int.from_bytes(data[18:20], "little"), "")
    if data[:4] != b"\x7fELF" or not machine:
        raise SystemExit(f"agent-x0x: {library} is not a library for this platform")
    found = re.findall(rb"\0GLIBC_2\.(\d+)(?:\.\d+)?(?=\0)", data)
    minor = max([17, *map(int, found)])  # pip knows no tag below manylinux_2_17 (2014)
    return f"py3-none-manylinux_2_{minor}_{machine}"


# ----------------------------------------------------------------------------- wheel


def _package() -> Iterator[tuple[str, bytes]]:
    folder = HERE / "x0x"
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".pyi") or path.name == "py.typed":
            yield str(path.relative_to(folder)), path.read_bytes()


def _write_wheel(folder: str, project: dict[str, Any], tag: str, files: dict[str, bytes]) -> str:
    base = f"agent_x0x-{project['version']}"
    info = f"{base}.dist-info"
    files = dict(files)
    for name, data in _licences().items():
        files[f"{info}/licenses/{name}"] = data
    files[f"{info}/METADATA"] = _metadata(project)
    files[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: agent-x0x\n"
        f"Root-Is-Purelib: false\nTag: {tag}\n"
    ).encode()
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for name, data in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(data)))
    rows.writerow((f"{info}/RECORD", "", ""))
    files[f"{info}/RECORD"] = record.getvalue().encode()
    wheel = Path(folder) / f"{base}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        # The metadata last, as the format recommends.
        for name in sorted(files, key=lambda n: (n.startswith(info), n)):
            entry = zipfile.ZipInfo(name, _date())
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name.endswith(".so") else 0o644) << 16
            archive.writestr(entry, files[name])
    return wheel.name


def _date() -> tuple[int, int, int, int, int, int]:
    import time

    year, month, day, hour, minute, second = time.gmtime(EPOCH)[:6]
    return year, month, day, hour, minute, second


def _licences() -> dict[str, bytes]:
    found = {}
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        for folder in (HERE.parent, HERE):
            if (folder / name).is_file():
                found[name] = (folder / name).read_bytes()
                break
    return found


def _metadata(project: dict[str, Any]) -> bytes:
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"Requires-Python: {project['requires-python']}",
        "License: MIT OR Apache-2.0",
        f"Keywords: {','.join(project['keywords'])}",
        f"Project-URL: Repository, {project['repository']}",
        *(f"Classifier: {c}" for c in project["classifiers"]),
        *(f"License-File: {name}" for name in _licences()),
        "Description-Content-Type: text/markdown",
    ]
    readme = HERE / "README.md"
    body = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    return ("\n".join(lines) + "\n\n" + body).encode()


def _project() -> dict[str, Any]:
    """The few fields of pyproject.toml that are needed; Python 3.10 has no TOML reader."""
    text = (HERE / "pyproject.toml").read_text(encoding="utf-8")

    def one(key: str) -> str:
        match = re.search(rf'^{key} = "([^"]*)"$', text, re.MULTILINE)
        if match is None:
            raise SystemExit(f"agent-x0x: pyproject.toml has no {key}")
        return match.group(1)

    def many(key: str) -> list[str]:
        match = re.search(rf"^{key} = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
        return re.findall(r'"([^"]*)"', match.group(1)) if match else []

    return {
        "name": one("name"),
        "version": one("version"),
        "description": one("description"),
        "requires-python": one("requires-python"),
        "repository": one("Repository"),
        "keywords": many("keywords"),
        "classifiers": many("classifiers"),
    }
