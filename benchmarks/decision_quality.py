"""How good the decisions are: simulated through the product's functions, beside other rules."""

from collections.abc import Iterator

from benchmarks.decisions import exact, findings, numerics, simulated, stored, tables, targets
from benchmarks.decisions.scenario import LOOKS
from benchmarks.result import Table, note

PEERS_ASKED = 3_000


def measure() -> Iterator[Table]:
    """The targets first, then what lies behind them; minutes on one core, the same every time."""
    spotify, growthbook = findings.spotify_bounds(), findings.growthbook()
    if spotify is None:
        note("the peers' packages are not installed: their published formulas are taken")
    found = findings.main_comparison(None if spotify is None else spotify.by_looks)
    costs = list(exact.same_power())
    ramps, clustered = findings.ramps(), findings.clustered_errors()
    watches, alarms, watched = findings.guardrails()
    theirs = next(cost for cost in costs if cost.name.startswith("Spotify"))
    yield targets.table(
        [
            targets.false_positives(found),
            targets.power(found[100]),
            targets.sizes(found[100]),
            targets.planned(
                findings.planned_cost(), (theirs.most, theirs.at_effect, theirs.at_none)
            ),
            targets.digits(numerics.worst_bound_error(), spotify),
            targets.speed(numerics.timing(), spotify),
            targets.lifts(findings.coverages()),
            targets.laws(findings.laws(), growthbook),
            targets.splits(findings.splits()),
            targets.ramp(ramps),
            targets.accuracy(numerics.moments_accuracy(), stored.accuracy(), growthbook),
        ]
    )
    yield from (tables.rules(found[looks]) for looks in LOOKS)
    yield tables.same_power(costs)
    yield tables.guardrails(watches)
    yield tables.structure(ramps, clustered)
    yield tables.checks(
        simulated.agreement(LOOKS[:3], findings.FOLLOWED),
        ramps,
        alarms,
        watched,
        simulated.peers_agreement(PEERS_ASKED),
    )
