"""A program that has a library choose a version for many users, and says how long each choice took.

Run by the interpreter that has the library: `python choosing.py LIBRARY [ADDRESS]`. Prints
microseconds of the calling thread per choice, and the share of the first version. It imports
nothing of this repository but, for `turnout`, the client.
"""

# ruff: noqa: PLC0415  (one library of three is there)

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any

MODEL = "choices"
USERS = 20_000
SHARE = 70


Choose = Callable[[str], Any]
Name = Callable[[Any], str]


def turnout(url: str) -> tuple[Choose, Name]:
    from turnout.client import Turnout

    return partial(Turnout(url).select_version, MODEL), attrgetter("version")


def growthbook(_: str) -> tuple[Choose, Name]:
    from growthbook import GrowthBook

    rule = {
        "key": MODEL,
        "variations": ["1.0.0", "2.0.0"],
        "weights": [SHARE / 100, 1 - SHARE / 100],
        "hashAttribute": "id",
        "hashVersion": 2,
    }
    book = GrowthBook(features={MODEL: {"defaultValue": "1.0.0", "rules": [rule]}})

    def choose(user: str) -> Any:
        book.set_attributes({"id": user})
        return book.eval_feature(MODEL)

    return choose, attrgetter("value")


def unleash(_: str) -> tuple[Choose, Name]:
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    sticky = {"stickiness": "userId"}
    variants = [{"name": "1.0.0", "weight": 700}, {"name": "2.0.0", "weight": 300}]
    strategy = {
        "name": "flexibleRollout",
        "parameters": {"rollout": "100", "groupId": MODEL, **sticky},
        "constraints": [],
        "variants": [{**variant, **sticky} for variant in variants],
    }
    feature = {"name": MODEL, "enabled": True, "strategies": [strategy]}
    cache = FileCache("bench", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 2, "features": [feature]})
    client = UnleashClient(
        url="http://127.0.0.1:9/api",
        app_name="bench",
        cache=cache,
        disable_metrics=True,
        disable_registration=True,
    )
    client.initialize_client(fetch_toggles=False)
    return lambda user: client.get_variant(MODEL, {"userId": user}), itemgetter("name")


def main(library: str, url: str) -> None:
    choose, name = {"turnout": turnout, "growthbook": growthbook, "unleash": unleash}[library](url)
    users = [f"user-{n}" for n in range(USERS)]
    first = [name(choose(user)) for user in users].count("1.0.0")
    begun = time.thread_time()
    for user in users:
        choose(user)
    seconds = time.thread_time() - begun
    print(json.dumps({"microseconds": seconds * 1e6 / USERS, "share": 100 * first / USERS}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
