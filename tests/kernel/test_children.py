"""Children: exactly the environment they are given, bounded logs, nobody left behind, no stranger killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from lakebed.kernel import children as children_module
from lakebed.kernel.children import Children, start_time

ENV = {"PATH": os.environ["PATH"], "ONLY": "this"}
SLEEPER = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(60)"]


def is_gone(pid: int) -> bool:
    return start_time(pid) is None


async def ready(child: children_module.Child) -> None:
    assert child.process.stdout is not None
    assert await asyncio.wait_for(child.process.stdout.readline(), 20) == b"up\n"


async def test_a_child_gets_exactly_its_environment_and_its_errors_are_logged(tmp_path: Path) -> None:
    children = Children(tmp_path / "children")
    code = "import os, sys; print(sorted(os.environ), flush=True); print('oops', file=sys.stderr); sys.exit(3)"
    child = await children.spawn("c", [sys.executable, "-S", "-c", code], environment=ENV, working_directory=tmp_path)
    assert child.process.stdout is not None
    told = await child.process.stdout.read()
    assert b"'ONLY'" in told
    assert b"'HOME'" not in told
    assert await child.wait() == 3
    assert not child.alive
    assert (tmp_path / "children" / "c.log").read_text() == "oops\n"
    assert list((tmp_path / "children").glob("*.pid")) == []
    child.kill()  # long gone: nothing happens
    await child.stop()


async def test_a_log_that_grew_is_put_aside_once(tmp_path: Path) -> None:
    children = Children(tmp_path)
    (tmp_path / "c.log").write_bytes(b"x" * ((8 << 20) + 1))
    child = await children.spawn("c", [sys.executable, "-S", "-c", ""], environment=ENV)
    await child.wait()
    assert (tmp_path / "c.log.1").stat().st_size == (8 << 20) + 1
    assert (tmp_path / "c.log").stat().st_size == 0


async def test_stop_all_ends_children_and_grandchildren_even_stubborn_ones(tmp_path: Path) -> None:
    children = Children(tmp_path)
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "grand = subprocess.Popen(['sleep', '60']); print(grand.pid, flush=True); print('up', flush=True); time.sleep(60)"
    )
    polite = await children.spawn("polite", SLEEPER, environment=ENV)
    rude = await children.spawn("rude", [sys.executable, "-S", "-c", stubborn], environment=ENV)
    assert rude.process.stdout is not None
    grand = int(await rude.process.stdout.readline())
    await ready(polite)
    await ready(rude)
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(rude.stop(grace_seconds=0.2), 10)
    await children.stop_all()
    assert asyncio.get_running_loop().time() - began < 5
    assert is_gone(polite.pid)
    assert is_gone(rude.pid)
    for _ in range(100):
        if is_gone(grand):
            break
        await asyncio.sleep(0.02)
    assert is_gone(grand)
    assert list(tmp_path.glob("*.pid")) == []


async def test_orphans_are_killed_and_strangers_are_not(tmp_path: Path) -> None:
    orphan = subprocess.Popen(SLEEPER, stdout=subprocess.PIPE, start_new_session=True)
    stranger = subprocess.Popen(SLEEPER, stdout=subprocess.PIPE, start_new_session=True)
    try:
        (tmp_path / f"sql.{orphan.pid}.pid").write_text(f"{orphan.pid} {start_time(orphan.pid)}")
        (tmp_path / f"sql.{stranger.pid}.pid").write_text(f"{stranger.pid} 12345")  # the pid was given out again
        (tmp_path / "half.1.pid").write_text("")
        (tmp_path / "gone.999999.pid").write_text("999999 77")
        assert Children(tmp_path).reap_orphans() == 1
        assert orphan.wait(10) == -signal.SIGKILL
        assert stranger.poll() is None
        assert list(tmp_path.glob("*.pid")) == []
    finally:
        for process in (orphan, stranger):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    child = (
        "from lakebed.kernel.children import die_with_parent; die_with_parent();"
        "import time; print('up', flush=True); time.sleep(60)"
    )
    parent = (
        "import subprocess, sys, time;"
        f"c = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE);"
        "c.stdout.readline(); print(c.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    for _ in range(500):
        if is_gone(pid):
            return
        asyncio.run(asyncio.sleep(0.01))
    raise AssertionError("the child outlived its parent")
