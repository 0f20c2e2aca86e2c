"""The commands of the README and of the guides, run as they stand there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from httpx2 import Client

from tests.journeys.conftest import Service
from tests.processes import free_port, listening

ROOT = Path(__file__).parent.parent.parent

# A refusal must end the script, and commands are found where this suite was installed.
PREAMBLE = """
set -euo pipefail
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
curl() { command curl --fail-with-body "$@"; }
"""

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the documents use curl")


def follow(document: str, service: Service, folder: Path) -> str:
    """Run all bash blocks of a document, one after the other, and answer what they print."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    commands = "\n".join(blocks).replace("http://127.0.0.1:8000", service.url)
    (folder / ".venv").symlink_to(sys.prefix)
    ran = subprocess.run(
        ["bash"],
        input=PREAMBLE + commands.replace("8001", str(free_port())),
        text=True,
        cwd=folder,
        env={**os.environ, "TURNOUT_URL": service.url},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


def train(folder: Path) -> None:
    subprocess.run(
        [sys.executable, ROOT / "examples" / "train.py", folder / "examples" / "models"],
        check=True,
        capture_output=True,
    )


def test_the_five_minutes_of_the_readme(service: Service, api: Client, tmp_path: Path):
    train(tmp_path)
    follow("README.md", service, tmp_path)
    rollouts = api.get("rollouts", params={"model": "tumor-screening"}).json()["items"]
    ended = {(rollout["candidate"], rollout["phase"]) for rollout in rollouts}
    split = api.get("models/tumor-screening/split").json()

    assert ("2.0.0", "succeeded") in ended
    assert [variant["version"] for variant in split["variants"]] == ["1.0.0"]


def test_the_guide_to_experiments(service: Service, api: Client, tmp_path: Path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    printed = follow("docs/guides/experiments.md", service, tmp_path)
    first, second = (
        api.get("experiments", params={"key": key}).json()["items"][0]
        for key in ("ticket-router-2.0", "router-3")
    )

    assert (first["conclusion"], first["serves"]) == ("ship", "2.0.0")
    assert (second["status"], second["serves"]) == ("concluded", "2.0.0")
    assert first["recommendation"] in printed


def test_the_guide_to_rollouts(service: Service, api: Client, tmp_path: Path):
    train(tmp_path)
    printed = follow("docs/guides/rollouts.md", service, tmp_path)
    rollouts = api.get("rollouts", params={"model": "checkup", "limit": 500}).json()["items"]
    ended = [(rollout["candidate"], rollout["phase"]) for rollout in reversed(rollouts)]
    split = api.get("models/checkup/split").json()

    assert ended == [
        ("1.0.0", "succeeded"),
        ("2.0.0", "succeeded"),
        ("2.1.0", "rolled_back"),
        ("1.0.0", "aborted"),
        ("1.0.0", "rolled_back"),
        ("1.0.0", "succeeded"),
        ("2.0.0", "succeeded"),
    ]
    assert [variant["version"] for variant in split["variants"]] == ["2.0.0"]
    assert "error_rate at most 0.1: harm shown: 100 % against the limit 10 %" in printed
    assert "come out the same" in printed


def test_the_guide_to_monitoring(service: Service, api: Client, tmp_path: Path):
    printed = follow("docs/guides/monitoring.md", service, tmp_path)
    drift, alert = api.get("alerts", params={"model": "ticket-sorter"}).json()["items"]
    split = api.get("models/ticket-sorter/split").json()

    assert (alert["state"], alert["severity"]) == ("resolved", "critical")
    assert [variant["version"] for variant in split["variants"]] == ["1.0.0"]
    assert "error_rate 40.0% over 100 predictions" in printed
    assert "looking into the timeouts" in printed
    assert "did not share the traffic" in printed
    assert (drift["kind"], drift["data"]["features"]) == ("drift", ["length"])
    assert (drift["state"], drift["data"]["whose"]) == ("firing", "untold")


def test_the_quick_start(service: Service, tmp_path: Path):
    printed = follow("docs/guides/quick-start.md", service, tmp_path)
    counts = [(int(n), version) for n, version in re.findall(r"(\d+) \S+:\"(v\d)\"", printed)]

    assert sum(n for n, _ in counts) == 200
    assert counts[0][1] == "v1"
    assert 125 <= counts[0][0] <= 195
    assert '"demo":true' in printed
    assert '"recommendation":' in printed
    assert '"accepted":1' in printed


def test_the_guide_to_the_python_client(service: Service, api: Client, tmp_path: Path):
    """Its Python is one program, run first; the examples find the service by the environment."""
    guide = (ROOT / "docs/guides/python-client.md").read_text()
    program = "\n".join(re.findall(r"```python\n(.*?)```", guide, re.DOTALL))
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TURNOUT_URL": service.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = ran.stdout
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    printed = follow("docs/guides/python-client.md", service, tmp_path)
    sent, *scored = map(json.loads, re.findall(r"{.*?}", printed))

    assert "Recordings(taken=3, refused=0, shed=0, waiting=0)" in told
    assert "\nspam 2.0.0 candidate None" in told or "\nham 1.0.0 baseline None" in told
    assert "spam-filter customers complain" in told
    assert "urn:turnout:problem:version-exists" in told
    assert (sent["team"], sent["version"]) == ("billing", "1.0.0")
    assert [ticket["team"] for ticket in scored] == ["billing", "reception", "support", "reception"]


def test_the_classic_paths(service: Service, api: Client, tmp_path: Path):
    printed = follow("docs/guides/classic-paths.md", service, tmp_path)
    current = api.get("versioning/api/models/versions/current").json()

    assert current["version"] == "3.0.0"
    assert '"winner":"treatment","winning_version":"3.0.0"' in printed
    assert '"statistical_significance":true' in printed
    assert '"from_version":"2.0.0","to_version":"1.0.0"' in printed
    assert '"consecutive_failures":3' in printed


def test_the_guide_to_security(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On a service of its own: the first key of the guide closes it."""
    data_dir, folder = tmp_path / "data", tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(data_dir))
    monkeypatch.setenv("COLUMNS", "200")
    with listening("serve", data_dir) as (url, process), Client() as client:
        printed = follow("docs/guides/security.md", Service(url, data_dir, process), folder)
        answer = client.get(f"{url}/api/v1/models")

    assert '"role":"admin"' in printed
    assert "checkout-2" in printed
    assert re.search(r"checkout \(trn_[0-9a-f]{16}\) is refused from now on", printed)
    assert answer.status_code == 401


PLANS = [
    plan
    for block in re.findall(
        r"```json\n(.*?)```", (ROOT / "docs/guides/rollouts.md").read_text(), re.DOTALL
    )
    if "candidate" in (plan := json.loads(block))
]


@pytest.mark.parametrize("number", range(len(PLANS)))
def test_each_plan_of_the_guide_to_rollouts_works_as_sent(api: Client, number: int):
    model = f"models/plan-{number}"
    for version in ("1.0.0", "2.0.0"):
        api.post(f"{model}/versions", json={"version": version}).raise_for_status()
    api.post(f"{model}/rollouts", json={"candidate": "1.0.0"}).raise_for_status()
    forecast = api.post(f"{model}/rollouts/plan", json=PLANS[number])
    started = api.post(f"{model}/rollouts", json=PLANS[number])

    assert forecast.json()["refusal"] is None
    assert (started.status_code, started.json()["candidate"]) == (201, "2.0.0")
