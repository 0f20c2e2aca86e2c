"""Splits and overrides over HTTP."""

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, version
from turnout.buckets import bucket
from turnout.registry import commands as registry
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import OnnxRuntime
from turnout.registry.domain.version import VersionRef
from turnout.traffic import commands
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import Owner, OwnerKind, Spread, Variant
from turnout.traffic.queries import active_split
from turnout.traffic.routes import OVERRIDES_EXAMPLES, SPLIT_EXAMPLES

SPLIT = "models/fraud-detection/split"
OVERRIDES = "models/fraud-detection/overrides"


@pytest.fixture
async def versions(session: AsyncSession) -> dict[str, VersionRef]:
    made = {text: await version(session, text) for text in ("1.0.0", "2.0.0")}
    await session.commit()
    return made


def shares(*weights: tuple[str, object]) -> dict[str, object]:
    return {"variants": [{"version": text, "weight": weight} for text, weight in weights]}


@pytest.mark.usefixtures("versions")
async def test_a_split_set_by_hand_is_the_one_in_force(client: AsyncClient):
    body = {"strategy": "random", **shares(("1.0.0", 66.67), ("v2.0", "33.33"))}

    put = await client.put(SPLIT, json=body | {"reason": "a first look"})
    got = await client.get(SPLIT)

    assert put.status_code == 200, put.text
    assert got.json() == put.json()
    answer = got.json()
    assert answer["variants"] == [
        {
            "name": "1.0.0",
            "version": "1.0.0",
            "weight": 66.67,
            "shadow": False,
            "buckets": [0, 6667],
        },
        {
            "name": "2.0.0",
            "version": "2.0.0",
            "weight": 33.33,
            "shadow": False,
            "buckets": [6667, 10000],
        },
    ]
    assert answer["strategy"] == "random"
    assert answer["model"] == "fraud-detection"
    assert answer["owner"] == {"kind": "person", "id": "developer"}
    assert answer["owned"] is False
    assert answer["since"] == "2026-03-02T12:00:00Z"


@pytest.mark.usefixtures("versions")
async def test_a_split_is_sticky_unless_told_otherwise_and_may_have_a_shadow(client: AsyncClient):
    body = {
        "variants": [
            {"version": "1.0.0", "weight": 100, "name": "baseline"},
            {"version": "2.0.0", "shadow": True},
        ]
    }

    answer = (await client.put(SPLIT, json=body)).json()

    assert answer["strategy"] == "sticky"
    assert [(v["name"], v["shadow"], v["buckets"]) for v in answer["variants"]] == [
        ("baseline", False, [0, 10000]),
        ("2.0.0", True, None),
    ]


async def test_the_view_is_enough_to_assign_units_elsewhere(
    client: AsyncClient, session: AsyncSession, versions: dict[str, VersionRef]
):
    view = (await client.put(SPLIT, json=shares(("1.0.0", 70), ("2.0.0", 30)))).json()
    split = await active_split(session, versions["1.0.0"].model_id)
    assert split is not None

    for unit in (f"user-{n}" for n in range(200)):
        place = bucket(view["salt"], unit)
        (elsewhere,) = [
            variant["version"]
            for variant in view["variants"]
            if variant["buckets"][0] <= place < variant["buckets"][1]
        ]
        here = assign(split, NO_OVERRIDES, unit=unit, attributes={}, draw=0)
        assert elsewhere == here.version


@pytest.mark.parametrize("example", SPLIT_EXAMPLES.values(), ids=SPLIT_EXAMPLES.keys())
@pytest.mark.usefixtures("versions")
async def test_an_example_split_works_as_it_is(client: AsyncClient, example):
    assert (await client.put(SPLIT, json=example["value"])).status_code == 200


@pytest.mark.parametrize("example", OVERRIDES_EXAMPLES.values(), ids=OVERRIDES_EXAMPLES.keys())
@pytest.mark.usefixtures("versions")
async def test_example_overrides_work_as_they_are(client: AsyncClient, example):
    assert (await client.put(OVERRIDES, json=example["value"])).status_code == 200


@pytest.mark.usefixtures("versions")
async def test_without_a_split_it_says_what_to_do(client: AsyncClient):
    answer = await client.get(SPLIT)

    assert answer.status_code == 404
    assert "has no split yet: start a rollout or PUT a split" in answer.json()["detail"]


