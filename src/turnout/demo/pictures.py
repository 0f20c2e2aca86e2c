"""Pictures for the terminal: where a rollout is, what its arms show, and how it ended."""

import math
from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from turnout.demo.models import MODEL
from turnout.demo.story import Chapter, Sight
from turnout.demo.views import Arm, Judged, Look, Rollout, Step

Z_95: Final = 1.959964
COLOURS: Final = {
    "pass": "green",
    "advanced": "green",
    "succeeded": "bold green",
    "fail": "bold red",
    "rolled_back": "bold red",
    "paused": "yellow",
    "insufficient_sample": "yellow",
    "no_data": "yellow",
    "inconclusive": "yellow",
}


def word(name: str) -> Text:
    return Text(name.replace("_", " "), style=COLOURS.get(name, "cyan"))


def step_line(version: str, step: Step) -> Text:
    line = Text.assemble((version, "bold"), " ", word(step.event), f" at {step.weight:g} % by ")
    return line.append(f"{step.actor}: {step.reason}")


def look_line(version: str, look: Look) -> Text:
    line = Text.assemble((version, "bold"), " ", word(look.verdict))
    return line.append(f": {look.reason}", style="dim")


def present(sight: Sight, footer: str) -> Panel:
    rollout = sight.rollout
    waiting = Text(f"waits: {rollout.waiting_for}" if rollout.waiting_for else "", style="dim")
    arms, guardrails = _arms(rollout, sight.arms), _guardrails(rollout.findings)
    title = Text.assemble((f"{MODEL}: {rollout.baseline} → {rollout.candidate} ", "bold"))
    return Panel(
        Group(_stages(rollout), "", arms, "", guardrails, "", waiting),
        title=title.append_text(word(rollout.phase)),
        subtitle=footer,
        title_align="left",
        subtitle_align="left",
    )


def _stages(rollout: Rollout) -> Text:
    """A bar per stage, as long as its weight, coloured as far as the rollout has come."""
    line = Text(f"stage {rollout.stage.index + 1} of {rollout.stage.of}  ")
    for index, stage in enumerate(rollout.plan.stages):
        reached, current = index <= rollout.stage.index, index == rollout.stage.index
        line.append("━" * max(4, round(0.2 * stage.weight)), style="cyan" if reached else "dim")
        line.append(f" {stage.weight:g} %  ", style="bold" if current else "dim")
    return line


def _arms(rollout: Rollout, arms: Iterable[Arm]) -> Table:
    """All that each version has shown since it was released, as the service counts it."""
    table = _table("version", "requests", "errors", "accuracy (95 % interval)", "p99")
    found = {arm.version: arm for arm in arms}
    for role, version in (("baseline", rollout.baseline), ("candidate", rollout.candidate)):
        if version is None or (arm := found.get(version)) is None:
            continue
        table.add_row(
            f"{version} {role}",
            f"{arm.predictions:,}",
            "" if arm.error_rate is None else f"{100 * arm.error_rate:.2f} %",
            _accuracy(arm.accuracy, arm.labelled),
            "" if arm.latency_p99 is None else f"{arm.latency_p99:.1f} ms",
        )
    return table


def _guardrails(findings: Iterable[Judged]) -> Table:
    """As they were when a verdict last changed."""
    table = _table("guardrail", "verdict", "candidate", "baseline")
    for judged in findings:
        finding = judged.finding
        table.add_row(
            str(judged.guardrail),
            word(finding.verdict),
            _figure(finding.candidate),
            _figure(finding.baseline),
        )
    return table


def ending(chapter: Chapter) -> Group:
    """The story of one candidate: a row per decision, with the evidence that it rests on."""
    release = chapter.release
    title = Text.assemble((release.version, "bold"), " ", word(chapter.rollout.phase))
    table = _table("after", "decision", "evidence")
    looks = {look.id: look for look in chapter.looks}
    for step in chapter.steps:
        look = looks.get(step.evidence) if step.evidence is not None else None
        decision = Text.assemble(word(step.event), f" at {step.weight:g} %\n")
        if step.verdict is not None:
            decision.append_text(word(step.verdict)).append(", ")
        table.add_row(
            f"{(step.at - chapter.steps[0].at).total_seconds():.1f} s",
            decision.append(f"by {step.actor}"),
            "\n".join([step.reason, *_comparison(chapter.rollout, look)]),
        )
    return Group(title.append(f": {release.model.description}"), table)


def _comparison(rollout: Rollout, look: Look | None) -> Iterator[str]:
    """The accuracy of each arm, as the worker saw it."""
    judged = look.findings if look is not None else ()
    accuracies = (j.finding for j in judged if j.guardrail.metric == "accuracy")
    if (seen := next(accuracies, None)) is None:
        return
    for version, rate, n in (
        (rollout.candidate, seen.candidate, seen.n_candidate),
        (rollout.baseline, seen.baseline, seen.n_baseline),
    ):
        if accuracy := _accuracy(rate, n):
            yield f"{version}: accuracy {accuracy}"


def _accuracy(rate: float | None, labelled: int | None) -> str:
    if rate is None or not labelled:
        return ""
    low, high = interval(rate, labelled)
    return f"{100 * rate:.1f} % ({100 * low:.1f} to {100 * high:.1f}) of {labelled:,}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def interval(rate: float, n: int) -> tuple[float, float]:
    """The score interval of a proportion at 95 % (Wilson 1927), for this look alone.

    The worker does not decide by it: it looks every second, and its bounds allow for that.
    """
    spread = Z_95**2 / n
    centre = (rate + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(rate * (1 - rate) / n + spread / (4 * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table
