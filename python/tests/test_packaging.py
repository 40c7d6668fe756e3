"""The wheel, the source archive, types, and that everything agrees on one version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import PACKAGE

import x0x

sys.path.insert(0, str(PACKAGE / "_build"))
import backend

ROOT = PACKAGE.parent
WHEEL = re.compile(r"agent_x0x-0\.3\.0-py3-none-manylinux_2_\d+_(x86_64|aarch64)\.whl")


@pytest.fixture
def prebuilt(monkeypatch: pytest.MonkeyPatch) -> str:
    library = os.environ.get("X0X_LIBRARY") or str(PACKAGE / "x0x" / "libx0x.so")
    monkeypatch.setenv("X0X_PREBUILT", library)
    return library


def test_one_version_everywhere() -> None:
    pyproject = (PACKAGE / "pyproject.toml").read_text()
    assert f'version = "{x0x.__version__}"' in pyproject
    go = (ROOT / "core" / "x0x" / "doc.go").read_text()
    assert f'Version = "{x0x.__version__}"' in go
    assert x0x.build_info().startswith(f"x0x {x0x.__version__} ")


def test_the_wheel(tmp_path: Path, prebuilt: str) -> None:
    name = backend.build_wheel(str(tmp_path))
    assert WHEEL.fullmatch(name)
    with zipfile.ZipFile(tmp_path / name) as wheel:
        assert wheel.testzip() is None
        names = wheel.namelist()
        info = "agent_x0x-0.3.0.dist-info"
        sources = {f"x0x/{p.name}" for p in (PACKAGE / "x0x").glob("*.py")}
        assert set(names) == {
            *sources,
            "x0x/py.typed",
            "x0x/libx0x.so",
            *(f"{info}/{n}" for n in ("METADATA", "WHEEL", "RECORD")),
            *(f"{info}/licenses/LICENSE-{n}" for n in ("MIT", "APACHE")),
        }
        assert wheel.read("x0x/libx0x.so") == Path(prebuilt).read_bytes()
        assert wheel.getinfo("x0x/libx0x.so").external_attr >> 16 == 0o755
        assert b"Root-Is-Purelib: false\nTag: " in wheel.read(f"{info}/WHEEL")
        metadata = wheel.read(f"{info}/METADATA").decode()
        for line in ("Name: agent-x0x", "Version: 0.3.0", "Requires-Python: >=3.10"):
            assert f"\n{line}\n" in metadata
        assert "Requires-Dist" not in metadata
        record = wheel.read(f"{info}/RECORD").decode().splitlines()
        assert len(record) == len(names)


def test_a_wheel_is_reproducible(tmp_path: Path, prebuilt: str) -> None:
    contents = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        name = backend.build_wheel(str(tmp_path / folder))
        contents.append((tmp_path / folder / name).read_bytes())
    assert contents[0] == contents[1]


def test_the_tag_is_read_from_the_library(tmp_path: Path) -> None:
    def tag(*symbols: bytes) -> str:
        elf = bytearray(64)
        elf[:4], elf[18:20] = b"\x7fELF", (62).to_bytes(2, "little")
        file = tmp_path / "lib.so"
        file.write_bytes(bytes(elf) + b"\0" + b"\0".join(symbols) + b"\0")
        return backend._tag(file)

    assert tag(b"GLIBC_2.2.5", b"GLIBC_2.14") == "py3-none-manylinux_2_17_x86_64"
    assert tag(b"GLIBC_2.2.5", b"GLIBC_2.34", b"GLIBC_2.9") == "py3-none-manylinux_2_34_x86_64"
    (tmp_path / "text").write_text("not a library, but long enough to look")
    with pytest.raises(SystemExit, match="not a library for this platform"):
        backend._tag(tmp_path / "text")


def test_the_library_runs_on_old_systems(prebuilt: str) -> None:
    assert backend._tag(Path(prebuilt)) == "py3-none-manylinux_2_17_x86_64"


def test_the_source_archive_holds_what_it_is_built_from(tmp_path: Path) -> None:
    name = backend.build_sdist(str(tmp_path))
    assert name == "agent_x0x-0.3.0.tar.gz"
    with tarfile.open(tmp_path / name) as tar:
        tar.extractall(tmp_path, filter="data") if hasattr(
            tarfile, "data_filter"
        ) else tar.extractall(tmp_path)
    top = tmp_path / "agent_x0x-0.3.0"
    for file in (
        "PKG-INFO",
        "pyproject.toml",
        "README.md",
        "LICENSE-MIT",
        "x0x/__init__.py",
        "x0x/py.typed",
        "_build/backend.py",
        "go/go.mod",
        "go/go.sum",
        "go/capi/abi.c",
        "go/capi/x0x.map",
        "go/include/x0x.h",
        "go/core/x0x/agent.go",
    ):
        assert (top / file).is_file(), file
    assert not list(top.rglob("*_test.go")) and not list(top.rglob("*.pyc"))
    assert not list(top.rglob("*.so"))
    # It is enough to build from: Go finds every package and file that the library needs.
    environment = {**os.environ, "GOTOOLCHAIN": backend.GO_TOOLCHAIN, "GOFLAGS": "-mod=mod"}
    result = subprocess.run(
        ["go", "list", "-deps", "-e", "-f", "{{with .Error}}{{.}}{{end}}", "./capi"],
        cwd=top / "go",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


def test_without_go_there_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("X0X_PREBUILT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="needs Go 1.21 or later and a C compiler"):
        backend.build_wheel(str(tmp_path))
    monkeypatch.setattr(backend, "HERE", tmp_path / "nowhere")
    with pytest.raises(SystemExit, match="no Go source"):
        backend._library(tmp_path)
    monkeypatch.setenv("X0X_PREBUILT", "/nowhere/libx0x.so")
    with pytest.raises(SystemExit, match="X0X_PREBUILT names /nowhere/libx0x.so"):
        backend._library(tmp_path)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SystemExit, match="darwin is not supported yet"):
        backend._library(tmp_path)


@pytest.mark.parametrize("editable", [False, True])
def test_pip_installs_it_offline(tmp_path: Path, prebuilt: str, editable: bool) -> None:
    source = PACKAGE
    if editable:  # puts the library beside the sources: beside copies of them
        source = tmp_path / "python"
        shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        for name in ("LICENSE-MIT", "LICENSE-APACHE"):
            shutil.copy(ROOT / name, tmp_path)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    environment = {n: v for n, v in os.environ.items() if n not in ("X0X_LIBRARY", "PYTHONPATH")}

    def run(*args: str) -> str:
        result = subprocess.run(
            [python, *args], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    run("-m", "pip", "install", "--no-index", "-q", *(["-e"] if editable else []), str(source))
    assert "self-test passed" in run("-m", "x0x")
    where = run("-c", "import x0x; print(x0x.__file__)")
    assert where.startswith(str(source if editable else tmp_path / "venv"))
    assert "agent-x0x" in run("-m", "pip", "list")
    run("-m", "pip", "uninstall", "-q", "-y", "agent-x0x")


def test_types_of_a_program(tmp_path: Path) -> None:
    good = tmp_path / "good.py"
    good.write_text(
        "import x0x, x0x.sync\n"
        "async def main() -> None:\n"
        "    async with x0x.Agent(name='alice', dial_timeout=1.5) as a:\n"
        "        sub = await a.subscribe('t', policy=x0x.DropPolicy.NEWEST)\n"
        "        async for m in sub:\n"
        "            level: x0x.TrustLevel = m.trust_level\n"
        "            data: bytes = m.payload\n"
        "        r: x0x.Receipt = await a.send_direct('00' * 32, b'', timeout=1)\n"
        "        many: list[x0x.DirectMessage] = await a.recv_direct_many(10)\n"
        "        await a.publish('t', b'', wait=False)\n"
        "        a.set_topic_priority('t', x0x.TopicPriority.HIGH)\n"
        "        away: list[int | None] = [l.distance for m in a.topic_mesh() for l in m.links]\n"
        "        known: list[x0x.KnownPeer] = a.known_peers()\n"
        "        near: list[x0x.AgentId] = a.neighbors()\n"
        "        forwarded: int = a.gossip_stats()['forwarded']\n"
        "        who: list[x0x.PresenceEntry] = await a.presence_foaf(ttl=3, timeout=1)\n"
        "        found: x0x.PresenceEntry | None = await a.find_presence('00' * 32)\n"
        "def plain() -> None:\n"
        "    with x0x.sync.Agent.builder().with_name('x').build() as a:\n"
        "        for m in a.subscribe('t'):\n"
        "            x: int = m.timestamp\n"
    )
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import x0x\n"
        "x0x.Agent(nme='alice')\n"
        "x0x.Agent(dial_timeout='1')\n"
        "async def main(a: x0x.Agent) -> None:\n"
        "    await a.publish('t', 'text')\n"
        "    x: str = await a.recv_direct()\n"
        "    await a.send_direct(7, b'')\n"
    )

    def mypy(file: Path) -> str:
        return subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", file],
            cwd=tmp_path,
            env={**os.environ, "MYPYPATH": str(PACKAGE)},
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    assert "Success" in mypy(good), mypy(good)
    found = re.findall(r"bad\.py:(\d+): error", mypy(bad))
    assert sorted(set(found)) == ["2", "3", "5", "6", "7"]


def test_the_package_is_strictly_typed() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=PACKAGE, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
