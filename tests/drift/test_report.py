"""The drift report says of everything how far it is, by what, and whose it is."""

from datetime import datetime, timedelta

import pytest

from tests.drift.conftest import expects
from tests.drift.test_alarms import BASELINE, EXPENSIVE, USUAL, said, two_versions
from tests.monitoring.conftest import MINUTE, MODEL, Watchman

PATH = f"models/{MODEL}/drift"


async def test_a_model_of_which_nothing_is_known_has_a_report_that_says_so(watchman: Watchman):
    await watchman.post("models", {"name": MODEL})
    nothing = await watchman.get(PATH)
    await watchman.release("1.0.0")
    unknown = await watchman.get(PATH)

    assert (nothing["verdict"], nothing["summary"]) == ("no_data", "nothing serves")
    assert unknown["versions"][0]["summary"] == "it has no baseline to be held against"
    assert unknown["verdict"] == "no_data"
    assert (await watchman.client.get("models/nobody/drift")).status_code == 404


async def test_what_is_as_it_was_passes_with_its_distances(watchman: Watchman):
    await two_versions(watchman)
    await said(watchman, {"1.0.0": USUAL, "2.0.0": USUAL})
    report = await watchman.get(PATH)
    version = report["versions"][0]

    assert report["verdict"] == "pass"
    assert [one["verdict"] for one in version["features"]] == ["pass", "pass"]
    assert version["features"][0]["psi"] == 0
    assert version["features"][0]["beside"] == {"version": "2.0.0", "predictions": 400, "psi": 0}
    assert version["prediction"]["kl_divergence"] == 0
    assert version["prediction"]["kolmogorov_smirnov"] is None
    assert report["traffic"]["verdict"] == "no_data"


async def test_a_report_tells_a_version_from_the_world(watchman: Watchman):
    await two_versions(watchman)
    await said(watchman, {"1.0.0": USUAL, "2.0.0": EXPENSIVE})
    report = await watchman.get(PATH)
    first, second = report["versions"]
    amount, country = second["features"]

    assert (first["verdict"], second["verdict"], report["verdict"]) == ("pass", "fail", "fail")
    assert (amount["feature"], amount["whose"]) == ("amount", "version")
    assert (country["verdict"], country["whose"]) == ("pass", None)
    assert amount["change"] == "75.0% are 200 or more, 25.0% in the baseline"
    assert amount["beside"]["psi"] > 0.2
    assert 0 < amount["kolmogorov_smirnov"] <= 1
    assert report["summary"].startswith("2.0.0: amount: PSI ")


async def test_without_a_version_beside_it_the_report_does_not_guess(watchman: Watchman):
    await watchman.release("1.0.0")
    await expects(watchman, "1.0.0", BASELINE)
    await said(watchman, {"1.0.0": EXPENSIVE})
    report = await watchman.get(PATH)

    assert report["versions"][0]["features"][0]["whose"] == "untold"
    assert "no version answers beside it" in report["summary"]


async def test_the_limits_are_those_of_the_model(watchman: Watchman):
    await two_versions(watchman, max_psi=5, max_kl_divergence=None)
    await said(watchman, {"1.0.0": USUAL, "2.0.0": EXPENSIVE})
    report = await watchman.get(PATH)

    assert report["limits"]["max_psi"] == 5
    assert report["verdict"] == "pass"
    assert report["versions"][0]["prediction"] is None


async def test_what_an_hour_has_unlike_those_before_it_is_shown_and_fires_nothing(
    watchman: Watchman,
):
    await watchman.release("1.0.0")
    await watchman.watch({"drift": {}})
    for hour in range(15):
        latency = 200.0 if hour == 14 else 50.0 + hour % 3
        await watchman.traffic("1.0.0", 40, latency_ms=latency)
        watchman.clock.advance(timedelta(hours=1))
    await watchman.beat(2, every=MINUTE)
    anomalies = (await watchman.get(PATH))["anomalies"]

    assert [one["metric"] for one in anomalies["found"]] == ["latency_mean"]
    assert anomalies["found"][0]["deviations"] > 9
    assert "above the 5" in anomalies["found"][0]["summary"]
    assert anomalies["looked_at"] == 2
    assert anomalies["by_chance"] == pytest.approx(2 * 0.0455, abs=0.001)
    assert await watchman.alerts() == []


async def test_the_report_says_since_when_and_what_to_do(watchman: Watchman):
    await two_versions(watchman)
    hours = []
    for fed in [USUAL] * 3 + [EXPENSIVE] * 3:
        await said(watchman, {"1.0.0": USUAL, "2.0.0": fed})
        hours.append(watchman.clock().replace(minute=0, second=0, microsecond=0))
        watchman.clock.advance(timedelta(hours=1))
    report = await watchman.get(PATH)
    amount = report["versions"][1]["features"][0]

    assert datetime.fromisoformat(amount["since"]) == hours[3]
    assert [one["predictions"] for one in amount["steps"]] == [400] * 6
    assert amount["steps"][0]["distance"] == 0
    assert amount["bins"][3] == {
        "name": "200 or more",
        "expected": 0.25,
        "observed": 0.5,
        "beside": 0.25,
    }
    assert report["versions"][1]["answered"] == report["versions"][1]["sampled"] == 2400
    assert report["versions"][1]["baseline"]["origin"] == "counts"
    assert report["advice"][0].startswith("Compare how 2.0.0 and 1.0.0 are fed amount")


async def test_the_report_is_a_page_as_well(watchman: Watchman):
    await two_versions(watchman)
    await expects(watchman, "2.0.0", {"features": {"<script>": {"values": [1, 2] * 500}}})
    hostile = [{"<script>": 1}] * 400
    await said(watchman, {"1.0.0": USUAL, "2.0.0": hostile})
    page = await watchman.client.get(f"{PATH}.html")
    of_one = await watchman.client.get(f"{PATH}.html?version=1.0.0")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha")
    assert page.headers["cache-control"] == "private, no-cache"
    assert "&lt;script&gt; has moved, in 2.0.0</h1>" in page.text
    assert "<script" not in page.text
    assert "Nothing has moved beyond its limit</h1>" in of_one.text
    assert (await watchman.client.get("models/nobody/drift.html")).status_code == 404


async def test_of_one_version_that_serves_or_of_none(watchman: Watchman):
    await two_versions(watchman)
    await watchman.post(f"models/{MODEL}/versions", {"version": "3.0.0"})
    one = await watchman.get(f"{PATH}?version=2.0.0")
    refused = await watchman.client.get(f"{PATH}?version=3.0.0")

    assert [version["version"] for version in one["versions"]] == ["2.0.0"]
    assert refused.status_code == 404
    assert refused.json()["serving"] == ["1.0.0", "2.0.0"]