@pytest.mark.parametrize("path", [SPLIT, OVERRIDES])
async def test_an_unknown_model_is_named(client: AsyncClient, path: str):
    answer = await client.get(path)

    assert answer.status_code == 404
    assert answer.json()["model"] == "fraud-detection"


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        pytest.param(
            shares(("1.0.0", 70), ("2.0.0", 29.5)),
            422,
            "body.variants: the weights sum to 99.5 percent, not 100",
            id="too little",
        ),
        pytest.param(
            shares(("1.0.0", 70.001), ("2.0.0", 29.999)),
            422,
            "body.variants[0].weight: a weight has at most two decimals, not 70.001",
            id="too fine",
        ),
        pytest.param(
            shares(("1.0.0", 101)), 422, "between 0 and 100 percent, not 101", id="too much"
        ),
        pytest.param(shares(("1.0.0", True)), 422, "a weight is a number", id="not a number"),
        pytest.param({"variants": []}, 422, "sum to 0 percent", id="no variants"),
        pytest.param(
            shares(("1.0.0", 50), ("v1.0", 50)),
            422,
            "version 1.0.0 is listed 2 times: list it once",
            id="one version in two spellings",
        ),
        pytest.param(
            shares(("latest", 100)), 422, "'latest' is not a semantic version", id="no version"
        ),
        pytest.param(
            shares(("3.0.0", 100)),
            404,
            "fraud-detection has no version 3.0.0",
            id="unknown version",
        ),
        pytest.param(
            shares(("1.0.0", 100)) | {"strategy": "best"}, 422, "'round_robin'", id="no strategy"
        ),
        pytest.param(
            shares(("1.0.0", 100)) | {"owner": "me"}, 422, "unknown field", id="unknown field"
        ),
        pytest.param(
            {"variants": [{"version": "1.0.0", "weight": 100, "name": "a\u0000b"}]},
            422,
            "control and invisible characters",
            id="control character in a name",
        ),
    ],
)
@pytest.mark.usefixtures("versions")
async def test_a_malformed_split_is_refused_with_the_reason(
    client: AsyncClient, body: dict[str, object], status: int, sentence: str
):
    answer = await client.put(SPLIT, json=body)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert sentence in answer.json()["detail"]


async def test_a_version_that_cannot_serve_is_refused(
    client: AsyncClient, session: AsyncSession, versions: dict[str, VersionRef]
):
    await version(session, "3.0.0", runtime=OnnxRuntime())
    await registry.transition(
        session, versions["2.0.0"].id, Lifecycle.REJECTED, actor="ada", now=NOON, reason=None
    )
    await session.commit()

    rejected = await client.put(SPLIT, json=shares(("1.0.0", 90), ("2.0.0", 10)))
    fileless = await client.put(SPLIT, json=shares(("1.0.0", 90), ("3.0.0", 10)))

    assert (rejected.status_code, fileless.status_code) == (409, 409)
    assert "2.0.0 of fraud-detection is rejected" in rejected.json()["detail"]
    assert "3.0.0 of fraud-detection has runtime onnx but no artifact" in fileless.json()["detail"]


async def test_the_split_of_a_live_rollout_is_not_changed_by_hand(
    client: AsyncClient, session: AsyncSession, versions: dict[str, VersionRef]
):
    one = versions["1.0.0"]
    await commands.set_split(
        session,
        one.model_id,
        owner=Owner(kind=OwnerKind.ROLLOUT, id="0197-a"),
        strategy=Spread.CANARY,
        variants=[Variant(name="baseline", version_id=one.id, version="1.0.0", weight=10_000)],
        actor="worker",
        now=NOON,
    )
    await session.commit()

    answer = await client.put(SPLIT, json=shares(("2.0.0", 100)))

    assert answer.status_code == 409
    assert "abort or finish it first" in answer.json()["detail"]
    assert answer.json()["owner"] == {"kind": "rollout", "id": "0197-a"}
    in_force = (await client.get(SPLIT)).json()
    assert in_force["owned"] is True
    assert in_force["variants"][0]["version"] == "1.0.0"


@pytest.mark.usefixtures("versions")
async def test_overrides_are_kept_as_given(client: AsyncClient):
    body = {
        "pins": [{"unit": "tester-1", "version": "2.0.0"}],
        "rules": [{"attribute": "tier", "values": ["1", 1, True, 2.5], "version": "1.0.0"}],
    }

    empty = await client.get(OVERRIDES)
    put = await client.put(OVERRIDES, json=body | {"reason": "testers first"})
    got = await client.get(OVERRIDES)

    assert empty.json() == {"pins": [], "rules": []}
    assert put.status_code == 200, put.text
    assert got.json() == put.json() == body
    assert [type(value) for value in got.json()["rules"][0]["values"]] == [str, int, bool, float]


PIN = {"unit": "tester-1", "version": "2.0.0"}


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        pytest.param(
            {"pins": [PIN, PIN]},
            422,
            "body.pins: unit 'tester-1' is pinned 2 times",
            id="one unit pinned twice",
        ),
        pytest.param(
            {"pins": [{"unit": "", "version": "1.0.0"}]}, 422, "body.pins[0].unit", id="no unit"
        ),
        pytest.param(
            {"pins": [{"unit": "a\u0007", "version": "1.0.0"}]},
            422,
            "control and invisible characters",
            id="control character in a unit",
        ),
        pytest.param(
            {"pins": [{"unit": f"u{n}", "version": "1.0.0"} for n in range(10_001)]},
            422,
            "at most 10000 items",
            id="too many pins",
        ),
        pytest.param(
            {"rules": [{"attribute": "country", "values": [], "version": "1.0.0"}]},
            422,
            "body.rules[0].values: a rule without values fits nobody",
            id="a rule that fits nobody",
        ),
        pytest.param(
            {"rules": [{"attribute": "country", "values": [None], "version": "1.0.0"}]},
            422,
            "body.rules[0].values[0]: an attribute is text, a number, true or false",
            id="null is no value",
        ),
        pytest.param(
            {"pins": [PIN | {"version": "9.0.0"}]}, 404, "no version 9.0.0", id="unknown version"
        ),
    ],
)
@pytest.mark.usefixtures("versions")
async def test_malformed_overrides_are_refused_with_the_reason(
    client: AsyncClient, body: dict[str, object], status: int, sentence: str
):
    answer = await client.put(OVERRIDES, json=body)

    assert answer.status_code == status, answer.text
    assert sentence in answer.json()["detail"]
