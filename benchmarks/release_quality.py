"""How good the releases are: thousands of them through the evaluator, and through others' rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from benchmarks.releases import catalogue, product
from benchmarks.releases.outcome import Share, Tally
from benchmarks.releases.peers import RULES
from benchmarks.releases.scenario import Scenario
from benchmarks.releases.simulation import all_simulated
from benchmarks.result import Result, Table, note

Found = Mapping[str, Tally]

MINUTE: Final = timedelta(minutes=1)
COLUMNS: Final = (product.NAME, *RULES)
FALSE_ALARMS: Final = 0.01
NOMINAL: Final = 0.05
GROSS: Final = 0.10
POWER: Final = 0.70


def measure() -> Iterator[Result | Table]:
    """Minutes on two cores, the same every time."""
    found: dict[str, Found] = {}
    for scenario, tallies in all_simulated((*catalogue.HEALTHY, *catalogue.HARMFUL)):
        found[scenario.name] = tallies
        note(f"{scenario.name}: {tallies[product.NAME].rolled_back} rolled back")
    yield from targets(found)
    yield false_alarms(found, catalogue.HEALTHY)
    yield time_to_promote(found, catalogue.HEALTHY)
    yield regressions(found, catalogue.HARMFUL)


def targets(found: Mapping[str, Found]) -> Iterator[Result]:
    yield _false(catalogue.A_DAY, found, FALSE_ALARMS)
    for scenario in (
        catalogue.GROSS_DAY,
        catalogue.GROSS_QUIET,
        catalogue.GROSS_LONGER,
        catalogue.GROSS,
    ):
        yield _gross(scenario, found)
    for scenario in (catalogue.MODERATE, catalogue.MODERATE_LONGER):
        yield _power(scenario, found)
    for scenario in (catalogue.USERS, catalogue.SHARED_TIMES, catalogue.OWN_TIMES):
        yield _false(scenario, found, NOMINAL)
    yield no_traffic()


def _false(scenario: Scenario, found: Mapping[str, Found], most: float) -> Result:
    alarms = found[scenario.name][product.NAME].rolled_back
    return Result(
        what=f"{scenario.name}: rolled back",
        reach=f"≤ {100 * most:g} %",
        measured=f"{alarms} ({alarms.count} of {alarms.of:,})",
        reached=alarms.value <= most,
    )


def _gross(scenario: Scenario, found: Mapping[str, Found]) -> Result:
    tally = found[scenario.name][product.NAME]
    stage = scenario.course.ends(0) + 1
    late = tally.slowest / stage
    return Result(
        what=f"{scenario.name}: caught",
        reach=f"on average within {100 * GROSS:g} % of a stage",
        measured=f"{tally.caught} after {100 * tally.delay / stage:.1f} %"
        f" (95 of a hundred within {100 * late:.1f} %)",
        reached=tally.delay / stage <= GROSS and tally.caught.count == tally.caught.of,
    )


def _power(scenario: Scenario, found: Mapping[str, Found]) -> Result:
    tally = found[scenario.name][product.NAME]
    return Result(
        what=f"{scenario.name}: caught",
        reach=f"≥ {100 * POWER:g} %",
        measured=f"{tally.caught}, after {100 * tally.delay / tally.windows:.0f} % of it",
        reached=tally.caught.value >= POWER,
    )


def no_traffic() -> Result:
    phase, after = product.without_traffic(catalogue.FEW_REQUESTS.course, bakes=5)
    return Result(
        what="no traffic at all, a stage of 20 minutes",
        reach="neither promoted nor rolled back",
        measured=f"{phase} after {after / MINUTE:g} minutes",
        reached=phase == "paused",
    )


def false_alarms(found: Mapping[str, Found], scenarios: Sequence[Scenario]) -> Table:
    return _table(
        "### Healthy candidates that were rolled back", found, scenarios, _percent_rolled_back
    )


def time_to_promote(found: Mapping[str, Found], scenarios: Sequence[Scenario]) -> Table:
    return _table(
        "### Time until a healthy candidate is through, in lengths of its plan",
        found,
        scenarios,
        _plans_until_promoted,
    )


def regressions(found: Mapping[str, Found], scenarios: Sequence[Scenario]) -> Table:
    return _table("### Harm that was caught, and when", found, scenarios, _caught)


def _table(
    title: str,
    found: Mapping[str, Found],
    scenarios: Sequence[Scenario],
    cell: Callable[[Scenario, Tally], str],
) -> Table:
    return Table(
        title=title,
        head=("scenario", "releases", *COLUMNS),
        rows=[
            (
                scenario.name,
                f"{scenario.releases:,}",
                *(cell(scenario, found[scenario.name][rule]) for rule in COLUMNS),
            )
            for scenario in scenarios
        ],
    )


def _percent_rolled_back(_: Scenario, tally: Tally) -> str:
    return _percent(tally.rolled_back)


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f} %"


def _plans_until_promoted(_: Scenario, tally: Tally) -> str:
    lengths = tally.until_promoted / tally.windows
    return f"{lengths:.2f}" if math.isfinite(lengths) else "never"


def _caught(scenario: Scenario, tally: Tally) -> str:
    if not tally.caught.count:
        when = "0 %"
    else:
        minutes = tally.delay * (scenario.course.window / MINUTE)
        when = f"{_percent(tally.caught)} / {minutes:.0f} min"
    return f"{when} ({_percent(tally.premature)} before)" if scenario.onset else when
