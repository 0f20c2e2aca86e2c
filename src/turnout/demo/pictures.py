"""Pictures for the terminal: where a rollout is, what its arms show, and how it ended."""

import math
from collections.abc import Iterable
from typing import Final

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from turnout.demo.models import MODEL
from turnout.demo.story import Chapter, Sight
from turnout.demo.views import Arm, Finding, Judged, Look, Rollout, Step

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
    waiting = Text(f"waits: {rollout.waiting_for or 'for nothing'}", style="dim")
    arms, guardrails = _arms(rollout, sight.arms), _guardrails(rollout.findings)
    return Panel(
        Group(_stages(rollout), "", arms, "", guardrails, "", waiting),
        title=f"[bold]{MODEL}: {rollout.baseline} → {rollout.candidate}[/]",
        subtitle=footer,
        title_align="left",
        subtitle_align="left",
    )


def _stages(rollout: Rollout) -> Text:
    """A bar per stage, coloured as far as the rollout has come."""
    line = Text()
    for index, stage in enumerate(rollout.plan.stages):
        reached, current = index <= rollout.stage.index, index == rollout.stage.index
        line.append("━" * max(6, round(0.3 * stage.weight)), style="cyan" if reached else "dim")
        line.append(f" {stage.weight:g} %  ", style="bold" if current else "dim")
    line.append_text(word(rollout.phase))
    return line.append(f", stage {rollout.stage.index + 1} of {rollout.stage.of}")


def _arms(rollout: Rollout, arms: Iterable[Arm]) -> Table:
    table = _table("", "version", "requests", "errors", "accuracy (95 % interval)", "p99")
    found = {arm.version: arm for arm in arms}
    for role, version in (("baseline", rollout.baseline), ("candidate", rollout.candidate)):
        if version is None or (arm := found.get(version)) is None:
            continue
        table.add_row(
            role,
            version,
            f"{arm.predictions:,}",
            "" if arm.error_rate is None else f"{arm.error_rate:.2%}",
            _accuracy(arm.accuracy, arm.labelled),
            "" if arm.latency_p99 is None else f"{arm.latency_p99:.1f} ms",
        )
    return table


def _guardrails(findings: Iterable[Judged]) -> Table:
    table = _table("guardrail", "verdict", "why")
    for judged in findings:
        finding = judged.finding
        table.add_row(str(judged.guardrail), word(finding.verdict), finding.reason)
    return table


def ending(chapter: Chapter) -> Group:
    """The story of one candidate: a row per decision, with the figures it rests on."""
    table = _table("after", "decision", "traffic", "verdict", "accuracy", "baseline", "by", "why")
    looks = {look.id: look for look in chapter.looks}
    for step in chapter.steps:
        look = looks.get(step.evidence) if step.evidence is not None else None
        seen = _comparison(look.findings) if look else None
        table.add_row(
            f"{(step.at - chapter.steps[0].at).total_seconds():.1f} s",
            word(step.event),
            f"{step.weight:g} %",
            word(step.verdict) if step.verdict else "",
            _accuracy(seen.candidate, seen.n_candidate) if seen else "",
            _accuracy(seen.baseline, seen.n_baseline) if seen else "",
            step.actor,
            step.reason,
        )
    release = chapter.release
    title = Text.assemble((release.version, "bold"), " ", word(chapter.rollout.phase))
    return Group(title.append(f": {release.model.description}"), table)


def _comparison(findings: Iterable[Judged]) -> Finding | None:
    return next((j.finding for j in findings if j.guardrail.metric == "accuracy"), None)


def _accuracy(rate: float | None, labelled: int | None) -> str:
    if rate is None or not labelled:
        return ""
    low, high = interval(rate, labelled)
    return f"{rate:.1%} ({low:.1%} to {high:.1%}) of {labelled:,}"


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
