"""Where the bars of a chart lie. Drawn 400 wide, so that letters keep their size on a telephone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from turnout.drift.domain.onset import Step
from turnout.monitoring.domain.report import BinView, DistributionView
from turnout.observations.domain.volume import Volume

WIDTH: Final = 400.0
LEFT: Final = 38.0
TOP: Final = 8.0
HIGH: Final = 130.0
LETTER: Final = 6.2
"""How wide a character is, about."""
LOW: Final = 72.0
ROW: Final = 6.0
NAMES: Final = 108.0
MOST_ROWS: Final = 12

Series = Literal["expected", "observed", "beside"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    series: Series
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The bars of one bin, and what is told where the pointer rests on them."""

    told: str
    x: float
    y: float
    width: float
    height: float
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "middle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    x1: float
    y1: float
    x2: float
    y2: float
    kind: Literal["grid", "zero", "limit"] = "grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    height: float
    groups: Sequence[Group]
    labels: Sequence[Label]
    lines: Sequence[Line]
    width: float = WIDTH


def distribution_chart(found: DistributionView, version: str) -> Chart:
    """Numbers stand side by side on their axis; categories lie below each other, to have room for
    their names."""
    if found.edges is not None:
        return _numbers(found, found.edges, version)
    return _categories(found, version)


def ticks(most: float) -> list[float]:
    """Three to five round shares, from nothing to at least `most`."""
    step = next((one for one in (0.01, 0.02, 0.05, 0.1, 0.2) if most <= 5 * one), 0.25)
    count = max(1, math.ceil(min(most, 1.0) / step - 1e-9))
    return [step * k for k in range(count + 1)]


def _numbers(found: DistributionView, edges: Sequence[float], version: str) -> Chart:
    # What is missing stands apart from the axis, where anything is.
    missing = found.bins[-1]
    apart = 44.0 if _shown(missing) else 0.0
    bins = found.bins[: len(edges) + 1]
    scale = ticks(max(_most(one) for one in (*bins, *([missing] if apart else ()))))
    room = (WIDTH - LEFT - apart) / len(bins)
    groups = [
        _upright(one, version, x=LEFT + place * room, room=room, scale=scale)
        for place, one in enumerate(bins)
    ]
    labels = _edge_labels(edges, room)
    if apart:
        groups.append(_upright(missing, version, x=WIDTH - 38, room=38, scale=scale))
        labels.append(Label(x=WIDTH - 19, y=TOP + HIGH + 16, text="missing"))
    return Chart(
        height=TOP + HIGH + 22,
        groups=groups,
        labels=[*labels, *_shares(scale)],
        lines=_levels(scale),
    )


def _upright(one: BinView, version: str, *, x: float, room: float, scale: Sequence[float]) -> Group:
    series = _series(one)
    gap = min(6.0, room * 0.16)
    wide = (room - gap) / len(series)
    bars = []
    for place, (name, share) in enumerate(series):
        high = HIGH * share / scale[-1]
        left = x + gap / 2 + place * wide
        bars.append(Bar(series=name, x=left, y=TOP + HIGH - high, width=wide * 0.92, height=high))
    return Group(told=_told(one, version), x=x, y=TOP, width=room, height=HIGH, bars=bars)


def _edge_labels(edges: Sequence[float], room: float) -> list[Label]:
    """Below the lines between the bins; as many as have room."""
    labels: list[Label] = []
    free = 0.0
    for place, edge in enumerate(edges):
        x, text = LEFT + (place + 1) * room, compact(edge)
        half = len(text) * LETTER / 2
        if x - half >= free and x + half <= WIDTH:
            labels.append(Label(x=x, y=TOP + HIGH + 16, text=text))
            free = x + half + 6
    return labels


