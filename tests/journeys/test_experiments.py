"""Experiments from plan to conclusion: real processes, simulated users, the worker decides."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from httpx2 import Client
from typer.testing import CliRunner

from tests.journeys.conftest import Service
from tests.processes import wait_until
from turnout.cli.app import app

NAMES = count(1)
BETTER = {"1.0.0": 0.6, "2.0.0": 0.9}
WORSE = {"1.0.0": 0.9, "2.0.0": 0.6}
SAME = {"1.0.0": 0.7, "2.0.0": 0.7}


@dataclass
class Shop:
    """A service that asks which version answers each of its users, and reports how that went."""

    api: Client
    model: str
    answered: Counter[str] = field(default_factory=Counter)
    """By version, in all."""

    def call(self, method: str, path: str, **body: Any) -> Any:
        response = self.api.request(method, path, json=body if method == "POST" else None)
        assert response.is_success, response.text
        return response.json()

    def plan(self, **fields: Any) -> str:
        """2.0.0 against 1.0.0 on accuracy; answers the path of the experiment, which has begun."""
        stated = {
            "key": self.model,
            "control": "1.0.0",
            "treatments": [{"version": "2.0.0"}],
            "goal": {"metric": "accuracy", "minimum_detectable_effect": 0.1},
            "guardrails": [{"metric": "error_rate", "max": 0.2}],
            "min_sample_size": 100,
            "target_sample_size": 400,
            "max_duration": "3m",
            "auto_conclude": True,
            "promote_winner": True,
        }
        made = self.call("POST", f"models/{self.model}/experiments", **stated | fields)
        path = f"experiments/{made['id']}"
        self.call("POST", f"{path}/start", reason="agreed")
        return path

    def routed(self) -> int:
        """Wait until the gateway has heard of the split in force, and name it."""
        split: int = self.call("GET", f"models/{self.model}/split")["split_id"]

        def heard() -> bool:
            return bool(self.call("POST", f"models/{self.model}/assign")["split_id"] == split)

        wait_until(heard, "the split is in force")
        return split

    def visit(
        self, first: int, last: int, right: Mapping[str, float], *, lost: int | None = None
    ) -> dict[str, str]:
        """Let users first to last ask once each; of a version's answers such a share is right.

        Of the reports of 2.0.0, every `lost`-th gets lost. Answers the version of each user.
        """
        predictions, outcomes, versions = [], [], {}
        for n in range(first, last):
            unit = f"user-{n}"
            given = self.call("POST", f"models/{self.model}/assign", unit=unit)
            version = versions[unit] = given["version"]
            self.answered[version] += 1
            if lost and version == "2.0.0" and self.answered[version] % lost == 0:
                continue
            known = ("prediction_id", "version", "split_id")
            predictions.append({key: given[key] for key in known} | {"unit": unit})
            correct = self.answered[version] % 10 < 10 * right[version]
            outcomes.append({"prediction_id": given["prediction_id"], "correct": correct})
        self.call(
            "POST",
            f"models/{self.model}/observations",
            predictions=predictions,
            outcomes=outcomes,
        )
        return versions

    def ended(self, path: str, right: Mapping[str, float], *, most: int = 1_000) -> Any:
        """Let users come, fifty at a time, until the experiment has ended by itself."""
        for first in range(0, most, 50):
            self.visit(first, first + 50, right)
            self.analysed(path)
            if (view := self.call("GET", path))["status"] != "running":
                return view
        wait_until(
            lambda: self.call("GET", path)["status"] != "running", "the experiment has ended"
        )
        return self.call("GET", path)

    def analysed(self, path: str) -> None:
        """Wait for the worker's next look, or for what it did after the last."""
        view = self.call("GET", path)
        wait_until(
            lambda: self.call("GET", path)["analyses"] > view["analyses"] or self.over(path),
            "the next look",
        )

    def over(self, path: str) -> bool:
        return bool(self.call("GET", path)["status"] != "running")

    def serving(self) -> dict[str, float]:
        split = self.call("GET", f"models/{self.model}/split")
        return {variant["version"]: variant["weight"] for variant in split["variants"]}

    def stages(self) -> dict[str, str]:
        versions = self.call("GET", f"models/{self.model}/versions")["items"]
        return {version["version"]: version["stage"] for version in versions}


@pytest.fixture
def shop(api: Client) -> Shop:
    """A model whose 1.0.0 answers everything; 2.0.0 is registered."""
    shop = Shop(api, f"recommender-{next(NAMES)}")
    for version in ("1.0.0", "2.0.0"):
        shop.call("POST", f"models/{shop.model}/versions", version=version)
    shop.call("POST", f"models/{shop.model}/rollouts", candidate="1.0.0", strategy="replace")
    return shop


