"""The whole demo, with a real service, a real database, real models and real traffic."""

import asyncio
import re
import signal
import socket
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from turnout.demo import service
from turnout.demo.models import Pace
from turnout.demo.run import run
from turnout.demo.service import DemoFailed
from turnout.demo.workplace import workplace

QUICK = Pace(stages=((30, 1), (100, 1)), label_delay=0.2)
PATIENCE = 120.0


@pytest.mark.parametrize(
    ("swapped", "first", "second"),
    [
        pytest.param(False, "succeeded", "rolled back", id="the good version comes first"),
        pytest.param(True, "rolled back", "succeeded", id="the bad version comes first"),
    ],
)
def test_the_better_model_goes_live_and_the_broken_one_is_rolled_back(
    tmp_path: Path, swapped: bool, first: str, second: str
):
    out = StringIO()

    status = run(swapped=swapped, data_dir=tmp_path, pace=QUICK, console=Console(file=out))

    text = out.getvalue()
    assert status == 0, text
    assert f"1.1.0 {first} at" in text
    assert f"1.2.0 {second} at" in text
    assert " 0 failed" in text
    with workplace(tmp_path):
        pass  # it is not in use any more


async def test_an_interrupt_amid_the_traffic_stops_everything(tmp_path: Path):
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "turnout", "demo", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    assert demo.stdout is not None
    told = ""
    async with asyncio.timeout(PATIENCE):
        while "users send" not in told:
            line = await demo.stdout.readline()
            assert line, told
            told += line.decode()

    demo.send_signal(signal.SIGINT)
    async with asyncio.timeout(PATIENCE):
        await demo.stdout.read()
        status = await demo.wait()

    assert status == 128 + signal.SIGINT
    with workplace(tmp_path / ".turnout" / "demo"):
        pass  # nothing uses its database any more
    port = re.search(r"serving on http://127.0.0.1:(\d+)", told)
    assert port is not None
    service.free_port(int(port[1]))


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("turnout.demo.run.EXTRA", ("sklearn", "a_package_nobody_has"))
    out = StringIO()

    assert run(data_dir=tmp_path / "demo", console=Console(file=out, width=120)) == 1

    assert "the demo needs a_package_nobody_has: pip install 'turnout[demo]'" in out.getvalue()
    assert not (tmp_path / "demo").exists()


def test_a_port_in_use_is_refused(tmp_path: Path):
    out = StringIO()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        status = run(data_dir=tmp_path, port=port, console=Console(file=out))

    assert status == 1
    assert f"port {port} cannot be used" in out.getvalue()


async def test_a_service_that_does_not_start_is_quoted(tmp_path: Path):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "stranger").touch()

    with pytest.raises(DemoFailed, match="ended with exit status 1") as failure:
        async with service.running(tmp_path, service.free_port()):
            pass

    assert "TURNOUT_DATABASE_URL" in str(failure.value)
