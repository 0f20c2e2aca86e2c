"""The drift report as one HTML document, which needs no script and asks nobody for anything."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from turnout.monitoring.domain.report import DriftView
from turnout.monitoring.page import charts, words

TEMPLATES: Final = Path(__file__).parent / "templates"
STYLE: Final = (TEMPLATES / "drift.css").read_text(encoding="utf-8")
_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
)
"""Also inside the document, so that a file keeps to it as well."""
HEADERS: Final = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
}


_STYLE: Final = Markup(STYLE)  # noqa: S704  (a file of ours)


def page(report: DriftView) -> str:
    return (
        _environment()
        .get_template("drift.html")
        .render(report=report, style=_STYLE, policy=POLICY, words=words, charts=charts)
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "distance": words.distance,
        "share": words.share,
        "moment": words.moment,
        "points": lambda number: f"{number:.1f}".removesuffix(".0"),
        "prose": _prose,
        "sentence": lambda text: text[:1].upper() + text[1:],
        "count": lambda number: f"{number:,}",
    }
    return made


def _prose(text: str) -> Markup:
    """What stands between backticks is to be typed."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  (escaped)
