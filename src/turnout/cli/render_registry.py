"""What the commands about the registry print."""

from collections.abc import Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from turnout.cli.render import Json, table

STYLES: Final = {"better": "green", "worse": "red", "same": "dim"}


def comparison(found: Json) -> RenderableType:
    """One table per kind of figure, and a line for every difference of the signatures."""
    versions = [column["version"] for column in found["versions"]]
    parts = [("registered", found["metrics"])]
    parts += [(f"group {name}", rows) for name, rows in found["group_metrics"].items()]
    parts.append(("live", found["live"]))
    tables = [_metrics(title, versions, rows) for title, rows in parts if rows]
    note = Text(f"{found['model']}, against {found['against']}", style="bold")
    return Group(note, *tables, *_differences(found))


def _metrics(title: str, versions: list[str], rows: list[Any]) -> Table:
    shown = table(title, "metric", *versions)
    for row in rows:
        shown.add_row(row["metric"], *(_cell(row["values"][version]) for version in versions))
    return shown


def _cell(compared: Json) -> Text:
    if compared["value"] is None:
        return Text("-", style="dim")
    cell = Text(f"{compared['value']:.6g}")
    if compared["difference"]:
        cell.append(f" {compared['difference']:+.4g}", STYLES.get(compared["judgement"], ""))
    if compared["judgement"] in {"better", "worse"}:
        cell.append(f" {compared['judgement']}", STYLES[compared["judgement"]])
    return cell


def _differences(found: Json) -> Iterator[str]:
    for column in found["versions"]:
        for sentence in column["signature_differences"]:
            yield f"{column['version']}: {sentence}"


def imported(done: Json) -> RenderableType:
    verb = "would be added" if done["dry_run"] else "added"
    what = ("models", "versions", "aliases", "gate_policies", "approvals")
    counts = ", ".join(f"{done[one]} {one.replace('_', ' ')}" for one in what)
    missing = [
        f"{each['model']} {each['version']}: its file {each['sha256']} is not here"
        for each in done["missing_files"]
    ]
    return "\n".join([f"{verb}: {counts}", *missing])
