"""Draw how the answer of an experiment came about, as SVG on standard output.

    python examples/plot_experiment.py KEY [KEY ...] > experiments.svg

Reads every look at the goal that Turnout has stored (`GET /experiments/{id}/analyses`), and draws
the difference seen, its interval, and the two lines at which the search ends: one to ship, one to
give up. One panel per experiment, of its first treatment.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from httpx2 import Client, TransportError

HERE = os.environ.get("TURNOUT_URL", "http://127.0.0.1:8000")
SHARES = {"accuracy", "error_rate", "success_rate"}
LESS_IS_BETTER = {"error_rate", "latency_mean", "cost"}

WIDTH, HEIGHT = 800, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 78, 46

STYLE = """
svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.card { fill: #ffffff; } .ink { fill: #1f2933; } .soft { fill: #52606d; }
.title { font-size: 15px; font-weight: 600; } .verdict { font-weight: 600; }
.grid { stroke: #e4e7eb; } .zero { stroke: #1f2933; stroke-width: 1.2; }
.end { stroke: #7b8794; stroke-dasharray: 2 4; }
.interval { fill: #2f80ed; fill-opacity: .2; stroke: none; }
.effect { stroke: #1a5fb4; stroke-width: 2.4; fill: none; } .dot { fill: #1a5fb4; }
.ship { stroke: #18794e; stroke-width: 1.8; stroke-dasharray: 7 4; fill: none; }
.stop { stroke: #b54708; stroke-width: 1.8; stroke-dasharray: 2 3; fill: none; }
@media (prefers-color-scheme: dark) {
  .card { fill: #10161d; } .ink { fill: #e4e7eb; } .soft { fill: #a9b4c0; }
  .grid { stroke: #28323d; } .zero { stroke: #e4e7eb; } .end { stroke: #7b8794; }
  .interval { fill: #58a6ff; } .effect { stroke: #79b8ff; } .dot { fill: #79b8ff; }
  .ship { stroke: #4cc38a; } .stop { stroke: #ffa057; }
}
"""


@dataclass(frozen=True)
class Look:
    units: int
    effect: float
    low: float
    high: float
    ship: float | None
    stop: float | None


@dataclass(frozen=True)
class Course:
    title: str
    verdict: str
    axis: str
    unit: str
    planned: int
    looks: Sequence[Look]


def main() -> None:
    options = argparse.ArgumentParser(description="Draw experiments as SVG.")
    options.add_argument("keys", nargs="+", metavar="KEY", help="of an experiment")
    options.add_argument("--url", default=HERE, help="where Turnout runs")
    chosen = options.parse_args()
    with Client(base_url=f"{chosen.url}/api/v1/", timeout=30) as api:
        try:
            courses = [course(api, key) for key in chosen.keys]
        except TransportError as error:
            raise SystemExit(f"no answer from {chosen.url}: {error}") from None
    print("\n".join(drawing(courses)))


def course(api: Client, key: str) -> Course:
    """All looks of the experiment with this key."""
    found = answer(api, "experiments", key=key)["items"]
    if not found:
        raise SystemExit(f"no experiment has the key {key}")
    experiment = found[0]
    path, goal = f"experiments/{experiment['id']}", experiment["plan"]["goal"]
    share = goal["metric"] in SHARES and goal["per"] == "outcome"
    analyses = list(at_goal(api, path))
    if not analyses:
        raise SystemExit(f"{key} has not been looked at with enough data yet")
    newest = answer(api, f"{path}/analysis")
    looked = f"{newest['looks']} looks, {newest['fraction']:.0%} of the planned units"
    return Course(
        title=f"{experiment['model']}: {newest['leader']} against {experiment['plan']['control']}",
        verdict=f"{newest['conclusion'].replace('_', ' ')} after {looked}",
        axis=f"difference in {goal['metric']}",
        unit=" points" if share else "",
        planned=sum(arm["planned"] for arm in newest["arms"]),
        looks=[look(analysis, goal, 100 if share else 1) for analysis in analyses],
    )


def at_goal(api: Client, path: str) -> Iterator[Any]:
    """The analyses at which the goal was looked at, the oldest first."""
    listed: list[Any] = []
    page: dict[str, Any] = {"next_cursor": ""}
    while (cursor := page["next_cursor"]) is not None:
        page = answer(
            api, f"{path}/analyses", limit="500", **({"cursor": cursor} if cursor else {})
        )
        listed += page["items"]
    for summary in reversed(listed):
        if summary["at_goal"] and None not in summary["comparisons"][0]["interval"]:
            yield answer(api, f"{path}/analyses/{summary['number']}")


def look(analysis: Any, goal: Any, scale: float) -> Look:
    """Bounds are told in standard errors under no difference, in the good direction."""
    finding = analysis["comparisons"][0]["finding"]
    error = finding["effect"] / finding["z"] if finding["z"] else finding["standard_error"]
    if goal["direction"] == "decrease" or goal["metric"] in LESS_IS_BETTER:
        error = -error
    ship, stop = finding["bound"], finding["futility_bound"]
    low, high = finding["interval"]
    return Look(
        units=sum(arm["measured"] for arm in analysis["arms"]),
        effect=scale * finding["effect"],
        low=scale * low,
        high=scale * high,
        ship=None if ship is None else scale * ship * error,
        stop=None if stop is None else scale * stop * error,
    )


def answer(api: Client, path: str, **query: str) -> Any:
    response = api.get(path, params=query)
    if not response.is_success:
        raise SystemExit(response.json()["detail"])
    return response.json()


def drawing(courses: Sequence[Course]) -> Iterator[str]:
    height = HEIGHT * len(courses)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" role="img" aria-label="Difference and interval, look by look">'
    )
    yield f"<style>{STYLE}</style>"
    yield (
        f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}"'
        f' height="{HEIGHT - TOP - BOTTOM}"/></clipPath>'
    )
    yield f'<rect class="card" width="{WIDTH}" height="{height}" rx="8"/>'
    for number, shown in enumerate(courses):
        yield f'<g transform="translate(0 {number * HEIGHT})">'
        yield from panel(shown)
        yield "</g>"
    yield "</svg>"


def panel(shown: Course) -> Iterator[str]:
    looks = shown.looks
    step = tick(reach(looks) / 2.5)
    most = step * -(-reach(looks) // step)
    last = max(shown.planned, looks[-1].units)
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(units: float) -> float:
        return LEFT + across * units / last

    def y(value: float) -> float:
        return TOP + down * (1 - value / most) / 2

    def path(values: Sequence[tuple[int, float]]) -> str:
        return " ".join(f"{x(units):.1f},{y(value):.1f}" for units, value in values)

    yield text(LEFT, 26, shown.title, "ink title")
    yield text(WIDTH - RIGHT, 26, shown.verdict, "ink verdict", "end")
    yield from legend()
    for number in range(-round(most / step), round(most / step) + 1):
        value = number * step
        kind = "grid" if number else "zero"
        yield line(kind, LEFT, y(value), WIDTH - RIGHT, y(value))
        yield text(LEFT - 8, y(value) + 4, f"{value:+g}" if number else "0", "soft", "end")
    yield (
        f'<text class="soft" transform="translate(16 {TOP + down / 2}) rotate(-90)"'
        f' text-anchor="middle">{shown.axis},{shown.unit}</text>'
    )
    every = tick(last / 6)
    for number in range(int(last // every) + 1):
        units = number * every
        yield text(x(units), TOP + down + 18, f"{units:,.0f}", "soft", "middle")
    yield text(LEFT + across / 2, TOP + down + 37, "units of both variants", "soft", "middle")
    yield line("end", x(shown.planned), TOP, x(shown.planned), TOP + down)
    yield text(x(shown.planned) - 6, TOP + down - 7, "planned end", "soft", "end")
    lower = [(look.units, look.low) for look in looks]
    upper = [(look.units, look.high) for look in looks]
    band = path(upper + lower[::-1])
    yield f'<polygon class="interval" clip-path="url(#plot)" points="{band}"/>'
    for kind, values in (
        ("ship", [(look.units, look.ship) for look in looks if look.ship is not None]),
        ("stop", [(look.units, look.stop) for look in looks if look.stop is not None]),
        ("effect", [(look.units, look.effect) for look in looks]),
    ):
        yield f'<polyline class="{kind}" clip-path="url(#plot)" points="{path(values)}"/>'
    end = looks[-1]
    yield f'<circle class="dot" cx="{x(end.units):.1f}" cy="{y(end.effect):.1f}" r="4.5"/>'


def reach(looks: Sequence[Look]) -> float:
    """How far the axis goes: first intervals are wide, and say little."""
    middle = looks[len(looks) // 3]
    return max(abs(middle.low), abs(middle.high), *(abs(look.effect) for look in looks))


def legend() -> Iterator[str]:
    place = LEFT
    for kind, label, width in (
        ("effect", "difference seen", 155),
        ("interval", "its interval", 130),
        ("ship", "ship above this line", 185),
        ("stop", "give up below this line", 0),
    ):
        if kind == "interval":
            yield f'<rect class="interval" x="{place}" y="41" width="26" height="14"/>'
        else:
            yield line(kind, place, 48, place + 26, 48)
        yield text(place + 33, 52, label, "soft")
        place += width


def tick(least: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 and so on."""
    power = 1.0
    while power > least:
        power /= 10
    while power * 10 <= least:
        power *= 10
    return next(power * step for step in (1, 2, 5, 10) if power * step >= least)


def text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


if __name__ == "__main__":
    main()
