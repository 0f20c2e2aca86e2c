"""What the commands about gates print."""

from rich.console import Group, RenderableType
from rich.text import Text

from turnout.cli.render import Json, coloured, table


def report(model: str, version: str, found: Json) -> RenderableType:
    compared = found["compared_with"]
    beside = f", compared with {compared}" if compared else ""
    rows = table("", "check", "result", "value", "limit", "why")
    for finding in found["findings"]:
        for check in finding["checks"]:
            rows.add_row(
                check["name"],
                coloured(check["result"]),
                _figure(check["value"]),
                _figure(check["limit"]),
                check["reason"],
            )
    heading = Text(f"{model} {version} to {found['to']}{beside}: ")
    return Group(heading + coloured(found["verdict"]), rows)


def _figure(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.4g}"
