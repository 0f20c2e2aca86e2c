"""Every rule on the same releases."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final

from benchmarks.releases import product
from benchmarks.releases.outcome import Outcome, Tally
from benchmarks.releases.peers import RULES, Question
from benchmarks.releases.scenario import Scenario

PROCESSES: Final = 2
_CHUNK: Final = 25


def simulated(scenario: Scenario, releases: int) -> dict[str, Tally]:
    """Follow so many releases in this process."""
    return _tallies(scenario, [_followed(scenario, range(releases))])


def all_simulated(
    scenarios: tuple[Scenario, ...],
) -> Iterator[tuple[Scenario, dict[str, Tally]]]:
    """The same releases, however many processes share them."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        for scenario in scenarios:
            chunks = [
                range(first, min(first + _CHUNK, scenario.releases))
                for first in range(0, scenario.releases, _CHUNK)
            ]
            parts = pool.map(partial(_followed, scenario), chunks)
            yield scenario, _tallies(scenario, list(parts))


def _followed(scenario: Scenario, releases: range) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {name: [] for name in (product.NAME, *RULES)}
    for release in scenario.drawn(releases):
        found[product.NAME].append(product.turnout(scenario.course, release))
        asked = Question(
            course=scenario.course,
            release=release,
            metric=scenario.metric,
            limit=scenario.limit,
        )
        for name, rule in RULES.items():
            found[name].append(rule(asked))
    return found


def _tallies(scenario: Scenario, parts: list[dict[str, list[Outcome]]]) -> dict[str, Tally]:
    return {
        name: Tally(
            outcomes=tuple(itertools.chain.from_iterable(part[name] for part in parts)),
            windows=scenario.course.windows,
            onset=scenario.onset,
        )
        for name in (product.NAME, *RULES)
    }
