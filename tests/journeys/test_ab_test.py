"""The example program and its picture, against a running service."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from httpx2 import Client

from tests.journeys.conftest import Service

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
BRIEF = ("--least", "0.1", "--pause", "0.1")


def run(service: Service, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / program, *arguments, "--url", service.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def experiment(api: Client, key: str) -> dict[str, object]:
    found: dict[str, object] = api.get("experiments", params={"key": key}).json()["items"][0]
    return found


def test_a_better_version_is_shipped_and_its_run_drawn(service: Service, api: Client):
    ran = run(service, "ab_test.py", "better-router", "--lift", "0.25", *BRIEF)
    drawn = run(service, "plot_experiment.py", "better-router-2.0")
    shown = experiment(api, "better-router-2.0")
    shapes = {element.get("class") for element in ET.fromstring(drawn.stdout).iter()}

    assert ran.returncode == 0, ran.stderr
    assert (shown["conclusion"], shown["serves"]) == ("ship", "2.0.0")
    assert "Simulated users" in ran.stdout
    assert str(shown["recommendation"]) in ran.stdout
    assert "2.0.0 answers all users" in ran.stdout
    assert {"interval", "effect", "ship"} <= shapes
    assert "ship after" in drawn.stdout


def test_a_worse_version_is_not(service: Service, api: Client):
    ran = run(service, "ab_test.py", "worse-router", "--lift", "-0.3", *BRIEF)
    shown = experiment(api, "worse-router-2.0")

    assert ran.returncode == 0, ran.stderr
    assert (shown["conclusion"], shown["serves"]) in {
        ("keep_control", "1.0.0"),
        ("futile", "1.0.0"),
    }
    assert "1.0.0 answers all users" in ran.stdout


@pytest.mark.parametrize(
    ("program", "name", "said"),
    [
        ("ab_test.py", "taken-router", "taken-router"),
        ("plot_experiment.py", "absent", "no experiment has the key absent"),
    ],
)
def test_what_is_wrong_is_said(service: Service, api: Client, program: str, name: str, said: str):
    api.post("models/taken-router/versions", json={"version": "1.0.0"})
    ran = run(service, program, name)

    assert ran.returncode == 1
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("program", ["ab_test.py", "plot_experiment.py"])
def test_a_service_that_does_not_answer_is_said(program: str):
    ran = subprocess.run(
        [sys.executable, EXAMPLES / program, "some-model", "--url", "http://127.0.0.1:1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1
    assert "no answer from http://127.0.0.1:1" in ran.stderr
