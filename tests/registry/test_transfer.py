"""The registry out of one database and into another."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON
from tests.registry.requests import UPLOAD, VERSIONS, refused, register
from turnout.gates import transfer
from turnout.gates.domain.document import GatesEntry, WholeRegistry
from turnout.registry.domain.document import VersionEntry, numbered

DOCUMENTS = TypeAdapter(WholeRegistry)
TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=8)
LABELS = TEXTS.filter(bool)
TIMES = st.integers(0, 10**15).map(
    lambda moment: (NOON + timedelta(microseconds=moment)).isoformat()
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=5,
)
POLICIES: st.SearchStrategy[dict[str, Any] | None] = st.sampled_from(
    [
        None,
        {"staging": {"gates": []}},
        {"production": "standard"},
        {"production": {"gates": [{"kind": "metric", "metric": "auc", "min": 0.8}]}},
    ]
)
STAGES = st.sampled_from(["development", "staging", "archived", "rejected"])
NAMES = st.sampled_from(["0.1.0", "1.0.0-rc.1", "1.0.0", "1.0.0+a", "1.0.0+B", "1.10.0", "2.0.0"])


@st.composite
def versions(draw: st.DrawFn) -> dict[str, Any]:
    stage = draw(STAGES)
    moves = [
        {"from_stage": draw(STAGES), "to_stage": draw(STAGES), **draw(BY_SOMEBODY)}
        for _ in range(draw(st.integers(0, 2)))
    ]
    if moves:
        moves[-1]["to_stage"] = stage
    sha256 = draw(st.none() | st.just("ab" * 32))
    return {
        "description": draw(TEXTS),
        "tags": draw(st.lists(LABELS, max_size=2)),
        "metrics": draw(st.dictionaries(LABELS, NUMBERS, max_size=2)),
        "group_metrics": {"young": draw(st.dictionaries(LABELS, NUMBERS, max_size=1))},
        "metadata": draw(st.dictionaries(TEXTS, JSON, max_size=2)),
        "version": draw(NAMES),
        "stage": stage,
        "parent_version": draw(st.none() | NAMES),
        "signature": None,
        "artifact": {"sha256": sha256, "size": 3} if sha256 else None,
        "runtime": {"kind": draw(st.sampled_from(["onnx", "external"]))},
        "file_sha256": sha256,
        "created_at": draw(TIMES),
        "created_by": draw(LABELS),
        "updated_at": draw(TIMES),
        "history": moves,
    }


BY_SOMEBODY = st.fixed_dictionaries(
    {"at": TIMES, "actor": LABELS, "reason": st.none() | st.just("two\nlines")}
)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    listed = draw(st.lists(versions(), max_size=3, unique_by=lambda v: v["version"]))
    names = [version["version"] for version in listed]
    aliases = []
    for alias in draw(st.lists(st.sampled_from("abC"), unique=True, max_size=2)):
        to = draw(st.sampled_from([None, *names]))
        step = {"from_version": None, "to_version": to or "9.9.9", **draw(BY_SOMEBODY)}
        by = {"moved_at": NOON.isoformat(), "moved_by": "ada"}
        nobody = {"moved_at": None, "moved_by": None}
        aliases.append({"alias": alias, "version": to, **(by if to else nobody), "history": [step]})
    return {
        "name": draw(st.sampled_from(["a", "B", "a-b", "c.1"])),
        "owner": draw(st.none() | LABELS),
        "created_at": draw(TIMES),
        "created_by": "ada",
        "updated_at": draw(TIMES),
        "versions": listed,
        "aliases": aliases,
    }


@st.composite
def gates(draw: st.DrawFn, model: dict[str, Any]) -> dict[str, Any]:
    policies = draw(st.lists(POLICIES, max_size=2))
    signed_off = []
    for version in model["versions"]:
        approvals = [
            {
                "to": draw(st.sampled_from(["staging", "production"])),
                "by": f"{number}",
                "at": draw(TIMES),
                "reason": draw(st.none() | st.just("looks good")),
                "withdrawn_at": draw(st.none() | TIMES),
            }
            for number in range(draw(st.integers(0, 2)))
        ]
        if approvals:
            signed_off.append({"version": version["version"], "approvals": approvals})
    return {
        "model": model["name"],
        "policies": [
            {"revision": number, "policy": policy, **draw(BY_SOMEBODY)}
            for number, policy in enumerate(policies, start=1)
        ],
        "signed_off": signed_off,
    }


@st.composite
def documents(draw: st.DrawFn) -> WholeRegistry:
    listed = draw(st.lists(models(), max_size=3, unique_by=lambda model: model["name"]))
    return document(*listed, gates=[draw(gates(model)) for model in listed])


def document(*listed: dict[str, Any], gates: Sequence[dict[str, Any]] = ()) -> WholeRegistry:
    head = {"format": "turnout-registry", "format_version": 1}
    return DOCUMENTS.validate_python({**head, "models": listed, "gates": gates})


async def export(session: AsyncSession) -> bytes:
    return b"".join([piece async for piece in transfer.exported(session)])


async def take_in(session: AsyncSession, found: WholeRegistry) -> int:
    done = await transfer.take_in(session, found, dry_run=False, actor="bob", now=NOON, reason=None)
    return done.models + done.versions + done.aliases + done.gate_policies + done.approvals


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=documents())
async def test_what_is_exported_and_imported_elsewhere_is_exported_in_the_same_bytes(
    session: AsyncSession, given: WholeRegistry
) -> None:
    here = await session.begin_nested()
    await take_in(session, given)
    first = await export(session)
    read = DOCUMENTS.validate_json(first)
    assert await take_in(session, read) == 0
    await here.rollback()

    elsewhere = await session.begin_nested()
    await take_in(session, read)
    assert await export(session) == first
    assert {model.name for model in read.models} == {model.name for model in given.models}
    assert said(read.gates) == said(given.gates)
    await elsewhere.rollback()


def said(gates: Sequence[GatesEntry]) -> dict[str, Any]:
    """In no order, and without models of which nothing is said."""
    return {
        entry.model: (entry.policies, {one.version: one.approvals for one in entry.signed_off})
        for entry in gates
        if entry.policies or entry.signed_off
    }


@pytest.fixture
async def exported(live_client: AsyncClient, clock: Any) -> dict[str, Any]:
    """A registry with a file, a life and an alias, as a document."""
    await register(live_client, metrics={"auc": 0.9}, runtime={"kind": "external"})
    await register(live_client, "2.0.0", parent_version="1.0.0")
    await live_client.put(UPLOAD, content=b"file")
    for stage in ("staging", "production"):
        clock.advance(timedelta(hours=1))
        moved = {"to": stage, "reason": "checked"}
        await live_client.post(f"{VERSIONS}/1.0.0/transitions", json=moved)
    for version in ("1.0.0", "2.0.0"):
        await live_client.put("models/fraud-detection/aliases/best", json={"version": version})
    policy = {"production": {"gates": [{"kind": "approvals", "others": 1}]}}
    await live_client.put("models/fraud-detection/gate-policy", json=policy)
    await live_client.post(f"{VERSIONS}/2.0.0/approvals", json={"to": "production"})
    response = await live_client.get("registry/export")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_registry_is_exported_in_full(exported: dict[str, Any]) -> None:
    [model] = exported["models"]
    first, second = model["versions"]
    assert (first["stage"], first["metrics"], second["parent_version"]) == (
        "production",
        {"auc": 0.9},
        "1.0.0",
    )
    assert [(move["to_stage"], move["reason"]) for move in first["history"]] == [
        ("staging", "checked"),
        ("production", "checked"),
    ]
    [alias] = model["aliases"]
    assert (alias["version"], len(alias["history"])) == ("2.0.0", 2)
    [entry] = exported["gates"]
    assert entry["policies"][0]["policy"]["production"]["gates"][0]["kind"] == "approvals"
    [signed_off] = entry["signed_off"]
    assert (signed_off["version"], signed_off["approvals"][0]["by"]) == ("2.0.0", "developer")


async def test_an_import_of_the_own_export_changes_nothing(
    live_client: AsyncClient, exported: dict[str, Any]
) -> None:
    done = (await live_client.post("registry/import", json=exported)).json()

    assert done == {
        "dry_run": False,
        "models": 0,
        "versions": 0,
        "aliases": 0,
        "gate_policies": 0,
        "approvals": 0,
        "missing_files": [],
    }
    assert (await live_client.get("registry/export")).json() == exported


async def test_an_import_says_what_it_adds_and_which_files_are_missing(
    client: AsyncClient, session: AsyncSession, exported: dict[str, Any], settings: Any
) -> None:
    [kept] = [path for path in settings.artifacts_dir.rglob("*") if path.is_file()]
    kept.unlink()
    tried = (await client.post("registry/import?dry_run=true", json=exported)).json()
    assert refused(await client.get("models/fraud-detection"), 404)
    done = (await client.post("registry/import", json=exported)).json()

    assert tried == done | {"dry_run": True}
    assert (done["models"], done["versions"], done["aliases"]) == (1, 2, 1)
    assert (done["gate_policies"], done["approvals"]) == (1, 1)
    assert [each["version"] for each in done["missing_files"]] == ["1.0.0"]
    assert (await client.put(UPLOAD, content=b"another")).status_code == 409
    assert (await client.put(UPLOAD, content=b"file")).status_code == 200
    actions = await session.scalars(text("SELECT action FROM audit_entry"))
    assert "model.imported" in actions.all()


def at(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set one value of a document, such as `models.0.owner`."""

    def change(found: Any) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in way:
            found = found[part]
        found[last] = value

    return change


