"""The drift report as a page: its bars, its words, and that it is one safe document."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from tests.monitoring.reports import (
    HOSTILE,
    NOW,
    USUAL,
    VOLUME,
    Fed,
    hour,
    one_is_fed_otherwise,
    report,
    the_world_has_moved,
)
from turnout.drift.domain.onset import Step
from turnout.monitoring.domain.report import BinView, DistributionView, DriftView
from turnout.monitoring.page import charts, words
from turnout.monitoring.page.charts import HIGH, LEFT, TOP, WIDTH, Chart
from turnout.monitoring.page.document import POLICY, page
from turnout.stats.verdict import Verdict

UNKNOWN = report(
    Fed(version="2.0.0", hours=[hour(30)] * 2),
    Fed(version="2.1.0", baseline=None),
    volume=None,
)
REPORTS = {
    "one is fed otherwise": one_is_fed_otherwise(),
    "the world has moved": the_world_has_moved(),
    "too little is known": UNKNOWN,
    "no version serves": report(volume=None),
    "nothing was counted": report(Fed(version="2.0.0")),
    "a baseline is awaited": report(Fed(version="2.0.0", baseline=None, awaited=5000)),
    "traffic is off": report(
        Fed(version="2.0.0", hours=[USUAL] * 24), volume=replace(VOLUME, predictions=90)
    ),
}


def found(feature: str) -> DistributionView:
    second = REPORTS["one is fed otherwise"].versions[1]
    return next(one for one in words.distributions(second) if one.feature == feature)


class Document(HTMLParser):
    """What a page consists of, and what is wrong with how its elements are nested."""

    VOID = frozenset({"meta", "br", "rect", "line"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("told", REPORTS.values(), ids=REPORTS)
def test_a_page_is_one_document_without_script_that_loads_nothing(told: DriftView):
    document = Document(page(told))
    names = {tag for tag, _ in document.tags}
    attributes = {name for _, given in document.tags for name in given}
    ids = [given["id"] for _, given in document.tags if "id" in given]

    assert document.open == []
    assert names.isdisjoint({"script", "link", "img", "iframe", "object", "form", "base"})
    assert attributes.isdisjoint({"style", "src", "href", "action"})
    assert not any(name.startswith("on") for name in attributes)
    assert len(ids) == len(set(ids))


def test_the_policy_lets_in_the_style_and_nothing_else():
    text = page(REPORTS["no version serves"])
    [style] = re.findall(r"<style>(.*)</style>", text, re.DOTALL)
    known = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert POLICY.startswith(f"default-src 'none'; style-src 'sha256-{known}'")
    assert "url(http" not in style
    assert "@import" not in style


def test_what_people_named_is_text():
    text = page(REPORTS["one is fed otherwise"])

    assert HOSTILE not in text
    assert text.count("&lt;script&gt;alert(&#39;score&#39;)&lt;/script&gt;") > 2


def test_every_distribution_has_a_chart_with_a_name_and_a_table():
    told = REPORTS["one is fed otherwise"]
    tags = Document(page(told)).tags
    shown = sum(len(words.distributions(one)) for one in told.versions)
    drawn = [given for tag, given in tags if tag == "svg" and given.get("role") == "img"]

    assert len([1 for tag, _ in tags if tag == "article"]) == shown
    assert len(drawn) == shown + 2  # the course of one that moved, and traffic
    assert all(given.get("aria-labelledby") for given in drawn)
    assert len([1 for tag, _ in tags if tag == "table"]) == shown + 1 + len(told.versions)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("one is fed otherwise", "amount has moved, in 2.0.0 alone"),
        ("the world has moved", "amount has moved, for every version"),
        ("too little is known", "Too little is known to tell"),
        ("no version serves", "No version serves"),
        ("nothing was counted", "Too little is known to tell"),
        ("traffic is off", "Traffic is off"),
    ],
)
def test_the_headline_is_understood_in_five_seconds(told: str, said: str):
    assert words.headline(REPORTS[told]) == said
    assert f"</span> {said}</h1>" in page(REPORTS[told])
    assert f"<title>{said} · fraud-detection · drift</title>" in page(REPORTS[told])


def test_what_moved_since_when_and_whose_stand_on_top():
    text = page(REPORTS["one is fed otherwise"])
    top = text[: text.index("</header>")]

    assert "<b>amount</b> of 2.0.0: 31.0% are from 400 to below 800, 16.2% in the baseline" in top
    assert "about 30 Nov 2026, 06:00 UTC" in top
    assert "2.0.0 alone (amount): what answers beside it does not show it." in top
    assert "<code>turnout rollback fraud-detection --to-version 1.4.2</code>" in top


def test_what_every_version_shows_is_said_once():
    [(one, of)] = words.findings(REPORTS["the world has moved"])

    assert (one.feature, of) == ("amount", "every version")


def test_what_is_compared_with_what_is_said():
    text = " ".join(page(REPORTS["one is fed otherwise"]).split())

    assert (
        "Held against its baseline, made of rows of its training data and set 09 Nov 2026, 14:20"
        " UTC by ada. From 29 Nov 2026, 14:20 UTC it answered 403,800 times, of which 10,095 were"
        " sampled" in text
    )
    assert "1.4.2, in the same hours" in text


def test_too_few_say_how_many_it_would_take():
    assert "62 counted, and 200 are needed to tell." in page(UNKNOWN)
    assert words.standing(UNKNOWN.versions[0]) is Verdict.INSUFFICIENT_SAMPLE


def test_the_worst_come_first():
    told = REPORTS["one is fed otherwise"]
    shown = words.distributions(told.versions[1])

    assert [one.version for one in words.versions(told)] == ["2.0.0", "1.4.2"]
    assert (shown[0].feature, shown[-1].feature) == ("amount", HOSTILE)


def bars(chart: Chart, series: str) -> list[float]:
    return [bar.height for group in chart.groups for bar in group.bars if bar.series == series]


def test_bars_of_numbers_are_as_high_as_their_shares():
    amount = found("amount")
    chart = charts.distribution_chart(amount, "2.0.0")
    most = charts.ticks(max(one.observed for one in amount.bins))[-1]

    assert bars(chart, "observed") == pytest.approx(
        [HIGH * one.observed / most for one in amount.bins[:-1]]
    )
    assert len(bars(chart, "beside")) == len(bars(chart, "expected")) == len(amount.bins) - 1
    assert chart.groups[0].told == (
        "below 10: 29.5% in the baseline, 18.8% of 2.0.0, 29.5% of the version beside it"
    )


@pytest.mark.parametrize("feature", ["amount", "age_days", "channel", "country", "prediction"])
def test_everything_lies_within_the_picture_and_no_bar_on_another(feature: str):
    chart = charts.distribution_chart(found(feature), "2.0.0")

    for group in chart.groups:
        for bar in group.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 1e-6
            assert 0 <= bar.y <= bar.y + bar.height <= chart.height
        for one, other in pairwise(group.bars):
            beside = one.x + one.width <= other.x + 1e-6
            assert beside or one.y + one.height <= other.y + 1e-6
    assert all(0 <= label.x <= WIDTH and label.y <= chart.height for label in chart.labels)


def test_labels_of_edges_do_not_touch_each_other():
    edges = tuple(float(k * 1000 + 0.125) for k in range(49))
    bins = [BinView(name="", expected=0.02, observed=0.02, beside=None)] * 51
    chart = charts.distribution_chart(replace(found("amount"), edges=edges, bins=bins), "2.0.0")
    labels = [one for one in chart.labels if one.anchor == "middle" and one.text != "missing"]

    assert len(labels) > 5
    for one, other in pairwise(labels):
        half = charts.LETTER * (len(one.text) + len(other.text)) / 2
        assert other.x - one.x >= half


def test_many_categories_are_summed_up():
    names = [
        BinView(name=f"c{k}", expected=k / 1275, observed=k / 1275, beside=None) for k in range(51)
    ]
    ends = [
        BinView(name=one, expected=0, observed=0, beside=None) for one in ("any other", "missing")
    ]
    chart = charts.distribution_chart(replace(found("country"), bins=[*names, *ends]), "2.0.0")
    labels = [one.text for one in chart.labels if one.anchor == "end" and "%" not in one.text]

    assert len(chart.groups) == charts.MOST_ROWS
    assert labels[0] == "c50"
    assert labels[-1] == "39 others"


def test_what_is_missing_stands_apart():
    bins = [*found("amount").bins[:-1], BinView(name="missing", expected=0, observed=0.3, beside=0)]
    chart = charts.distribution_chart(replace(found("amount"), bins=bins), "2.0.0")
    *_, last, missing = chart.groups

    assert missing.told.startswith("missing: 0.0% in the baseline, 30.0% of 2.0.0")
    assert missing.x - (last.x + last.width) > 5


def test_the_course_shows_the_limit_and_where_nothing_came():
    steps = [
        Step(since=NOW, predictions=0, distance=None),
        Step(since=NOW, predictions=420, distance=0.5),
    ]
    chart = charts.steps_chart(steps, 0.2)

    assert [group.told.split(": ")[1] for group in chart.groups] == [
        "nothing came",
        "0.50 over 420",
    ]
    assert [line.kind for line in chart.lines] == ["zero", "limit"]
    assert TOP <= chart.lines[1].y1 < chart.lines[0].y1


def test_traffic_stands_beside_that_of_earlier_weeks():
    chart = charts.volume_chart(VOLUME)

    assert [label.text for label in chart.labels][:2] == ["-8 w", "-7 w"]
    assert len(bars(chart, "expected")) == 8
    assert bars(chart, "observed") == [max(bars(chart, "observed"))]
    assert charts.volume_chart(replace(VOLUME, predictions=0, earlier=())).groups[0].x == LEFT


@pytest.mark.parametrize(
    ("most", "last", "count"),
    [
        (0.031, 0.04, 5),
        (0.3, 0.3, 4),
        (0.31, 0.4, 5),
        (0.62, 0.8, 5),
        (1.0, 1.0, 6),
        (0.0, 0.01, 2),
    ],
)
def test_shares_are_told_in_round_steps(most: float, last: float, count: int):
    ticks = charts.ticks(most)

    assert ticks[-1] == pytest.approx(last)
    assert len(ticks) == count


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.25, "0.25"), (1600, "1600"), (12345, "12.3k"), (2.5e6, "2.5M"), (-3e9, "-3G"), (0, "0")],
)
def test_numbers_on_an_axis_are_short(number: float, text: str):
    assert charts.compact(number) == text
