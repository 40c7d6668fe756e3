"""Whole processes: loading, exit, fork, signals, the command line, the examples."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import PACKAGE, WAIT, child_env, eventually, python

import x0x
from x0x.sync import Agent

LIBRARY = os.environ.get("X0X_LIBRARY", "")


# -- loading


def test_importing_loads_nothing() -> None:
    result = python(
        "import pathlib, x0x, x0x.sync\n"
        "maps = pathlib.Path('/proc/self/maps').read_text\n"
        "assert 'libx0x' not in maps()\n"
        "assert x0x.live_handles() == 0\n"
        "x0x.AgentId(bytes(32)); x0x.Agent.builder().with_name('a')\n"
        "assert 'libx0x' not in maps()\n"
        "x0x.build_info()\n"
        "assert 'libx0x' in maps()\n"
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("library", "says"),
    [
        ("/nowhere/libx0x.so", "X0X_LIBRARY names /nowhere/libx0x.so, which is not a file"),
        (__file__, "cannot be loaded"),
        ("/lib/x86_64-linux-gnu/libm.so.6", "is not libx0x"),
    ],
)
def test_a_wrong_library_is_explained(library: str, says: str) -> None:
    result = python("import x0x; x0x.Agent()", env={"X0X_LIBRARY": library})
    assert result.returncode == 1
    assert "x0x._errors.UnsupportedError" in result.stderr and says in result.stderr


def test_a_library_of_another_version_is_explained(tmp_path: Path) -> None:
    source = tmp_path / "old.c"
    source.write_text("unsigned x0x_abi_version(void) { return 7u << 16; }\n")
    library = tmp_path / "old.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    result = python("import x0x; x0x.Agent()", env={"X0X_LIBRARY": str(library)})
    assert "speaks version 7.0 of the C ABI; this package needs 1.x" in result.stderr


def test_a_package_without_library_is_explained(tmp_path: Path) -> None:
    copy = tmp_path / "x0x"
    copy.mkdir()
    for file in (PACKAGE / "x0x").glob("*.py"):
        (copy / file.name).write_bytes(file.read_bytes())
    result = python(
        "import x0x; x0x.Agent()", env={"X0X_LIBRARY": "", "PYTHONPATH": str(tmp_path)}
    )
    assert "was not built" in result.stderr and "pip install" in result.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("sys.platform = 'darwin'", "does not support this platform yet: darwin"),
        ("sys.platform = 'win32'", "does not support this platform yet: win32"),
        ("os.confstr = lambda name: None", "without glibc (musl?)"),
    ],
)
def test_unsupported_platforms_are_refused(change: str, says: str) -> None:
    result = python(
        f"import os, sys, x0x\n{change}\n"
        "try: x0x.Agent()\n"
        "except x0x.UnsupportedError as e: print(e.code, e)\n"
    )
    assert says in result.stdout and "X0X_E_UNSUPPORTED" in result.stdout


def test_a_subinterpreter_is_refused() -> None:
    code = "import x0x\ntry: x0x.Agent()\nexcept x0x.UnsupportedError as e: print(e, flush=True)\n"
    # Of the kind that shares everything: the isolated kind cannot even import ctypes.
    result = python(
        "try:\n"
        "    import _interpreters as m\n"  # since 3.13
        "    it = m.create('legacy')\n"
        "except ImportError:\n"
        "    import _xxsubinterpreters as m\n"
        "    it = m.create(isolated=False)\n"
        f"m.run_string(it, {code!r})\n"
    )
    assert "sub-interpreter" in result.stdout, result.stderr


def test_only_one_library_is_loaded_by_many_threads(where: dict[str, Any]) -> None:
    result = python(
        "import sys, threading, x0x\n"
        "from x0x.sync import Agent\n"
        "barrier = threading.Barrier(16)\n"
        "def run():\n"
        "    barrier.wait()\n"
        "    with Agent(runtime_dir=sys.argv[1], network_id=sys.argv[2]): pass\n"
        "threads = [threading.Thread(target=run) for _ in range(16)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "assert x0x.live_handles() == 0\n",
        *where.values(),
    )
    assert (result.returncode, result.stderr) == (0, "")


# -- exit

TRAFFIC = """
import asyncio, sys, os, threading
import x0x
where = dict(runtime_dir=sys.argv[1], network_id=sys.argv[2])

