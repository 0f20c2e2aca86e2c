"""Run an A/B test from plan to conclusion against a running Turnout, with simulated users.

The users are not real, and neither are the two models: a support desk's router sends tickets to
teams, 1.0.0 sends 70 % of them to the right one, and 2.0.0 does better by `--lift`. Chance decides
how each single ticket fares, and Turnout is told no more than that. Everything else is as a service
of yours would do it: it asks which version answers a user (`assign`), and reports what that version
predicted and whether it was right (`observations`). What comes of it is Turnout's own doing; try
`--lift 0`, where there is nothing to find, and `--lift -0.1`.
"""

import argparse
import os
import random
import time
from typing import Any

from httpx2 import Client, Response, TransportError

HERE = os.environ.get("TURNOUT_URL", "http://127.0.0.1:8000")
RIGHT = 0.7
ARRIVING = 100
"""Users who come between two looks."""


def main() -> None:
    options = argparse.ArgumentParser(description="An A/B test with simulated users.")
    options.add_argument("model", nargs="?", default="ticket-router", help="a name not taken yet")
    options.add_argument("--lift", type=float, default=0.08, help="how much better 2.0.0 is")
    options.add_argument("--least", type=float, default=0.05, help="the least lift that matters")
    options.add_argument("--pause", type=float, default=0.5, help="seconds between two looks")
    options.add_argument("--url", default=HERE, help="where Turnout runs")
    chosen = options.parse_args()
    right = {"1.0.0": RIGHT, "2.0.0": RIGHT + chosen.lift}
    print(f"Simulated users: {RIGHT:.0%} of answers of 1.0.0 are right, {right['2.0.0']:.0%} of")
    print("those of 2.0.0. Turnout does not know that.\n")
    with Client(base_url=f"{chosen.url}/api/v1/", timeout=30) as api:
        try:
            path = begin(api, chosen.model, chosen.least)
            watch(api, chosen.model, path, right, chosen.pause)
        except TransportError as error:
            raise SystemExit(f"no answer from {chosen.url}: {error}") from None


def begin(api: Client, model: str, least: float) -> str:
    """Let 1.0.0 answer, plan and start the experiment; returns its path."""
    for version in ("1.0.0", "2.0.0"):
        said(api.post(f"models/{model}/versions", json={"version": version}))
    said(api.post(f"models/{model}/rollouts", json={"candidate": "1.0.0", "strategy": "replace"}))
    goal = {"metric": "accuracy", "minimum_detectable_effect": least}
    least_size = {"min_sample_size": 200}
    size = said(api.post("experiments/plan", json=goal | least_size | {"baseline": RIGHT}))
    for expected in size["expected"]:
        print(f"If the lift is {expected['effect']:g}: {expected['units']:,} users on average.")
    print(f"At most: {size['sample_size']['total']:,} users.\n")
    plan = {
        "key": f"{model}-2.0",
        "control": "1.0.0",
        "treatments": [{"version": "2.0.0"}],
        "goal": goal,
        "guardrails": [{"metric": "error_rate", "max_increase": 0.02}],
        **least_size,
        "target_sample_size": size["sample_size"]["control"],
        "max_duration": "1h",
        "auto_conclude": True,
        "promote_winner": True,
    }
    path = f"experiments/{said(api.post(f'models/{model}/experiments', json=plan))['id']}"
    said(api.post(f"{path}/start", json={"reason": "the example"}))
    return path


def watch(api: Client, model: str, path: str, right: dict[str, float], pause: float) -> None:
    """Let users come and look at what they show, until the experiment has ended by itself."""
    chance = random.Random()  # noqa: S311  (chance, no secret)
    came = 0
    while (experiment := said(api.get(path)))["status"] == "running":
        users = [f"user-{number}" for number in range(came, came + ARRIVING)]
        serve(api, model, users, right, chance)
        came += ARRIVING
        time.sleep(pause)
        looked = api.post(f"{path}/analyses")
        if looked.status_code != 409:  # the worker has just ended it
            print(line(said(looked), came))
    print(f"\n{experiment['recommendation']}\n")
    print(f"It is {experiment['status']}, and {experiment['serves'] or '1.0.0'} answers all users.")
    print(f"`turnout experiment {model}-2.0 show` has the details.")


def serve(
    api: Client, model: str, users: list[str], right: dict[str, float], chance: random.Random
) -> None:
    """What a service of yours does: ask which version answers, use it, report how that went."""
    predictions, outcomes = [], []
    for user in users:
        given = said(api.post(f"models/{model}/assign", json={"unit": user}))
        prediction_id, version = given["prediction_id"], given["version"]
        # Here your service would call its model of that version, and show the answer to the user.
        predictions.append(
            {
                "prediction_id": prediction_id,
                "version": version,
                "unit": user,
                "split_id": given["split_id"],
            }
        )
        correct = chance.random() < right[version]
        outcomes.append({"prediction_id": prediction_id, "correct": correct})
    said(
        api.post(
            f"models/{model}/observations",
            json={"predictions": predictions, "outcomes": outcomes},
        )
    )


def line(analysis: dict[str, Any], came: int) -> str:
    """One look in a line."""
    low, high = analysis["interval"]
    if low is None or high is None:
        return f"{came:6,} users: {analysis['reason']}"
    return (
        f"{came:6,} users, look {analysis['looks']}: {100 * analysis['effect']:+.1f} points,"
        f" between {100 * low:+.1f} and {100 * high:+.1f}: {analysis['conclusion']}"
    )


def said(response: Response) -> Any:
    """The answer, or an end with the sentence that says what is wrong."""
    if not response.is_success:
        raise SystemExit(response.json()["detail"])
    return response.json()


if __name__ == "__main__":
    main()