def twice(found: dict[str, Any]) -> None:
    found["models"][0]["versions"] *= 2


def third_in_production(found: dict[str, Any]) -> None:
    model = found["models"][0]
    model["versions"] = [model["versions"][0] | {"version": "3.0.0"}]
    model["aliases"] = []
    found["gates"] = []


@pytest.mark.parametrize(
    ("damage", "status", "sentence"),
    [
        pytest.param(at("format", "mlflow"), 422, "body.format", id="foreign"),
        pytest.param(at("format_version", 2), 422, "body.format_version", id="newer"),
        pytest.param(at("splits", []), 422, "body.splits: unknown field", id="unknown section"),
        pytest.param(
            at("models.0.versions.1.version", "x"), 422, "models[0].versions[1].version", id="where"
        ),
        pytest.param(twice, 422, "version 1.0.0 is listed twice", id="twice"),
        pytest.param(
            at("models.0.versions.0.stage", "staging"), 422, "its history ends", id="another stage"
        ),
        pytest.param(
            at("models.0.aliases.0.version", "7.0.0"), 422, "which is not listed", id="nowhere"
        ),
        pytest.param(
            at("models.0.created_at", "2026-01-01T00:00:00"), 422, "without a zone", id="no zone"
        ),
        pytest.param(
            at("models.0.owner", "eve"), 409, "models/fraud-detection: owner differ", id="model"
        ),
        pytest.param(
            at("models.0.versions.1.metrics", {"auc": 1}),
            409,
            "versions/2.0.0: metrics differ",
            id="version",
        ),
        pytest.param(third_in_production, 409, "there can be only one", id="production"),
        pytest.param(
            at("gates.0.model", "nobodys"), 422, "nobodys is not listed in models", id="whose gates"
        ),
        pytest.param(
            at("gates.0.signed_off.0.version", "7.0.0"),
            422,
            "7.0.0 has approvals, and is not listed",
            id="approvals of nothing",
        ),
        pytest.param(
            at("gates.0.policies.0.policy", None), 409, "gate-policy: its revisions", id="policy"
        ),
        pytest.param(
            at("gates.0.signed_off.0.approvals.0.by", "eve"),
            409,
            "versions/2.0.0: its approvals differ",
            id="a forged approval",
        ),
    ],
)
async def test_what_is_damaged_or_differs_changes_nothing(
    live_client: AsyncClient,
    exported: dict[str, Any],
    *,
    damage: Callable[[dict[str, Any]], None],
    status: int,
    sentence: str,
) -> None:
    damaged = json.loads(json.dumps(exported))
    another = {**damaged["models"][0], "name": "another"}
    damage(damaged)
    damaged["models"].insert(len(damaged["models"]), another)

    response = await live_client.post("registry/import", json=damaged)

    assert sentence in refused(response, status)
    assert (await live_client.get("registry/export")).json() == exported


