"""What the commands about updates print."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from turnout.cli.render import Json, coloured, counted, table, when


def updates(found: Sequence[Json]) -> RenderableType:
    rows = table("", "id", "model", "version", "trigger", "state", "since")
    for one in found:
        since = when(one["finished_at"] or one["started_at"] or one["created_at"])
        target = one["version"] or one["wish"]["target"]
        state = coloured(one["state"])
        rows.add_row(one["id"], one["model"], target, one["trigger"], state, since)
    return rows


def story(found: Json) -> RenderableType:
    target = found["version"] or found["wish"]["target"]
    heading = Text(f"{found['model']} to {target} ({found['trigger']}): ")
    facts = [Text(f"update {found['id']}, asked for by {found['requested_by']}", style="dim")]
    if found["rollout"]:
        facts.append(Text(f"rollout {found['rollout']}", style="dim"))
    steps = table("", "when", "state", "by", "why")
    for step in found["history"]:
        steps.add_row(
            when(step["at"]), coloured(step["state"]), step["actor"], Text(step["reason"])
        )
    parts: list[RenderableType] = [heading + coloured(found["state"]), *facts, steps]
    if found["findings"]:
        parts.append(_findings(found["findings"]))
    return Group(*parts)


def _findings(found: Sequence[Json]) -> RenderableType:
    rows = table("", "result", "rule")
    for one in found:
        for check in one["finding"]["checks"]:
            mark = Text(" (keeps it from beginning)", style="red") if one["obstacle"] else Text()
            why = Text(f"{check['name']}\n") + Text(check["reason"], style="dim")
            rows.add_row(coloured(check["result"]) + mark, why)
    return rows


def schedules(found: Sequence[Json]) -> RenderableType:
    rows = table("", "id", "cron", "zone", "target", "next", "last", "by")
    for one in found:
        rows.add_row(
            one["id"],
            one["cron"],
            one["zone"],
            one["update"]["target"],
            when(one["next_at"]),
            when(one["last_at"]),
            one["created_by"],
        )
    return rows


def statistics(found: Json) -> RenderableType:
    ended = found["ended"]
    rate = ended["success_rate"]
    share = "no update was tried" if rate is None else f"{rate:.0%} of those tried succeeded"
    waiting = sum(found["unfinished"].values()) - found["under_way"]
    heading = Text(
        f"{counted(ended['ended'], 'update')} ended in {counted(found['days'], 'day')}: {share};"
        f" {found['under_way']} of {found['at_once']} under way, {waiting} waiting"
    )
    rows = table("", "state", "updates")
    for state, count in sorted(ended["by_state"].items()):
        rows.add_row(coloured(state), str(count))
    return Group(heading, rows)
