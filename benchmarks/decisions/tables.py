"""What lies behind the targets: every rule, every figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.decisions import exact, findings, harm, simulated
from benchmarks.decisions.clusters import Clusters
from benchmarks.decisions.scenario import EFFECTS
from benchmarks.result import Table


def rules(at: simulated.Simulated) -> Table:
    """All rules at one number of looks."""
    return Table(
        title=f"### {at.looks} looks ({at.replications:,} experiments per column)",
        head=(
            "rule",
            "false wins",
            "false harms",
            "wins at +1 point",
            "wins at +2",
            "users at 0",
            "users at +1",
            "users at +2",
        ),
        rows=[
            (
                name,
                f"{100 * none.win:.2f} %",
                f"{100 * none.harm:.2f} %",
                *(f"{100 * at.of[effect][name].win:.1f} %" for effect in EFFECTS[1:]),
                *(f"{100 * at.of[effect][name].size:.1f} %" for effect in EFFECTS),
            )
            for name, none in at.of[0.0].items()
        ],
    )


def same_power(costs: Iterable[exact.Cost]) -> Table:
    return Table(
        title="### The same power (80 % at the minimum effect, 100 looks, by integration)",
        head=("rule", "most users", "average at 0", "at the effect", "at twice it"),
        rows=[
            (
                cost.name,
                *(
                    f"{times:.3f}"
                    for times in (cost.most, cost.at_none, cost.at_effect, cost.at_double)
                ),
            )
            for cost in costs
        ],
    )


def guardrails(watches: Iterable[exact.Watch]) -> Table:
    return Table(
        title="### Guardrail in a stage (one-sided 5 %, 100 looks, by integration)",
        head=("rule", "false alarms", "moderate harm", "strong", "gross"),
        rows=[
            (
                watch.name,
                f"{100 * watch.false_alarm:.1f} %",
                *(f"{power:.2f} / {stage:.3f}" for power, stage in watch.found.values()),
            )
            for watch in watches
        ],
    )


def structure(ramps: findings.Ramps, clustered: Sequence[findings.ClusteredErrors]) -> Table:
    return Table(
        title="### Structure in the data (false positives at nominal 5 %)",
        head=("data", "ignored", "Turnout"),
        rows=[
            (
                "ramp while the base rate moves, one look in the end",
                f"{100 * ramps.pooled_once:.1f} %, bias {100 * ramps.bias:+.1f} points",
                f"{100 * ramps.stratified_once:.1f} %",
            ),
            (
                "the same, looked at all the time",
                f"{100 * ramps.pooled:.1f} %",
                f"{100 * ramps.stratified:.1f} %",
            ),
            *(
                (
                    _named(each.clusters),
                    f"{100 * each.requests:.1f} %",
                    f"{100 * each.users:.1f} %",
                )
                for each in clustered
            ),
        ],
    )


def _named(kind: Clusters) -> str:
    return f"{kind.requests} requests per user, correlation {kind.correlation:g}"


def checks(
    agreement: simulated.Agreement,
    ramps: findings.Ramps,
    alarms: harm.Alarms,
    watched: harm.Watched,
    peers: simulated.PeersAgreement | None,
) -> Table:
    """Whether the simulation does what the product does, and the formulas what the peers do."""
    found = {
        f"`goal.look` at {agreement.asked:,} looks of {agreement.experiments} experiments": (
            f"the same verdict in {agreement.same_verdict}, at the same look in"
            f" {agreement.same_look}"
        ),
        f"`goal.look` at every look of {ramps.followed} ramps": (
            f"the same verdict in {ramps.same}"
        ),
        f"the rollouts' `watch` at every look of {watched.stages} stages": (
            f"the same verdict in {watched.same}"
        ),
        f"{alarms.replications:,} stages simulated instead of integrated": (
            f"{100 * alarms.innocent:.1f} % false alarms, moderate harm found in"
            f" {100 * alarms.moderate:.1f} %"
        ),
    }
    if peers is not None:
        found[f"gbstats at {peers.looks:,} random looks"] = (
            f"the same answer of the sequential test at {peers.same_sequential:,}, of the Bayesian"
            f" engine at {peers.same_bayesian:,}"
        )
    return Table(
        title="### Simulation and code side by side",
        head=("code asked", "simulation"),
        rows=list(found.items()),
    )