async def main():
    a, b = x0x.Agent(**where), x0x.Agent(**where)
    await a.join_network(); await b.join_network()
    await a.connect_to_agent(b.agent_id)
    sub = b.subscribe("t")
    async def send():
        while True:
            await a.send_direct(b.agent_id, b"x" * 100)
    async def publish():
        while True:
            await a.publish("t", b"y" * 100)
    tasks = [asyncio.ensure_future(f()) for f in (send, send, publish)]
    for _ in range(20):
        await b.recv_direct()
        await sub.recv()
    {end}

keep = asyncio.run(main())
"""

SYNC_TRAFFIC = """
import sys, threading
from x0x.sync import Agent
where = dict(runtime_dir=sys.argv[1], network_id=sys.argv[2])
a, b = Agent(**where), Agent(**where)
a.join_network(); b.join_network()
def send():
    while True:
        a.send_direct(b.agent_id, b"x" * 100)
def read():
    while True:
        b.recv_direct()
sub = b.subscribe("t")
for f in (send, send, read):
    threading.Thread(target=f, daemon=True).start()
for _ in range(20):
    a.publish("t", b"y")
    sub.recv()
{end}
"""


@pytest.mark.parametrize(
    ("program", "end", "code"),
    [
        (TRAFFIC, "return a, b", 0),  # agents open, loop closed
        (TRAFFIC, "sys.exit(3)", 3),
        (TRAFFIC, "raise KeyboardInterrupt", -2),
        (TRAFFIC, "await a.close(); await b.close()", 0),
        (TRAFFIC, "os._exit(4)", 4),
        (SYNC_TRAFFIC, "", 0),  # daemon threads in the library
        (SYNC_TRAFFIC, "sys.exit(3)", 3),
        (SYNC_TRAFFIC, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
    ],
    ids=lambda v: str(v)[:24] if not str(v).startswith("\n") else "",
)
def test_exit_while_traffic_flows(
    where: dict[str, Any], program: str, end: str, code: int
) -> None:
    for _ in range(3):
        result = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", program.format(end=end), *where.values()],
            env=child_env(),
            timeout=60,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode in (code, 130 if code == -2 else code), result.stderr
        for word in ("Fatal Python error", "SIGSEGV", "goroutine ", "panic"):
            assert word not in result.stderr, result.stderr


def test_exit_is_bounded_with_a_peer_that_is_gone(where: dict[str, Any]) -> None:
    with Agent(**where, inbox_messages=1) as b:
        b.join_network()
        program = (
            "import sys\nfrom x0x.sync import Agent\n"
            "a = Agent(runtime_dir=sys.argv[1], network_id=sys.argv[2])\n"
            "a.join_network()\n"
            "for i in range(2): a._core.send(a.agent_id.from_hex(sys.argv[3]), b'x', 0, 60.0)\n"
        )
        result = python(program, *where.values(), str(b.agent_id), timeout=20)
        assert (result.returncode, result.stderr) == (0, "")


# -- fork


def test_a_forked_child_gets_errors_and_the_parent_goes_on(where: dict[str, Any]) -> None:
    with Agent(**where) as a:
        a.join_network()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            report = []
            try:
                for call in (
                    lambda: Agent(**where),
                    lambda: a.publish("t", b"x"),
                    lambda: a.peers(),
                    lambda: a.subscribe("t"),
                    lambda: a.recv_direct(timeout=1),
                    x0x.build_info,
                ):
                    try:
                        call()
                        report.append("no error")
                    except x0x.ForkedError as e:
                        report.append(e.code)
                    except BaseException as e:
                        report.append(repr(e))
                a.close()
                report.append(str(x0x.live_handles()))
                report.append(a.peer_id()[:4])
            finally:
                os.write(write, "\n".join(report).encode())
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            report = pipe.read().splitlines()
        assert os.waitpid(pid, 0)[1] == 0
        assert report == ["X0X_E_FORKED"] * 6 + ["0", a.peer_id()[:4]]
        sub = a.subscribe("t")
        a.publish("t", b"still here")
        assert sub.recv(timeout=WAIT).payload == b"still here"


def test_fork_before_the_first_agent_is_fine(where: dict[str, Any]) -> None:
    program = """
import os, sys
from x0x.sync import Agent
where = dict(runtime_dir=sys.argv[1], network_id=sys.argv[2])
pids = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        with Agent(**where) as a:
            a.join_network()
            sub = a.subscribe("local:t")
            a.publish("local:t", b"x")
            assert sub.recv(timeout=10).payload == b"x"
        sys.exit(7)
    pids.append(pid)
