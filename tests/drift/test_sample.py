"""Raw predictions as rows, for tools that compare rows: theirs, and Evidently."""

from datetime import timedelta
from importlib.util import find_spec

import pytest
import typer

from tests.drift.conftest import answered, spread
from tests.drift.test_alarms import EXPENSIVE, USUAL, said, two_versions
from tests.monitoring.conftest import MODEL, Watchman
from turnout.callers import Role, need_of
from turnout.observations.domain.table import Row, csv_table
from turnout.observations.sample_routes import show_sample

INSTALLED = find_spec("evidently") is not None


def path(version: str) -> str:
    return f"models/{MODEL}/versions/{version}/sample.csv"


def test_a_table_has_a_column_for_each_feature_and_the_answer_last():
    rows: list[Row] = [
        ({"b": 1.0, "a": 'x, "y"'}, "ok"),
        ({"a": None, "c": True}, None),
        ({}, "0.25"),
    ]

    assert csv_table(rows) == 'a,b,c,prediction\n"x, ""y""",1,,ok\n,,true,\n,,,0.25\n'
    assert csv_table([({"prediction": 2}, "ok")]) == "prediction,prediction_\n2,ok\n"
    assert csv_table([]) == "prediction\n"


async def test_the_latest_answers_of_a_version_are_its_sample(watchman: Watchman):
    await two_versions(watchman)
    await answered(watchman, "2.0.0", spread([1], ["IT"], 50))
    watchman.clock.advance(timedelta(hours=2))
    await said(watchman, {"1.0.0": USUAL, "2.0.0": EXPENSIVE})
    sample = await watchman.client.get(f"{path('2.0.0')}?window=1h")
    all_of_it = await watchman.client.get(path("2.0.0"))
    few = await watchman.client.get(f"{path('2.0.0')}?predictions=7")
    head, *rows = sample.text.splitlines()

    assert sample.headers["content-type"] == "text/csv; charset=utf-8"
    assert head == "amount,country,prediction"
    assert rows[0] == "500,DE,ok"
    assert (len(rows), len(all_of_it.text.splitlines()), len(few.text.splitlines())) == (
        400,
        451,
        8,
    )


async def test_a_sample_is_a_baseline_for_the_next_version(watchman: Watchman):
    await two_versions(watchman)
    await said(watchman, {"2.0.0": EXPENSIVE})
    sample = await watchman.client.get(path("2.0.0"))
    baseline = f"models/{MODEL}/versions/1.0.0/baseline/csv?prediction=prediction"
    taken = await watchman.client.put(
        baseline, content=sample.text, headers={"Content-Type": "text/csv"}
    )

    assert sorted(taken.json()["baseline"]["features"]) == ["amount", "country"]
    assert (await watchman.client.get(f"{path('2.0.0')}?window=8d")).status_code == 422
    assert (await watchman.client.get(path("9.0.0"))).status_code == 404


def test_viewers_do_not_see_what_people_are_like():
    assert need_of(show_sample, "GET").roles == (Role.OPERATOR,)


@pytest.mark.skipif(INSTALLED, reason="Evidently is installed")
def test_without_evidently_it_is_said_how_to_get_it(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(typer.Exit):
        from turnout.cli import evidently_report  # noqa: F401, PLC0415

    assert "pip install 'turnout[evidently]', which is 1 GB" in capsys.readouterr().err


@pytest.mark.skipif(not INSTALLED, reason="takes 1 GB: pip install 'turnout[evidently]'")
@pytest.mark.filterwarnings("default")
def test_evidently_compares_what_both_tables_have(capsys: pytest.CaptureFixture[str]):
    from turnout.cli import evidently_report  # noqa: PLC0415

    before = csv_table([({"amount": k % 50, "country": "DE", "old": 1}, "ok") for k in range(400)])
    now = csv_table(
        [({"amount": k % 90, "country": "FR", "empty": None}, "ok") for k in range(400)]
    )
    page = evidently_report.html(now.encode(), before.encode())

    assert "amount" in page
    assert "country" in page
    with pytest.raises(typer.Exit):
        evidently_report.html(b"a\n1\n", b"b\n1\n")
    assert "no column with values in both tables" in capsys.readouterr().err
