"""What the commands about gates print."""

from rich.console import Group, RenderableType
from rich.text import Text

from turnout.cli.render import Json, coloured, table


def report(model: str, version: str, found: Json) -> RenderableType:
    compared = found["compared_with"]
    beside = f", compared with {compared}" if compared else ""
    rows = table("", "result", "check")
    for finding in found["findings"]:
        for check in finding["checks"]:
            why = Text(f"{check['name']}\n") + Text(check["reason"], style="dim")
            rows.add_row(coloured(check["result"]), why)
    heading = Text(f"{model} {version} to {found['to']}{beside}: ")
    return Group(heading + coloured(found["verdict"]), rows)