assert [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pids] == [7, 7]
with Agent(**where) as a:
    a.join_network()
"""
    result = python(program, *where.values())
    assert (result.returncode, result.stderr) == (0, "")


def in_child(runtime_dir: str, network_id: str, to: str, results: Any) -> None:
    try:
        with Agent(runtime_dir=runtime_dir, network_id=network_id) as a:
            a.join_network()
            a.send_direct(to, b"from a child", timeout=WAIT)
        results.put("sent")
    except x0x.ForkedError:
        results.put("forked")


@pytest.mark.parametrize(
    ("method", "expected"), [("spawn", "sent"), ("forkserver", "sent"), ("fork", "forked")]
)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_multiprocessing(where: dict[str, Any], method: str, expected: str) -> None:
    context: Any = multiprocessing.get_context(method)
    with Agent(**where) as a:
        a.join_network()
        results = context.Queue()
        process = context.Process(target=in_child, args=(*where.values(), str(a.agent_id), results))
        process.start()
        if expected == "sent":
            assert a.recv_direct(timeout=WAIT).payload == b"from a child"
        assert results.get(timeout=WAIT) == expected
        process.join(WAIT)
        assert process.exitcode == 0
        results.close()
        results.join_thread()
        a.publish("t", b"the parent is unharmed")


def test_subprocesses_are_fine(where: dict[str, Any]) -> None:
    with Agent(**where) as a:
        a.join_network()
        for _ in range(5):
            result = subprocess.run(["echo", "hello"], capture_output=True, check=True)
            assert result.stdout == b"hello\n"
        assert os.system("exit 3") >> 8 == 3


# -- signals


def test_ctrl_c_ends_an_asyncio_program(where: dict[str, Any]) -> None:
    program = """
import asyncio, sys, x0x
async def main():
    async with x0x.Agent(runtime_dir=sys.argv[1], network_id=sys.argv[2]) as a:
        await a.join_network()
        sub = a.subscribe("t")
        print("ready", flush=True)
        await asyncio.gather(a.recv_direct(), sub.recv())
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", x0x.live_handles(), flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *where.values()],
        env=child_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT)
        assert (out, err, process.returncode) == ("interrupted 0\n", "", 0)
    finally:
        process.kill()
        process.wait()


def test_the_libraries_threads_take_no_signals(where: dict[str, Any]) -> None:
    with Agent(**where) as a:
        a.join_network()
        python_threads = {t.native_id for t in threading.enumerate()}
        unblocked = []
        for task in os.listdir("/proc/self/task"):
            status = Path(f"/proc/self/task/{task}/status").read_text()
            mask = int(status.split("SigBlk:")[1].split()[0], 16)
            blocked = {s for s in range(1, 32) if mask >> (s - 1) & 1}
            if int(task) not in python_threads and not {2, 10, 12, 15} <= blocked:
                unblocked.append(task)
        assert unblocked == []


def test_a_storm_of_signals(where: dict[str, Any]) -> None:
    count = 0

    def handler(number: int, frame: Any) -> None:
        nonlocal count
        count += 1

    old = signal.signal(signal.SIGUSR1, handler)
    stop = threading.Event()

    def storm() -> None:
        tasks = [int(t) for t in os.listdir("/proc/self/task")]
        while not stop.is_set():
            os.kill(os.getpid(), signal.SIGUSR1)
            for task in tasks[:4]:
                try:  # a thread of the library, mostly
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                except ProcessLookupError:
                    pass

    thread = threading.Thread(target=storm)
    try:
        with Agent(**where) as a, Agent(**where) as b:
            a.join_network()
            b.join_network()
            sub = b.subscribe("t")
            thread.start()
            for i in range(300):
                a.send_direct(b.agent_id, b"%d" % i, timeout=WAIT)
                a.publish("t", b"%d" % i)
                assert b.recv_direct(timeout=WAIT).payload == b"%d" % i
                assert sub.recv(timeout=WAIT).payload == b"%d" % i
            eventually(lambda: count > 100)
    finally:
        stop.set()
        if thread.ident is not None:
            thread.join()
        signal.signal(signal.SIGUSR1, old)


def test_limits_of_the_process_are_kept(where: dict[str, Any]) -> None:
    result = python(
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 4000))\n"
        "from x0x.sync import Agent\n"
        "with Agent(runtime_dir=sys.argv[1], network_id=sys.argv[2]):\n"
        "    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
        "with Agent(runtime_dir=sys.argv[1], network_id=sys.argv[2], keep_nofile=True):\n"
        "    pass\n",
        *where.values(),
    )
    assert result.stdout == "1000\n" and result.returncode == 0


