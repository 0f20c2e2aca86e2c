"""What the operator's commands print."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

out = Console(markup=False, emoji=False)
"""Reasons and names are anybody's text: "[ops]" in one of them is no mark-up."""

Json = Mapping[str, Any]


def say(line: str | Text) -> None:
    """Print one line, however long: who pipes it into a search looks for whole lines."""
    out.print(line, soft_wrap=True)


COLOURS: Final = {
    "running": "cyan",
    "baking": "cyan",
    "awaiting_approval": "magenta",
    "paused": "yellow",
    "succeeded": "green",
    "rolling_back": "red",
    "rolled_back": "red",
    "aborted": "red",
    "failed": "bold red",
    "rolling_out": "cyan",
    "validating": "cyan",
    "training": "magenta",
    "refused": "red",
    "unneeded": "dim",
    "cancelled": "dim",
    "ok": "green",
    "attention": "yellow",
    "idle": "dim",
    "pass": "green",
    "fail": "red",
    "error": "bold red",
    "skipped": "dim",
    "win": "green",
    "harm": "red",
    "concluded": "green",
    "stopped": "dim",
    "ship": "bold green",
    "keep_control": "red",
    "futile": "yellow",
    "invalid": "bold red",
    "production": "green",
    "rejected": "red",
    "proven": "green",
    "obstacle": "red",
    "archived": "dim",
    "firing": "bold red",
    "acknowledged": "yellow",
    "resolved": "green",
    "critical": "bold red",
    "warning": "yellow",
}
BAR: Final = 20


def counted(count: int, what: str) -> str:
    """`1 model`, `2 models`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def coloured(word: str) -> Text:
    return Text(word.replace("_", " "), style=COLOURS.get(word, "default"))


def when(moment: str | None) -> str:
    """Show a time in the reader's own zone, and which that is: sentences speak of UTC."""
    if moment is None:
        return ""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def table(title: str, *columns: str) -> Table:
    """Make a table whose first column is never cut: it is what the next command is given."""
    made = Table(
        title=title or None, title_justify="left", box=None, header_style="bold", pad_edge=False
    )
    for place, column in enumerate(columns):
        made.add_column(column, no_wrap=place == 0, overflow="ellipsis" if place else "fold")
    return made


def models(found: Sequence[Json]) -> RenderableType:
    if not found:
        return "no models yet: POST /api/v1/models/{model}/versions registers the first version"
    rows = table("", "model", "owner", "description")
    for model in found:
        rows.add_row(model["name"], model["owner"] or "", model["description"] or "")
    return rows


def versions(model: str, found: Sequence[Json]) -> RenderableType:
    if not found:
        return f"no such version of {model}"
    rows = table(model, "version", "stage", "runtime", "metrics", "registered")
    for version in found:
        metrics = "  ".join(f"{name} {value:g}" for name, value in version["metrics"].items())
        rows.add_row(
            version["version"],
            coloured(version["stage"]),
            version["runtime"]["kind"],
            metrics,
            when(version["created_at"]),
        )
    return rows


def rollouts(found: Sequence[Json]) -> RenderableType:
    if not found:
        return "no rollouts"
    rows = table("", "id", "phase", "change", "model", "started")
    for column in rows.columns:
        column.overflow = "fold"  # in a narrow terminal a cut phase or version says nothing
    rows.columns[0].min_width = 36  # an id, whole
    rows.columns[1].no_wrap, rows.columns[1].min_width = True, len("rolled_back")
    for rollout in found:
        rows.add_row(
            rollout["id"],
            coloured(rollout["phase"]),
            " → ".join(filter(None, (rollout["baseline"], rollout["candidate"]))),
            rollout["model"],
            when(rollout["created_at"]),
        )
    return rows


def drill(found: Json) -> RenderableType:
    way = " → ".join(filter(None, (found["from_version"], found["to_version"])))
    rows = table(f"rollback {way}".strip(), "trial", "what was found")
    for trial in found["trials"]:
        rows.add_row(coloured(trial["result"]), trial["sentence"])
    return rows


