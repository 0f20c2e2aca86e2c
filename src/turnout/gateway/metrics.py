"""What Prometheus is told of each version that answers: how often, how fast, for how much traffic.

The series are of the versions that are routed to. Those of others are dropped when the routes
change, and there are never more than `MOST`: whoever forces one version after the other must not
fill the memory of whoever scrapes.
"""

from collections.abc import Iterable
from typing import Final

from prometheus_client import Gauge, Histogram

from turnout.gateway.snapshot import Snapshot
from turnout.quantities import BASIS_POINTS

MOST: Final = 2_000
OTHER: Final = "other"
"""Stands for every series beyond the most."""

SHADOW: Final = "shadow"

_ANSWERS: Final = Histogram(
    "turnout_prediction_duration_seconds",
    "How long a version took for a prediction that it answered, failed to make, or refused",
    ["model", "version", "variant", "result"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_WEIGHTS: Final = Gauge(
    "turnout_split_weight_ratio",
    "The planned share of a model's traffic that a variant gets, between 0 and 1",
    ["model", "version", "variant"],
)

_series: Final[dict[tuple[str, str, str, str], Histogram]] = {}
_weights: Final[set[tuple[str, str, str]]] = set()


def answered(model: str, version: str, variant: str, result: str, milliseconds: float) -> None:
    names = (model, version, variant, result)
    series = _series.get(names)
    if series is None:
        if len(_series) >= MOST:
            names = (OTHER, OTHER, OTHER, result)
        series = _series.setdefault(names, _ANSWERS.labels(*names))
    series.observe(milliseconds / 1000)


def follow(snapshot: Snapshot) -> None:
    """Show the shares of these routes, and forget what they do not name."""
    routes = [live.route for live in snapshot.routes.values()]
    routed = {(route.model.name, version) for route in routes for version in route.versions}
    for names in [names for names in _series if names[:2] not in routed]:
        _ANSWERS.remove(*names)
        del _series[names]
    wanted = {
        (route.model.name, variant.version, variant.name): variant.weight / BASIS_POINTS
        for route in routes
        for variant in route.split.serving
    }
    for gone in _weights - wanted.keys():
        _WEIGHTS.remove(*gone)
        _weights.discard(gone)
    _show(wanted.items())


def _show(weights: Iterable[tuple[tuple[str, str, str], float]]) -> None:
    for names, weight in weights:
        if names in _weights or len(_weights) < MOST:
            _weights.add(names)
            _WEIGHTS.labels(*names).set(weight)
