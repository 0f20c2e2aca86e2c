"""What to do next about what has moved, in the order in which it should be done."""

from collections.abc import Iterator, Sequence
from typing import Final

from turnout.drift.domain.baseline import Provenance
from turnout.drift.domain.shifts import Whose
from turnout.monitoring.domain.report import DistributionView, FigureView, VersionDriftView
from turnout.stats.verdict import Verdict

NAMED: Final = 3


def advice(
    model: str, versions: Sequence[VersionDriftView], traffic: FigureView | None
) -> list[str]:
    """What all versions show is said once."""
    said: list[str] = []
    if traffic is not None and traffic.verdict is Verdict.FAIL:
        said.append(
            "Ask first who calls: traffic is off for the whole model, and what moves with it may"
            " only be another mixture of callers."
        )
    for one in versions:
        said += _of_features(model, one, versions)
    for one in versions:
        said += _of_answers(one)
        said += _of_figures(model, one, versions)
    for one in versions:
        said += _of_what_is_not_known(model, one)
    said += _of_what_is_not_reported(versions)
    return list(dict.fromkeys(said))


def _of_features(
    model: str, one: VersionDriftView, versions: Sequence[VersionDriftView]
) -> Iterator[str]:
    moved = [feature for feature in one.features if feature.verdict is Verdict.FAIL]
    own = [feature for feature in moved if feature.whose is Whose.VERSION]
    world = [feature for feature in moved if feature.whose is Whose.WORLD]
    untold = [feature for feature in moved if feature.whose not in {Whose.VERSION, Whose.WORLD}]
    if own:
        beside = next((feature.beside.version for feature in own if feature.beside), "the other")
        yield (
            f"Compare how {one.version} and {beside} are fed {named(own)}: they draw from the same"
            f" traffic, and only {one.version} sees other values.{_way_back(model, one, versions)}"
        )
    if world:
        yield (
            f"Find out what has changed in the source of {named(world)}{_since(world)}. If it is"
            " here to stay, retrain on what came since; going back to another version would not"
            " help, because every version that answers is fed the same."
        )
    if untold:
        yield (
            f"Look at the source of {named(untold)}{_since(untold)}. No version answers beside"
            f" {one.version} that could tell whether it is the world: leave the former one a share"
            " of the traffic, and the next report will."
        )


def _of_answers(one: VersionDriftView) -> Iterator[str]:
    answers = one.prediction
    if answers is None or answers.verdict is not Verdict.FAIL:
        return
    if any(feature.verdict is Verdict.FAIL for feature in one.features):
        yield (
            f"Expect the answers of {one.version} to follow what it is fed: check some of them"
            " against labels before trusting them."
        )
    else:
        yield (
            f"{one.version} is fed what it always was and answers otherwise{_since([answers])}:"
            " look for a changed model server, threshold or preprocessing."
        )


def _of_figures(
    model: str, one: VersionDriftView, versions: Sequence[VersionDriftView]
) -> Iterator[str]:
    failed = {each.metric: each for each in one.figures if each.verdict is Verdict.FAIL}
    back = _way_back(model, one, versions)
    for metric, sentence in _OF_FIGURES.items():
        if (found := failed.get(metric)) is not None:
            yield sentence.format(version=one.version) + (
                "" if found.whose is Whose.WORLD else back
            )


_OF_FIGURES: Final = {
    "accuracy_drop": "Look at the cases that {version} gets wrong, and retrain with them.",
    "error_rate": "Read the errors of {version} before anything else: failed predictions are not"
    " drift of data.",
    "latency_p99_rise": "Look at the load and the host of {version}: its slowest answers have"
    " become slower.",
}


def _of_what_is_not_known(model: str, one: VersionDriftView) -> Iterator[str]:
    if one.baseline is None:
        yield (
            f"Say what {one.version} is held against: counts, raw columns, training data as CSV, or"
            f" its own traffic. `PUT /api/v1/models/{model}/versions/{one.version}/baseline`."
        )
    elif one.baseline.awaited is not None:
        yield _of_awaited(one, one.baseline)
    elif one.sampled == 0 < one.answered:
        yield (
            f"Report features or answers with the predictions of {one.version}: none has come in"
            " the window, or none since its baseline was set."
        )


def _of_what_is_not_reported(versions: Sequence[VersionDriftView]) -> Iterator[str]:
    by_features: dict[tuple[str, ...], list[str]] = {}
    for one in versions:
        if one.unreported and one.features:
            by_features.setdefault(tuple(one.unreported), []).append(one.version)
    for names, found in by_features.items():
        yield f"Report {listed(names)} with {listed(found)}, or leave it out of the baseline."


def _of_awaited(one: VersionDriftView, baseline: Provenance) -> str:
    return (
        f"Wait: the baseline of {one.version} will be made of {baseline.awaited:,} of its answers,"
        f" and {baseline.collected:,} are collected."
    )


def _way_back(model: str, one: VersionDriftView, versions: Sequence[VersionDriftView]) -> str:
    """By the command to type, where another version answers that keeps its limits."""
    calm = next((other for other in versions if other.verdict is Verdict.PASS), None)
    if calm is None or calm is one:
        return ""
    return (
        f" Until that is clear, {calm.version} can answer everything:"
        f" `turnout rollback {model} --to-version {calm.version}`"
    )


def _since(moved: Sequence[DistributionView]) -> str:
    known = [one.since for one in moved if one.since is not None]
    return f" since about {min(known):%d %B, %H:%M} UTC" if known else ""


def named(moved: Sequence[DistributionView]) -> str:
    return listed([one.feature for one in moved])


def listed(names: Sequence[str]) -> str:
    if len(names) > NAMED:
        return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more"
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