def replay(found: Json) -> RenderableType:
    if found["same"]:
        return f"all of {found['looks']} stored verdicts come out the same"
    rows = table(
        f"{len(found['differences'])} of {found['looks']} verdicts come out otherwise",
        "evidence",
        "at",
        "stored",
        "replayed",
        "why",
    )
    for difference in found["differences"]:
        rows.add_row(
            str(difference["evidence"]),
            when(difference["at"]),
            coloured(difference["stored"]["verdict"]),
            coloured(difference["replayed"]["verdict"]),
            difference["replayed"]["reason"],
        )
    return rows


def line(rollout: Json) -> Text:
    """One line on where a rollout stands."""
    text = Text.assemble((rollout["model"], "bold"), " ")
    if rollout["baseline"]:
        text.append(f"{rollout['baseline']} → ")
    text.append(f"{rollout['candidate']}: ")
    text.append_text(coloured(rollout["phase"]))
    text.append(f", stage {_stage(rollout['stage'])}, {rollout['weight']:g} % candidate")
    if rollout["reason"]:
        text.append(f" ({rollout['reason']})", style="dim")
    return text


def story(rollout: Json, history: Sequence[Json]) -> RenderableType:
    filled = round(BAR * rollout["weight"] / 100)
    bar = Text("█" * filled, style="cyan") + Text("░" * (BAR - filled), style="dim")
    parts: list[RenderableType] = [line(rollout), bar + Text(f" {rollout['weight']:g} %")]
    ends = rollout["stage"]["ends_at"]
    if ends and rollout["phase"] != "awaiting_approval":
        parts.append(f"this stage ends at {when(ends)} at the earliest")
    if rollout["waiting_for"]:
        parts.append(f"waits: {rollout['waiting_for']}")
    if rollout["goal"]:
        parts.append(goal(rollout))
    parts += ["", findings(rollout), "", steps(history)]
    return Group(*parts)


def goal(rollout: Json) -> Text:
    """What the A/B test is about, and what its last look found."""
    found, wanted = rollout["goal"], rollout["plan"]["stages"][rollout["stage"]["index"]]["goal"]
    about = f"goal: {wanted['metric']}, " if wanted else "goal: "
    return Text.assemble((about, "bold"), coloured(found["status"]), f" ({found['reason']})")


def findings(rollout: Json) -> RenderableType:
    rows = table("guardrails", "verdict", "limit", "candidate", "baseline", "why")
    for found in rollout["findings"]:
        finding = found["finding"]
        rows.add_row(
            coloured(finding["verdict"]),
            _limit(found["guardrail"]),
            _figure(finding["candidate"]),
            _figure(finding["baseline"]),
            finding["reason"],
        )
    return rows


def steps(history: Sequence[Json]) -> RenderableType:
    rows = table("history", "at", "phase", "weight", "by", "why")
    for step in history:
        rows.add_row(
            when(step["at"]),
            coloured(step["to_phase"]),
            f"{step['weight']:g} %",
            step["actor"],
            step["reason"],
        )
    return rows


def _stage(stage: Json) -> str:
    """Its index, as `--expected-stage` takes it, and its place."""
    return f"{stage['index']} ({stage['index'] + 1} of {stage['of']})"


def _limit(guardrail: Json) -> str:
    rule = next(
        r for r in ("max", "min", "max_increase", "max_decrease") if guardrail[r] is not None
    )
    limit = f"{guardrail['metric']} {rule.replace('_', ' ')} {guardrail[rule]:g}"
    if segment := guardrail["segment"]:
        limit += f" where {segment['attribute']} = {' or '.join(segment['values'])}"
    if guardrail["maturity"]:
        limit += f" at age {guardrail['maturity']}"
    return f"{limit} (dry run)" if guardrail["dry_run"] else limit


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