async def test_every_conflict_is_listed(live_client: AsyncClient, exported: dict[str, Any]) -> None:
    for version in exported["models"][0]["versions"]:
        version["changelog"] = "rewritten"

    response = await live_client.post("registry/import", json=exported)

    assert "(and 1 more)" in refused(response, 409)
    assert [each["subject"] for each in response.json()["conflicts"]] == [
        "models/fraud-detection/versions/1.0.0",
        "models/fraud-detection/versions/2.0.0",
    ]


@pytest.mark.parametrize(
    ("own", "taken", "last", "numbers", "then"),
    [
        pytest.param([2, 1, 5], (), 7, [2, 1, 5], 7, id="into an empty registry"),
        pytest.param([2, 1], (1,), 4, [2, 5], 5, id="one is taken"),
        pytest.param([3, 3], (), 0, [3, 4], 4, id="one is there twice"),
        pytest.param([None, 9, None], (), 0, [10, 9, 11], 11, id="without numbers"),
        pytest.param([], (1, 2), 2, [], 2, id="nothing new"),
    ],
)
def test_versions_keep_their_numbers_unless_they_are_taken(
    own: list[int | None], taken: tuple[int, ...], last: int, numbers: list[int], then: int
) -> None:
    of: dict[str, Any] = {"stage": "development", "runtime": {"kind": "external"}, "history": []}
    of |= dict.fromkeys(["parent_version", "signature", "artifact", "file_sha256"])
    of |= {"created_at": NOON.isoformat(), "updated_at": NOON.isoformat(), "created_by": "ada"}
    entries = TypeAdapter(tuple[VersionEntry, ...]).validate_python(
        [{**of, "version": f"1.0.{n}", "number": number} for n, number in enumerate(own)]
    )

    assert numbered(entries, taken=taken, last=last) == (numbers, then)