def test_a_winner_is_concluded_and_promoted_by_itself(shop: Shop):
    path = shop.plan()
    shop.routed()
    ended = shop.ended(path, BETTER)
    analysis = shop.call("GET", f"{path}/analysis")

    assert (ended["status"], ended["conclusion"]) == ("concluded", "ship")
    assert (ended["winner"], ended["serves"]) == ("2.0.0", "2.0.0")
    assert shop.serving() == {"2.0.0": 100}
    assert shop.stages() == {"1.0.0": "archived", "2.0.0": "production"}
    low, _ = analysis["interval"]
    assert low > 0
    assert analysis["fraction"] < 1
    assert analysis["plan_hash"] == ended["plan_hash"]


def test_a_loser_leaves_the_control(shop: Shop):
    path = shop.plan()
    shop.routed()
    ended = shop.ended(path, WORSE)

    assert (ended["conclusion"], ended["winner"], ended["serves"]) == (
        "keep_control",
        None,
        "1.0.0",
    )
    assert shop.serving() == {"1.0.0": 100}
    assert shop.stages()["2.0.0"] == "development"


def test_where_there_is_nothing_to_find_it_ends_before_its_time(shop: Shop):
    path = shop.plan()
    shop.routed()
    ended = shop.ended(path, SAME)

    assert (ended["conclusion"], ended["winner"]) == ("futile", None)
    assert shop.serving() == {"1.0.0": 100}
    assert shop.call("GET", f"{path}/analysis")["fraction"] < 1


def test_what_cannot_be_believed_is_paused_and_promotes_nothing(shop: Shop):
    path = shop.plan(min_sample_size=500, target_sample_size=1_000)
    shop.routed()
    shop.visit(0, 1_000, BETTER, lost=2)
    wait_until(lambda: shop.over(path), "the experiment has paused")
    paused = shop.call("GET", path)
    resumed = shop.api.post(f"{path}/resume")
    analysis = shop.call("GET", f"{path}/analysis")

    assert (paused["status"], paused["pause"]["by"]) == ("paused", "evidence")
    assert analysis["conclusion"] == "invalid"
    assert analysis["sample_ratio"]["mismatch"]
    assert shop.serving() == {"1.0.0": 100, "2.0.0": 0}
    assert resumed.status_code == 409
    assert shop.call("POST", f"{path}/stop")["status"] == "stopped"
    assert shop.serving() == {"1.0.0": 100}


def test_paused_and_resumed_every_user_comes_back_to_their_version(shop: Shop):
    path = shop.plan()
    before = shop.routed()
    met = shop.visit(0, 80, BETTER)
    shop.call("POST", f"{path}/pause", reason="looking into it")
    shop.routed()
    during = shop.visit(0, 80, BETTER)
    shop.call("POST", f"{path}/resume", reason="it was nothing")
    after = shop.routed()
    again = shop.visit(0, 80, BETTER)
    ended = shop.ended(path, BETTER)

    assert set(met.values()) == {"1.0.0", "2.0.0"}
    assert set(during.values()) == {"1.0.0"}
    assert (again, after) == (met, before)
    assert ended["conclusion"] == "ship"
    history = shop.call("GET", f"{path}/history")["items"]
    assert [step["event"] for step in history] == [
        "created",
        "started",
        "paused",
        "resumed",
        "concluded",
    ]
    assert shop.call("GET", f"{path}/analysis")["health"][2]["verdict"] == "pass"


def run(service: Service, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--url", service.url], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_an_experiment_from_the_command_line(service: Service, shop: Shop):
    path = shop.plan(key="by-hand", auto_conclude=False, promote_winner=False)
    shop.routed()
    shop.visit(0, 300, BETTER)
    wait_until(
        lambda: shop.call("GET", f"{path}/analysis")["winner"] == "2.0.0", "a winner is seen"
    )

    assert "by-hand" in run(service, "experiments", "--model", shop.model)[1]
    status, shown = run(service, "experiment", "by-hand", "show")
    assert (status, "●" in shown, "ship" in shown) == (0, True, True)
    status, shown = run(service, "experiment", "by-hand", "analyse")
    assert (status, "win" in shown) == (0, True)
    assert "paused" in run(service, "experiment", "by-hand", "pause")[1]
    assert "running" in run(service, "experiment", "by-hand", "resume", "--reason", "on")[1]
    status, said = run(service, "experiment", "by-hand", "conclude", "--promote")
    assert (status, "2.0.0 answers everything" in said) == (0, True)
    status, shown = run(service, "experiment", path.rpartition("/")[2], "watch")
    assert (status, "concluded" in shown) == (0, True)
    status, said = run(service, "experiment", "by-hand", "stop")
    assert (status, "has been concluded" in said) == (1, True)
    status, said = run(service, "experiment", "absent", "show")
    assert (status, "absent" in said) == (1, True)
