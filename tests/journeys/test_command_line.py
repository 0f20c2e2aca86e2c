"""The operator's commands against a running service, and what they say when something is wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from httpx2 import Client
from typer.testing import CliRunner

from tests.journeys.conftest import Service
from tests.processes import free_port, start, wait_until
from turnout.cli.app import app


def under_way(service: Service, model: str) -> str:
    """The id of a canary of 2.0.0, in its first stage and looked at."""
    with Client(base_url=f"{service.url}/api/v1/", timeout=30) as api:
        for version in ("1.0.0", "2.0.0"):
            api.post(f"models/{model}/versions", json={"version": version}).raise_for_status()
        api.post(f"models/{model}/rollouts", json={"candidate": "1.0.0", "strategy": "replace"})
        started = api.post(f"models/{model}/rollouts", json={"candidate": "2.0.0"})
        identity: str = started.raise_for_status().json()["id"]
        wait_until(
            lambda: bool(api.get(f"rollouts/{identity}").json()["findings"]), "the first look"
        )
        return identity


def run(service: Service, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--url", service.url], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_a_rollout_from_the_command_line(service: Service):
    rollout = under_way(service, "churn-predictor")
    assert "churn-predictor" in run(service, "models")[1]
    assert "2.0.0" in run(service, "versions", "churn-predictor")[1]
    assert rollout in run(service, "rollouts")[1]

    status, shown = run(service, "rollout", rollout, "show")
    assert (status, "error_rate" in shown) == (0, True)
    status, said = run(service, "rollout", "churn-predictor", "promote", "--reason", "looks good")
    assert (status, "20 % candidate" in said) == (0, True)
    status, said = run(service, "rollout", "churn-predictor", "promote", "--expected-stage", "0")
    assert status == 1
    assert "look again" in said
    assert "paused" in run(service, "rollout", "churn-predictor", "pause")[1]
    assert "running" in run(service, "rollout", "churn-predictor", "resume")[1]
    status, said = run(
        service, "rollout", "churn-predictor", "rollback", "--reason", "customers complain"
    )
    assert (status, "customers complain" in said) == (0, True)
    status, story = run(service, "rollout", rollout, "watch")
    assert status == 1
    assert "rolled back" in story
    status, said = run(service, "rollout", rollout, "replay")
    assert (status, "come out the same" in said) == (0, True)


def test_aliases_and_cleanup(service: Service):
    with Client(base_url=f"{service.url}/api/v1/", timeout=30) as api:
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            api.post("models/aliased/versions", json={"version": version}).raise_for_status()

    assert run(service, "aliases", "list", "aliased") == (0, "aliased has no aliases\n")
    moved = "aliases", "set", "aliased", "champion"
    assert run(service, *moved, "1.0.0") == (0, "aliased@champion → 1.0.0\n")
    status, said = run(service, *moved, "2.0.0", "--expected", "3.0.0")
    assert (status, "1.0.0" in said) == (1, True)
    assert "champion" in run(service, "aliases", "list", "aliased")[1]
    old = "cleanup", "aliased", "--keep-last", "1", "--older-than", "0s"
    status, said = run(service, *old)
    assert (status, "would be deleted: 2.0.0" in said) == (0, True)
    assert "stays: 1.0.0" in said
    assert run(service, "aliases", "delete", "aliased", "champion", "--reason", "over")[0] == 0
    assert "deleted: 2.0.0, 1.0.0" in run(service, *old, "--delete", "--reason", "spring")[1]


def test_versions_side_by_side(service: Service):
    with Client(base_url=f"{service.url}/api/v1/", timeout=30) as api:
        for version, accuracy in (("1.0.0", 0.9), ("2.0.0", 0.8)):
            body = {"version": version, "metrics": {"accuracy": accuracy}}
            api.post("models/side-by-side/versions", json=body).raise_for_status()

    status, shown = run(service, "compare", "side-by-side", "1.0.0", "2.0.0")
    assert (status, "-0.1 worse" in shown) == (0, True)
    status, said = run(service, "compare", "side-by-side", "1.0.0", "--against", "production")
    assert (status, "no version in production" in said) == (1, True)


def test_a_version_is_tried_again_and_hurried_through(service: Service):
    rollout = under_way(service, "tried-again")
    assert run(service, "rollout", rollout, "rollback", "--reason", "complaints")[0] == 0

    status, said = run(service, "rollout", rollout, "retry")
    assert status == 1
    assert "override_quarantine" in said
    why = ("--reason", "the cause was elsewhere")
    status, said = run(service, "rollout", rollout, "retry", "--override-quarantine", *why)
    assert (status, "10 % candidate" in said) == (0, True)
    status, said = run(service, "rollout", "tried-again", "skip", "--reason", "a security hole")
    assert (status, "20 % candidate" in said) == (0, True)
    assert run(service, "rollout", "tried-again", "skip")[0] == 2
    status, said = run(service, "drill", "tried-again")
    assert (status, "2.0.0 → 1.0.0" in said) == (0, True)
    status, said = run(service, "rollout", "tried-again", "abort")
    assert (status, "aborted" in said) == (0, True)


def test_a_model_stands_for_its_rollout_under_way_not_for_one_that_waits(service: Service):
    with Client(base_url=f"{service.url}/api/v1/models/queued/", timeout=30) as api:
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            api.post("versions", json={"version": version}).raise_for_status()
        api.post("rollouts", json={"candidate": "1.0.0"}).raise_for_status()
        api.post("rollouts", json={"candidate": "2.0.0"}).raise_for_status()
        waiting = {"candidate": "3.0.0", "on_conflict": "queue"}
        api.post("rollouts", json=waiting).raise_for_status()

    status, said = run(service, "rollout", "queued", "rollback", "--reason", "complaints")
    assert (status, "2.0.0: rolled back" in said) == (0, True)


def test_a_version_that_serves_is_taken_off_the_road(service: Service):
    with Client(base_url=f"{service.url}/api/v1/models/served/", timeout=30) as api:
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            api.post("versions", json={"version": version}).raise_for_status()
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            went = api.post("rollouts", json={"candidate": version}).raise_for_status().json()
            if not went["finished_at"]:
                run(service, "rollout", went["id"], "promote", "--full")
                assert "succeeded" in run(service, "rollout", went["id"], "promote")[1]

    status, said = run(service, "rollback", "served", "--reason", "complaints")
    assert (status, "3.0.0 → 2.0.0" in said) == (0, True)
    status, said = run(service, "rollback", "served", "--to-version", "1.0.0", "--reason", "again")
    assert (status, "2.0.0 → 1.0.0" in said) == (0, True)
    status, said = run(service, "rollback", "served", "--to-version", "1.0.0", "--reason", "again")
    assert (status, "answers all requests" in said) == (1, True)


def test_the_stages_to_come_are_changed_by_a_file(service: Service, tmp_path: Path):
    under_way(service, "replanned")
    stages = tmp_path / "stages.json"
    stages.write_text('[{"weight": 50, "bake": "1h"}]')
    status, said = run(service, "rollout", "replanned", "replan", str(stages))
    assert (status, "stage 0 (1 of 3)" in said) == (0, True)
    stages.write_text("half")
    status, said = run(service, "rollout", "replanned", "replan", str(stages))
    assert (status, "is not JSON" in said) == (1, True)
    assert run(service, "rollout", "replanned", "abort")[0] == 0


def test_a_rollout_is_started_by_a_plan(service: Service, tmp_path: Path):
    rollout = under_way(service, "started")
    begin = ("rollout", "started", "start", "2.0.0")
    status, said = run(service, *begin)
    assert (status, "has a rollout under way" in said) == (1, True)
    plan = tmp_path / "plan.json"
    plan.write_text('{"stages": [{"weight": 7, "bake": "1h"}], "on_conflict": "supersede"}')
    status, said = run(service, *begin, "--plan", str(plan), "--reason", "with another plan")
    assert (status, "running, stage 0 (1 of 2), 7 % candidate (with another" in said) == (0, True)
    assert "aborted" in run(service, "rollout", rollout, "show")[1]
    for wrong, told in {
        "[]": "is not a plan",
        "half": "is not JSON",
        '{"weight": 1}': "weight",
    }.items():
        plan.write_text(wrong)
        status, said = run(service, *begin, "--plan", str(plan))
        assert (status, told in said) == (1, True), said
    assert run(service, "rollout", "started", "abort")[0] == 0


def test_what_people_write_is_no_markup(service: Service):
    under_way(service, "annotated")
    reason = "[ops] see [/dashboards/7]"
    assert reason in run(service, "rollout", "annotated", "pause", "--reason", reason)[1]
    status, shown = run(service, "rollout", "annotated", "show")
    assert (status, reason in shown) == (0, True)
    status, said = run(service, "rollout", "[/absent]", "show")
    assert (status, "[/absent]" in said) == (1, True)
    assert run(service, "rollout", "annotated", "abort")[0] == 0


@pytest.mark.parametrize("group", ["rollout", "experiment"])
def test_a_verb_before_the_name_is_put_right(group: str):
    result = CliRunner().invoke(app, [group, "show", "fraud"], env={"COLUMNS": "200"})

    assert result.exit_code == 2
    assert f"turnout {group} fraud show" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("versions", "absent"), "absent"),
        (("rollout", "absent", "start", "1.0.0"), "absent"),
        (("rollout", "absent", "show"), "absent"),
        (("rollout", "01a1f9f5-a701-761f-9ab8-77813ae08bc7", "abort"), "01a1f9f5"),
        (("rollouts", "--phase", "flying"), "phase"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_what_is_not_there_is_said(service: Service, arguments: tuple[str, ...], said: str):
    status, output = run(service, *arguments)

    assert status == 1
    assert said in output
    assert "Traceback" not in output


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://no-such-host.invalid"])
def test_a_service_that_does_not_answer_is_said(url: str):
    result = CliRunner().invoke(app, ["models", "--url", url])

    assert result.exit_code == 1
    assert url in result.output


def ended(*arguments: str, **settings: str) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "turnout", *arguments],
        env={**os.environ, "COLUMNS": "200", **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_it_refuses_to_listen_to_the_world_without_authentication(tmp_path: Path):
    status, said = ended("serve", "--host", "0.0.0.0", "--data-dir", str(tmp_path))

    assert status == 1
    assert "turnout keys create" in said
    assert "TURNOUT_ALLOW_UNAUTHENTICATED" in said


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, said = ended("serve", "--port", port, "--data-dir", str(tmp_path))

    assert status == 1
    assert port in said
    assert "--port" in said


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("TURNOUT_TICK_SECONDS", "soon"),
        ("TURNOUT_LOG_LEVEL", "loud"),
        ("TURNOUT_DATABASE_URL", "mysql://localhost/turnout"),
        ("TURNOUT_DATABASE_URL", "db.example.com"),
        ("TURNOUT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path: Path, setting: str, value: str):
    status, said = ended("migrate", "--data-dir", str(tmp_path), **{setting: value})

    assert status == 1
    assert setting in said
    assert "Traceback" not in said


def test_a_worker_does_not_work_on_a_schema_of_another_release(tmp_path: Path):
    status, said = ended("worker", "--data-dir", str(tmp_path))

    assert status == 1
    assert "turnout migrate" in said


def test_ctrl_c_stops_everything_and_the_next_start_finds_it_all(tmp_path: Path):
    port = str(free_port())
    for _ in range(2):
        process = start("serve", "--port", port, data_dir=tmp_path)
        wait_until(lambda: answers(port), "serving")
        process.send_signal(signal.SIGINT)

        assert process.wait(timeout=30) == 0
        assert not (tmp_path / "postgres" / "data" / "postmaster.pid").exists()


def answers(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def test_drift_is_shown_and_written_as_a_page(service: Service, tmp_path: Path):
    with Client(base_url=f"{service.url}/api/v1/", timeout=30) as api:
        api.post("models/ranker/versions", json={"version": "1.0.0"}).raise_for_status()
        api.post("models/ranker/rollouts", json={"candidate": "1.0.0", "strategy": "replace"})
    page = tmp_path / "drift.html"
    wait_until(lambda: "1.0.0" in run(service, "drift", "ranker")[1], "what serves")
    status, shown = run(service, "drift", "ranker", "1.0.0", "--html", str(page))
    status_of_json, found = run(service, "drift", "ranker", "--json")

    assert (status, "it has no baseline to be held against" in shown) == (0, True)
    assert "/versions/1.0.0/baseline" in shown
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (status_of_json, json.loads(found)["verdict"]) == (0, "no_data")
    status, said = run(service, "drift", "ranker", "--html", str(tmp_path / "none" / "drift.html"))
    assert (status, "cannot write" in said) == (1, True)
    assert "has no version 2.0.0" in run(service, "drift", "ranker", "2.0.0")[1]
