"""An experiment in the terminal: where it stands, what it says, and how sure that is."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from turnout.cli.render import coloured, table, when

Json = Mapping[str, Any]

SCALE: Final = 41
"""Columns of an interval's axis; no difference is in the middle."""


def experiments(found: Sequence[Json]) -> RenderableType:
    if not found:
        return "no experiments yet: POST /api/v1/models/{model}/experiments plans one"
    rows = table("", "key", "status", "conclusion", "model", "versions", "created")
    rows.columns[0].min_width = max(len(experiment["key"]) for experiment in found)
    for column in rows.columns:
        column.no_wrap = True
    for experiment in found:
        rows.add_row(
            experiment["key"],
            coloured(experiment["status"]),
            coloured(experiment["conclusion"] or ""),
            experiment["model"],
            _versions(experiment["plan"]),
            when(experiment["created_at"]),
        )
    return rows


def line(experiment: Json) -> Text:
    """One line on where an experiment stands."""
    text = Text.assemble((experiment["model"], "bold"), f" {experiment['key']}: ")
    text.append_text(coloured(experiment["status"]))
    if conclusion := experiment["conclusion"]:
        text.append(", ")
        text.append_text(coloured(conclusion))
    if serves := experiment["serves"]:
        text.append(f", {serves} answers everything")
    text.append(f" ({experiment['reason']})", style="dim")
    return text


def story(experiment: Json, analysis: Json | None, history: Sequence[Json]) -> RenderableType:
    parts: list[RenderableType] = [line(experiment), Text(experiment["id"], style="dim")]
    if ends := experiment["ends_at"]:
        parts.append(f"ends at {when(ends)} at the latest")
    if experiment["waiting_for"]:
        parts.append(f"waits: {experiment['waiting_for']}")
    if analysis is not None:
        parts += ["", findings(experiment["plan"], analysis)]
    return Group(*parts, "", _steps(history))


def findings(plan: Json, analysis: Json) -> RenderableType:
    """The newest analysis: first the words, then what they rest on."""
    parts: list[RenderableType] = [analysis["recommendation"], "", _arms(plan, analysis)]
    if intervals := _intervals(plan, analysis):
        parts += ["", intervals]
    for rows in (_health(analysis), _guardrails(analysis), _secondary(analysis)):
        if rows.row_count:
            parts += ["", rows]
    title = Text.assemble("analysis ", (str(analysis["number"]), "bold"), " · ")
    title.append_text(coloured(analysis["conclusion"]))
    looks = "1 look" if analysis["looks"] == 1 else f"{analysis['looks']} looks"
    looks += f", {analysis['fraction']:.0%} of the planned units"
    return Panel(
        Group(*parts),
        title=title,
        title_align="left",
        subtitle=f"{when(analysis['at'])} · {looks}",
        subtitle_align="right",
    )


def _versions(plan: Json) -> str:
    return " / ".join((plan["control"], *(arm["version"] for arm in plan["treatments"])))


def _arms(plan: Json, analysis: Json) -> Table:
    compared = {found["version"]: found for found in analysis["comparisons"]}
    goal = plan["goal"]["metric"]
    rows = table("", "version", "role", "weight", "units", goal, "effect", "lift", "p", "is")
    for arm in analysis["arms"]:
        found = compared.get(arm["version"])
        finding = found["finding"] if found else {}
        rows.add_row(
            arm["version"],
            arm["role"],
            f"{arm['weight']:g} %",
            f"{arm['measured']:,} of {arm['planned']:,}",
            _figure(arm["value"]),
            _signed(finding.get("effect")),
            _lift(finding.get("relative_effect")),
            _figure(found["p_value"]) if found else "",
            coloured(finding.get("status", "")),
        )
    return rows


def _intervals(plan: Json, analysis: Json) -> Table | None:
    """Each interval on one axis, with the least effect that matters as its scale."""
    known = [found for found in analysis["comparisons"] if None not in found["finding"]["interval"]]
    if not known:
        return None
    ends = [abs(end) for found in known for end in found["finding"]["interval"]]
    reach = max(*ends, plan["goal"]["minimum_detectable_effect"])
    rows = Table(box=None, show_header=False, pad_edge=False)
    for found in known:
        low, high = found["finding"]["interval"]
        rows.add_row(
            found["version"],
            Text(f"{_signed(low)}", style="dim"),
            bar(low, found["finding"]["effect"], high, reach=reach),
            Text(f"{_signed(high)}", style="dim"),
        )
    return rows


def bar(low: float, effect: float, high: float, *, reach: float) -> Text:
    """Draw an interval between -reach and +reach."""
    start, point, end = (_column(value, reach) for value in (low, effect, high))
    style = "green" if low > 0 else "red" if high < 0 else "cyan"
    text = Text()
    for column in range(SCALE):
        nothing = column == SCALE // 2
        if column == point:
            text.append("●", style=style)
        elif start <= column <= end:
            text.append("┿" if nothing else "━", style=style)
        elif nothing:
            text.append("│", style="dim")
        else:
            text.append("·", style="dim")
    return text


def _column(value: float, reach: float) -> int:
    return round((value / reach + 1) / 2 * (SCALE - 1))


def _health(analysis: Json) -> Table:
    """Only what is wrong."""
    rows = table("health", "check", "verdict", "why")
    for found in analysis["health"]:
        if found["verdict"] != "pass":
            rows.add_row(
                found["check"].replace("_", " "), coloured(found["verdict"]), found["reason"]
            )
    return rows


def _guardrails(analysis: Json) -> Table:
    rows = table("guardrails", "version", "verdict", "metric", "why")
    for found in analysis["guardrails"]:
        rows.add_row(
            found["version"],
            coloured(found["finding"]["verdict"]),
            found["guardrail"]["metric"],
            found["finding"]["reason"],
        )
    return rows


def _secondary(analysis: Json) -> Table:
    rows = table("secondary", "version", "metric", "effect", "lift", "p", "significant", "why not")
    for found in analysis["secondary"]:
        rows.add_row(
            found["version"],
            found["metric"]["metric"],
            _signed(found["finding"]["effect"]),
            _lift(found["finding"]["relative_effect"]),
            _figure(found["adjusted_p_value"]),
            "yes" if found["significant"] else "no",
            found["finding"]["reason"] or "",
        )
    return rows


def _steps(history: Sequence[Json]) -> Table:
    rows = table("history", "at", "status", "by", "why")
    for step in history:
        rows.add_row(when(step["at"]), coloured(step["to_status"]), step["actor"], step["reason"])
    return rows


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3g}"


def _lift(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"