def test_a_defect_in_the_library_stays_in_its_agent(where: dict[str, Any]) -> None:
    """With the build of the library that can panic on purpose."""
    root = PACKAGE.parent
    subprocess.run(["make", "-s", ".build/test/libx0x.so"], cwd=root, check=True)
    program = """
import asyncio, sys, x0x
from x0x import _abi
where = dict(runtime_dir=sys.argv[1], network_id=sys.argv[2])
async def main():
    async with x0x.Agent(**where) as a, x0x.Agent(**where) as other:
        fatal = asyncio.get_running_loop().create_future()
        a.on("fatal", fatal.set_result)
        sub = other.subscribe("t")
        waiting = asyncio.ensure_future(a.recv_direct())
        try:
            a._core.call_now(_abi.X0X_M_TEST_PANIC)
        except x0x.PanicError as e:
            print(e.code)
        print((await asyncio.wait_for(fatal, 10)).type)
        for call in (lambda: a.publish("t", b""), lambda: a.join_network()):
            try:
                await call()
            except x0x.PoisonedError as e:
                print(e.code)
        await other.publish("t", b"alive")
        print((await sub.recv(timeout=10)).payload_str())
        waiting.cancel()
asyncio.run(main())
print(x0x.live_handles())
"""
    result = python(
        program, *where.values(), env={"X0X_LIBRARY": str(root / ".build/test/libx0x.so")}
    )
    assert result.stdout.splitlines() == [
        "X0X_E_PANIC", "fatal", "X0X_E_POISONED", "X0X_E_POISONED", "alive", "0",
    ], result.stderr  # fmt: skip


def test_logs_appear_where_somebody_listens(where: dict[str, Any]) -> None:
    program = (
        "import logging, sys\n{setup}\n"
        "from x0x.sync import Agent\n"
        "where = dict(runtime_dir=sys.argv[1], network_id=sys.argv[2])\n"
        "with Agent(**where) as a, Agent(**where) as b:\n"
        "    a.join_network(); b.join_network(); a.connect_to_agent(b.agent_id)\n"
        "import threading; print([t.name for t in threading.enumerate()])\n"
    )
    silent = python(program.format(setup=""), *where.values())
    assert (silent.stderr, "x0x-log" in silent.stdout) == ("", False)
    loud = python(program.format(setup="logging.basicConfig(level=1)"), *where.values())
    assert "x0x-log" in loud.stdout and loud.returncode == 0
    assert ":x0x:" in loud.stderr


# -- the command line and the examples


def test_python_m_x0x() -> None:
    def command(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "x0x", *args],
            env=child_env(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert command("--version").stdout == f"x0x {x0x.__version__}\n"
    assert "Exit status 0" in command("--help").stdout
    result = command()
    assert result.returncode == 0, result.stderr
    assert "self-test passed" in result.stdout and f"x0x       {x0x.__version__}" in result.stdout
    assert "self-test" not in command("--no-self-test").stdout
    assert command("--nonsense").returncode == 2


@pytest.fixture
def examples_env(where: dict[str, Any], tmp_path: Path) -> dict[str, str]:
    """Examples say Agent() and mean it; here Agent() means a network of this test."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import x0x, x0x._core\n"
        "init = x0x._core.Core.__init__\n"
        f"where = {where!r}\n"
        "x0x._core.Core.__init__ = lambda self, options: init(self, {**where, **options})\n"
    )
    return child_env({"PYTHONPATH": f"{site}:{PACKAGE}"})


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("quickstart", ["connected: ", """says '{"type": "request"}'""", """says '{"type": "response"}'"""]),
        ("basic_agent", ["agent id    ", "listening on ", "connected to 0 peers"]),
        ("event_callbacks", ["connected: ", "peer joined: agent ", "disconnected: "]),
        ("pubsub_messaging", [f"message {i}" for i in range(1, 6)]),
        ("presence", ["online:  ", "listed:  1", "found:   yes, direct", "offline: "]),
        ("topic_mesh", ["'examples/mesh': high priority, 0 subscriptions, ", "  eager  subscribes ", "neighbours: ", "published 1, forwarded "]),
    ],
)
def test_examples(examples_env: dict[str, str], name: str, lines: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", PACKAGE / "examples" / f"{name}.py"],
        env=examples_env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    for line in lines:
        assert line in result.stdout, result.stdout
