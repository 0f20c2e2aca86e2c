"""The container image and the compose file: what must hold of them, short of building them."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from typer.testing import CliRunner

from turnout.cli.app import app
from turnout.settings import Settings

ROOT = Path(__file__).parent.parent
STAGES = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").split("\nFROM ")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
    "services"
]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "turnout"}


def instruction(name: str) -> str:
    """The last one of that name in the stage that becomes the image."""
    found: list[str] = re.findall(rf"^{name}\s+(.+)$", STAGES[-1], re.MULTILINE)
    return found[-1]


def command(service: dict[str, Any]) -> list[str]:
    given = service["command"]
    return given.split() if isinstance(given, str) else given


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(json.loads(instruction("CMD")), id="the image"),
        *(pytest.param(command(service), id=name) for name, service in OURS.items()),
    ],
)
def test_what_is_run_is_a_command_that_there_is(words: list[str]):
    result = CliRunner().invoke(app, [*words, "--help"])

    assert result.exit_code == 0, result.output
    assert json.loads(instruction("ENTRYPOINT")) == ["turnout"]


def test_images_stay_on_a_version():
    images = [STAGES[1].split()[0], STAGES[2].split()[0], SERVICES["postgres"]["image"]]

    assert STAGES[0].strip() == "ARG PYTHON=3.13"
    assert images == ["python:${PYTHON}-slim", "python:${PYTHON}-slim", "postgres:18"]


def test_only_what_the_lock_pins_and_verifies_is_installed():
    installs = re.findall(r"uv pip install (.+)$", STAGES[1], re.MULTILINE)

    assert installs == [
        "--require-hashes --constraint requirements.lock --requirement pyproject.toml --extra otel",
        "--no-deps .",
    ]


def test_the_build_sees_what_it_copies():
    admitted = (ROOT / ".dockerignore").read_text().split()
    copied = [
        source
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", STAGES[1], re.MULTILINE)
        for source in sources.split()
    ]

    assert admitted[0] == "*"
    assert {f"!{source}" for source in copied} <= set(admitted)
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_runs_as_a_user_who_owns_its_data_only():
    user, group = instruction("USER").split(":")
    (data_dir,) = re.findall(r"TURNOUT_DATA_DIR=(\S+)", STAGES[-1])

    assert int(user) >= 10_000
    assert int(group) >= 10_000
    assert f"--uid {user} " in STAGES[-1]
    assert f"--owner turnout --group turnout --mode 0750 {data_dir}\n" in STAGES[-1]
    assert OURS["api"]["volumes"] == [f"models:{data_dir}"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_write_and_gain_nothing(name: str):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name == "postgres" or service["cap_drop"] == ["ALL"]


def test_only_this_machine_reaches_the_replicas_and_nobody_the_database():
    published = {name: service.get("ports", []) for name, service in SERVICES.items()}
    (ports,) = published.pop("api")
    assert published.pop("worker") == ["127.0.0.1:9100:9100"]
    match = re.fullmatch(r"127\.0\.0\.1:(\d+)-(\d+):8000", ports)

    assert match is not None
    assert int(match[2]) - int(match[1]) + 1 == SERVICES["api"]["deploy"]["replicas"] == 2
    assert not any(published.values())


def test_services_start_in_order():
    order = {name: service.get("depends_on") for name, service in SERVICES.items()}

    migrated = {"migrate": {"condition": "service_completed_successfully"}}
    assert order == {
        "postgres": None,
        "migrate": {"postgres": {"condition": "service_healthy"}},
        "api": migrated,
        "worker": migrated,
    }
    assert "pg_isready" in SERVICES["postgres"]["healthcheck"]["test"]
    assert "healthcheck" not in SERVICES["api"], "the image's own check is the one for the API"


@pytest.mark.parametrize("name", OURS)
def test_the_environment_holds_settings_that_there_are(name: str):
    environment = OURS[name]["environment"]

    assert set(environment) <= {f"TURNOUT_{field.upper()}" for field in Settings.model_fields}


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", True, id="ready"),
        pytest.param(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", False, id="not ready"),
        pytest.param(b"", False, id="hangs up"),
    ],
)
async def test_the_health_check_asks_the_api(answer: bytes, healthy: bool):
    async def api(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(answer)
        writer.close()

    asked: list[bytes] = []
    _, flag, code = json.loads("[" + instruction("HEALTHCHECK").split("CMD [")[1])
    server = await asyncio.start_server(api, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        probe = await asyncio.create_subprocess_exec(
            sys.executable, flag, code.replace("8000", str(port)), stderr=asyncio.subprocess.DEVNULL
        )
        status = await probe.wait()

    assert asked == [b"GET /readyz HTTP/1.1\r\n"]
    assert (status == 0) is healthy