def compact(number: float) -> str:
    """As short as an axis wants it: 12.3k for 12,345."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            return f"{number / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{number:.4g}"


def _shares(scale: Sequence[float]) -> list[Label]:
    return [
        Label(
            x=LEFT - 6,
            y=TOP + HIGH * (1 - k / (len(scale) - 1)) + 4,
            text=f"{at:.0%}",
            anchor="end",
        )
        for k, at in enumerate(scale)
    ]


def _levels(scale: Sequence[float]) -> list[Line]:
    heights = [TOP + HIGH * (1 - k / (len(scale) - 1)) for k in range(len(scale))]
    return [
        Line(x1=LEFT, y1=y, x2=WIDTH, y2=y, kind="grid" if k else "zero")
        for k, y in enumerate(heights)
    ]


def _categories(found: DistributionView, version: str) -> Chart:
    # The last two of them, any other and missing, stay last.
    named = sorted(found.bins[:-2], key=lambda one: -one.expected)
    bins = _largest([one for one in (*named, *found.bins[-2:]) if _shown(one)])
    scale = ticks(max(map(_most, bins)))
    room = ROW * len(_series(bins[0])) + 8
    long = WIDTH - NAMES - 8
    groups, labels = [], []
    for place, one in enumerate(bins):
        y = TOP + place * room
        bars = [
            Bar(
                series=name,
                x=NAMES,
                y=y + 4 + row * ROW,
                width=long * share / scale[-1],
                height=ROW * 0.92,
            )
            for row, (name, share) in enumerate(_series(one))
        ]
        groups.append(
            Group(told=_told(one, version), x=0, y=y, width=WIDTH, height=room, bars=bars)
        )
        labels.append(
            Label(x=NAMES - 7, y=y + room / 2 + 4, text=shortened(one.name), anchor="end")
        )
    bottom = TOP + len(bins) * room
    places = [NAMES + long * k / (len(scale) - 1) for k in range(len(scale))]
    labels += [
        Label(
            x=x, y=bottom + 15, text=f"{at:.0%}", anchor="middle" if k < len(scale) - 1 else "end"
        )
        for k, (x, at) in enumerate(zip(places, scale, strict=True))
    ]
    lines = [
        Line(x1=x, y1=TOP, x2=x, y2=bottom, kind="grid" if k else "zero")
        for k, x in enumerate(places)
    ]
    return Chart(height=bottom + 20, groups=groups, labels=labels, lines=lines)


def shortened(name: str) -> str:
    most = int((NAMES - 10) / LETTER)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _largest(bins: Sequence[BinView]) -> list[BinView]:
    """Those with the largest shares, and the sum of the rest: the table beside has them all."""
    if len(bins) <= MOST_ROWS:
        return [*bins]
    ranked = sorted(bins, key=_most, reverse=True)
    named, rest = ranked[: MOST_ROWS - 1], ranked[MOST_ROWS - 1 :]
    beside = [one.beside for one in rest if one.beside is not None]
    summed = BinView(
        name=f"{len(rest)} others",
        expected=sum(one.expected for one in rest),
        observed=sum(one.observed for one in rest),
        beside=sum(beside) if beside else None,
    )
    return [one for one in bins if one in named] + [summed]


def _series(one: BinView) -> list[tuple[Series, float]]:
    series: list[tuple[Series, float]] = [("expected", one.expected), ("observed", one.observed)]
    return series if one.beside is None else [*series, ("beside", one.beside)]


def _most(one: BinView) -> float:
    return max(share for _, share in _series(one))


def _shown(one: BinView) -> bool:
    return _most(one) > 0


def _told(one: BinView, version: str) -> str:
    said = f"{one.name}: {one.expected:.1%} in the baseline, {one.observed:.1%} of {version}"
    return said if one.beside is None else f"{said}, {one.beside:.1%} of the version beside it"


def steps_chart(found: Sequence[Step], limit: float) -> Chart:
    """How far it was at each time, and the limit."""
    most = max([limit, *(one.distance or 0.0 for one in found)]) * 1.15
    room = (WIDTH - LEFT) / len(found)
    groups = []
    for place, one in enumerate(found):
        x, high = LEFT + place * room, LOW * (one.distance or 0.0) / most
        bar = Bar(
            series="observed", x=x + room * 0.1, y=TOP + LOW - high, width=room * 0.8, height=high
        )
        told = f"{one.since:%d %b %H:%M} UTC: " + (
            "nothing came"
            if one.distance is None
            else f"{one.distance:.2f} over {one.predictions:,}"
        )
        groups.append(Group(told=told, x=x, y=TOP, width=room, height=LOW, bars=[bar]))
    level = TOP + LOW * (1 - limit / most)
    first, last = found[0].since, found[-1].since
    labels = [
        Label(x=LEFT - 6, y=level + 4, text=f"{limit:g}", anchor="end"),
        Label(x=LEFT, y=TOP + LOW + 15, text=f"{first:%d %b %H:%M}", anchor="start"),
        Label(x=WIDTH, y=TOP + LOW + 15, text=f"{last:%d %b %H:%M} UTC", anchor="end"),
    ]
    lines = [
        Line(x1=LEFT, y1=TOP + LOW, x2=WIDTH, y2=TOP + LOW, kind="zero"),
        Line(x1=LEFT, y1=level, x2=WIDTH, y2=level, kind="limit"),
    ]
    return Chart(height=TOP + LOW + 20, groups=groups, labels=labels, lines=lines)


def volume_chart(found: Volume) -> Chart:
    """The hour in earlier weeks, the oldest first, and now; the line is what is usual."""
    weeks = len(found.earlier)
    counts = [*reversed(found.earlier), found.predictions]
    usual = sum(found.earlier) / weeks if weeks else None
    most = max([*counts, 1]) * 1.1
    room = (WIDTH - LEFT) / len(counts)
    groups, labels = [], []
    for place, count in enumerate(counts):
        now = place == weeks
        x, high = LEFT + place * room, HIGH * count / most
        name = "now" if now else f"-{weeks - place} w"
        bar = Bar(
            series="observed" if now else "expected",
            x=x + room * 0.15,
            y=TOP + HIGH - high,
            width=room * 0.7,
            height=high,
        )
        ago = "in the latest hour" if now else f"{weeks - place} weeks earlier"
        groups.append(
            Group(told=f"{count:,} {ago}", x=x, y=TOP, width=room, height=HIGH, bars=[bar])
        )
        labels.append(Label(x=x + room / 2, y=TOP + HIGH + 16, text=name))
    lines = [Line(x1=LEFT, y1=TOP + HIGH, x2=WIDTH, y2=TOP + HIGH, kind="zero")]
    if usual is not None:
        level = TOP + HIGH * (1 - usual / most)
        lines.append(Line(x1=LEFT, y1=level, x2=WIDTH, y2=level, kind="limit"))
        labels.append(Label(x=LEFT - 6, y=level + 4, text=compact(usual), anchor="end"))
    return Chart(height=TOP + HIGH + 22, groups=groups, labels=labels, lines=lines)
