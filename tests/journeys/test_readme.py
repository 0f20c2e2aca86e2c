"""The README's five minutes, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from httpx2 import Client

from tests.journeys.conftest import Service

ROOT = Path(__file__).parent.parent.parent
BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

# A refusal must end the script, and commands are found where this suite was installed.
PREAMBLE = """
set -euo pipefail
curl() { command curl --fail-with-body "$@"; }
"""


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's session needs curl")
def test_the_five_minutes_of_the_readme(service: Service, api: Client, tmp_path: Path):
    subprocess.run(
        [sys.executable, ROOT / "examples" / "train.py", tmp_path / "examples" / "models"],
        check=True,
        capture_output=True,
    )
    commands = tmp_path / ".venv" / "bin"
    commands.parent.mkdir()
    commands.symlink_to(Path(sys.executable).parent)
    script = PREAMBLE + "\n".join(BLOCKS).replace("http://127.0.0.1:8000", service.url)

    ran = subprocess.run(
        ["bash"],
        input=script,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TURNOUT_URL": service.url},
        capture_output=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    rollouts = api.get("rollouts", params={"model": "tumor-screening"}).json()["items"]
    ended = {(rollout["candidate"], rollout["phase"]) for rollout in rollouts}
    assert ("2.0.0", "succeeded") in ended
    split = api.get("models/tumor-screening/split").json()
    assert [variant["version"] for variant in split["variants"]] == ["1.0.0"]
