import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests import factories
from tests.factories import NOON
from turnout.db import Sessions, transaction
from turnout.errors import NotFound
from turnout.registry import catalogue, commands, queries
from turnout.registry.domain.lifecycle import InvalidTransition, Lifecycle
from turnout.registry.domain.runtime import Artifact, OnnxRuntime
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.signature import DType, Signature, TensorSpec
from turnout.registry.domain.upload import ArtifactFixed, ArtifactMismatch, File
from turnout.registry.domain.version import (
    MalformedVersion,
    ModelExists,
    ModelNotFound,
    NewModel,
    NewVersion,
    StillUsed,
    VersionExists,
    VersionNotFound,
)
from turnout.registry.queries import MetricRange

BY: dict[str, Any] = {"actor": "ada", "now": NOON, "reason": "because"}
FILE = File(sha256="a" * 64, size=10)
SIGNATURE = Signature(inputs=(TensorSpec(name="x", dtype=DType.FLOAT32, shape=(None, 2)),))


async def actions(session: AsyncSession) -> list[str]:
    await session.flush()
    rows = await session.execute(text("SELECT action, subject FROM audit_entry ORDER BY id"))
    return [f"{row.action} {row.subject}" for row in rows]


async def registered(session: AsyncSession, *texts: str, model: str = "fraud-detection") -> int:
    """Register versions of a model; the model's id."""
    for version in texts:
        await factories.version(session, version, model=model)
    return (await queries.model(session, model)).id


async def stages(session: AsyncSession, model_id: int) -> dict[str, str]:
    rows = await queries.versions(session, model_id, limit=100)
    return {row.version: row.stage.value for row in rows}


async def test_the_first_version_registers_its_model(session: AsyncSession) -> None:
    await factories.version(session, "1.0.0")
    await factories.version(session, "1.1.0")

    assert await actions(session) == [
        "model.registered models/fraud-detection",
        "version.registered models/fraud-detection/versions/1.0.0",
        "version.registered models/fraud-detection/versions/1.1.0",
    ]


async def test_a_version_is_kept_as_it_was_registered(session: AsyncSession) -> None:
    new = NewVersion(
        version="1.0.0-rc.1+7",
        tags=("a", "b"),
        metrics={"auc": 0.97},
        group_metrics={"young": {"auc": 0.9}},
        metadata={"deep": [1, {"er": None}]},
        parent_version="0.9.0",
        signature=SIGNATURE,
        artifact=Artifact(uri="s3://bucket/model"),
        runtime=OnnxRuntime(prediction_output="y"),
    )
    row = await commands.register_version(session, "fraud-detection", new, **BY)
    session.expunge_all()
    kept = await queries.version_row(session, row.id)

    for field in ("version", "parent_version", "signature", "artifact", "runtime"):
        assert getattr(kept, field) == getattr(new, field)
    for field in ("tags", "metrics", "group_metrics", "metadata"):
        assert getattr(kept.details, field) == getattr(new, field)
    assert kept.stage is Lifecycle.DEVELOPMENT
    assert kept.created_by == "ada"
    assert kept.created_at == kept.updated_at == NOON


async def test_the_same_version_twice_is_refused(session: AsyncSession) -> None:
    await factories.version(session, "1.0.0")

    with pytest.raises(VersionExists, match=r"fraud-detection 1\.0\.0 is registered already"):
        await factories.version(session, "1.0.0")


async def test_builds_are_versions_of_their_own(session: AsyncSession) -> None:
    model_id = await registered(session, "1.0.0+b", "1.0.0+a", "1.0.0")

    rows = await queries.versions(session, model_id, limit=10)

    assert [row.version for row in rows] == ["1.0.0", "1.0.0+a", "1.0.0+b"]


async def test_models_do_not_share_versions(session: AsyncSession) -> None:
    one = await factories.version(session, "1.0.0", model="one")
    other = await factories.version(session, "1.0.0", model="other")

    assert one.id != other.id
    assert (await queries.version(session, other.model_id, "v1.0")).id == other.id


async def test_registrations_at_the_same_time_make_one_model_and_one_version(
    sessions: Sessions,
) -> None:
    async def register() -> str:
        try:
            async with transaction(sessions) as session:
                await factories.version(session, "1.0.0")
        except VersionExists:
            return "exists"
        return "registered"

    fates = await asyncio.gather(*(register() for _ in range(4)))

    assert sorted(fates) == ["exists", "exists", "exists", "registered"]
    async with transaction(sessions) as session:
        assert len(await queries.models(session, limit=10, after=None)) == 1


async def test_a_model_is_registered_once(session: AsyncSession) -> None:
    new = NewModel(name="churn-predictor", owner="growth")
    await commands.register_model(session, new, **BY)

    with pytest.raises(ModelExists):
        await commands.register_model(session, new, **BY)


async def test_an_edit_changes_the_details_and_says_so(session: AsyncSession) -> None:
    version = await factories.version(session)
    later = NOON + timedelta(hours=1)
    edited = await commands.edit_version(
        session,
        version.id,
        lambda details: replace(details, tags=("reviewed",)),
        **{**BY, "now": later},
    )

    assert edited.details.tags == ("reviewed",)
    assert edited.updated_at == later
    assert (await actions(session))[-1] == ("version.edited models/fraud-detection/versions/1.0.0")


async def test_only_one_version_is_in_production(session: AsyncSession) -> None:
    model_id = await registered(session, "1.0.0", "2.0.0")
    for text_ in ("1.0.0", "2.0.0"):
        version = await queries.version(session, model_id, text_)
        await commands.transition(session, version.id, Lifecycle.STAGING, **BY)
        await commands.transition(session, version.id, Lifecycle.PRODUCTION, **BY)

    assert await stages(session, model_id) == {"2.0.0": "production", "1.0.0": "archived"}
    current = await queries.current_version(session, model_id)
    assert current is not None
    assert current.version == "2.0.0"
    first = await queries.version(session, model_id, "1.0.0")
    history = await queries.history(session, first.id)
    assert [(step.from_stage, step.to_stage, step.reason) for step in history] == [
        ("development", "staging", "because"),
        ("staging", "production", "because"),
        ("production", "archived", "2.0.0 took over"),
    ]


async def test_an_archived_version_can_take_over_again(session: AsyncSession) -> None:
    model_id = await registered(session, "1.0.0", "2.0.0")
    first = await queries.version(session, model_id, "1.0.0")
    second = await queries.version(session, model_id, "2.0.0")
    for version in (first, second, first):
        await commands.enter_production(session, version.id, **BY)

    assert await stages(session, model_id) == {"2.0.0": "archived", "1.0.0": "production"}


async def test_entering_production_goes_by_way_of_staging(session: AsyncSession) -> None:
    version = await factories.version(session)
    for _ in range(2):
        await commands.enter_production(session, version.id, **BY)

    history = await queries.history(session, version.id)
    assert [step.to_stage for step in history] == ["staging", "production"]


async def test_a_rejected_version_does_not_enter_production(session: AsyncSession) -> None:
    version = await factories.version(session)
    await commands.transition(session, version.id, Lifecycle.REJECTED, **BY)

    with pytest.raises(InvalidTransition):
        await commands.enter_production(session, version.id, **BY)


async def test_two_versions_entering_production_at_the_same_time(sessions: Sessions) -> None:
    async with transaction(sessions) as session:
        model_id = await registered(session, "1.0.0", "2.0.0")
        ids = [row.id for row in await queries.versions(session, model_id, limit=2)]

    async def enter(version_id: int) -> None:
        async with transaction(sessions) as session:
            await commands.enter_production(session, version_id, **BY)

    await asyncio.gather(*map(enter, ids))

    async with transaction(sessions) as session:
        assert sorted((await stages(session, model_id)).values()) == ["archived", "production"]


async def test_a_file_becomes_the_versions_own(session: AsyncSession) -> None:
    version = await factories.version(session)
    await commands.attach_artifact(session, version.id, FILE, SIGNATURE, **BY)
    row = await commands.attach_artifact(session, version.id, FILE, SIGNATURE, **BY)

    assert row.artifact == Artifact(sha256=FILE.sha256, size=FILE.size)
    assert row.signature == SIGNATURE
    assert (await queries.version(session, version.model_id, "1.0.0")).file_sha256 == FILE.sha256
    assert (await actions(session))[-1] == (
        "version.artifact_attached models/fraud-detection/versions/1.0.0"
    )
    assert len(await actions(session)) == 3


async def test_a_file_keeps_the_announced_place_and_signature(session: AsyncSession) -> None:
    announced = Artifact(uri="s3://bucket/model", sha256=FILE.sha256)
    new = NewVersion(version="1.0.0", artifact=announced, signature=SIGNATURE)
    version = await commands.register_version(session, "fraud-detection", new, **BY)
    row = await commands.attach_artifact(session, version.id, FILE, None, **BY)

    assert row.artifact == Artifact(uri="s3://bucket/model", sha256=FILE.sha256, size=10)
    assert row.signature == SIGNATURE


async def test_another_file_is_refused(session: AsyncSession) -> None:
    version = await factories.version(session)
    await commands.attach_artifact(session, version.id, FILE, None, **BY)

    with pytest.raises(ArtifactFixed):
        await commands.attach_artifact(
            session, version.id, File(sha256="b" * 64, size=10), None, **BY
        )


async def test_a_file_other_than_announced_is_refused(session: AsyncSession) -> None:
    new = NewVersion(version="1.0.0", artifact=Artifact(sha256="b" * 64))
    version = await commands.register_version(session, "fraud-detection", new, **BY)

    with pytest.raises(ArtifactMismatch):
        await commands.attach_artifact(session, version.id, FILE, None, **BY)


async def test_a_model_is_deleted_after_its_versions(session: AsyncSession) -> None:
    model_id = await registered(session, "1.0.0")
    version = await queries.version(session, model_id, "1.0.0")
    await commands.transition(session, version.id, Lifecycle.STAGING, **BY)

    with pytest.raises(StillUsed, match=r"has versions: delete 1\.0\.0 first"):
        await commands.delete_model(session, model_id, **BY)
    await commands.delete_version(session, version.id, **BY)
    await commands.delete_model(session, model_id, **BY)

    with pytest.raises(ModelNotFound):
        await queries.model(session, "fraud-detection")
    assert (await actions(session))[-2:] == [
        "version.deleted models/fraud-detection/versions/1.0.0",
        "model.deleted models/fraud-detection",
    ]


async def test_a_version_in_production_is_not_deleted(session: AsyncSession) -> None:
    version = await factories.version(session)
    await commands.enter_production(session, version.id, **BY)

    with pytest.raises(StillUsed, match=r"fraud-detection 1\.0\.0 is in production"):
        await commands.delete_version(session, version.id, **BY)


async def test_a_version_that_another_slice_refers_to_is_not_deleted(
    session: AsyncSession,
) -> None:
    version = await factories.version(session)
    await session.execute(text("CREATE TABLE drill (version_id int REFERENCES version)"))
    await session.execute(text("INSERT INTO drill VALUES (:id)"), {"id": version.id})

    with pytest.raises(StillUsed, match="a drill refers to it"):
        await commands.delete_version(session, version.id, **BY)
    assert await queries.version(session, version.model_id, "1.0.0") == version


async def test_what_was_deleted_meanwhile_is_not_found(session: AsyncSession) -> None:
    version = await factories.version(session)
    await commands.delete_version(session, version.id, **BY)

    with pytest.raises(NotFound):
        await commands.transition(session, version.id, Lifecycle.STAGING, **BY)


async def test_what_is_not_there(session: AsyncSession) -> None:
    version = await factories.version(session)

    with pytest.raises(ModelNotFound):
        await queries.model(session, "churn-predictor")
    with pytest.raises(ModelNotFound):
        await queries.model(session, "no\x00name")
    with pytest.raises(VersionNotFound, match=r"fraud-detection has no version 9\.9\.9"):
        await queries.version(session, version.model_id, "9.9.9")
    with pytest.raises(MalformedVersion):
        await queries.version(session, version.model_id, "latest")
    assert await queries.current_version(session, version.model_id) is None
    assert await queries.versions_by_id(session, [version.id + 1000]) == {}
    assert await queries.models_by_id(session, []) == {}


async def test_lookups_by_id(session: AsyncSession) -> None:
    one = await factories.version(session, model="one")
    other = await factories.version(session, model="other")
    models = await queries.models_by_id(session, [one.model_id, other.model_id])

    assert {ref.name for ref in models.values()} == {"one", "other"}
    assert await queries.versions_by_id(session, {one.id}) == {one.id: one}


ORDERED = ["2.0.0", "2.0.0-rc.10", "2.0.0-rc.2", "1.10.0", "1.9.0", "1.9.0-alpha"]


async def test_versions_are_listed_by_precedence_page_by_page(session: AsyncSession) -> None:
    model_id = await registered(session, *sorted(ORDERED))
    listed: list[str] = []
    after = None
    while rows := await queries.versions(session, model_id, limit=2, after=after):
        listed += [row.version for row in rows]
        after = (rows[-1].precedence, rows[-1].id)

    assert listed == ORDERED
    assert await queries.newest_version(session, model_id) == SemVer.parse("2.0.0")


@pytest.mark.parametrize(
    ("conditions", "versions"),
    [
        pytest.param({}, ["3.0.0", "2.0.0", "1.0.0"], id="all"),
        pytest.param({"stage": Lifecycle.STAGING}, ["2.0.0"], id="a stage"),
        pytest.param({"tags": ["a"]}, ["2.0.0", "1.0.0"], id="a tag"),
        pytest.param({"tags": ["a", "b"]}, ["2.0.0"], id="two tags, both"),
        pytest.param(
            {"ranges": [MetricRange(metric="auc", least=0.9)]}, ["2.0.0"], id="at least so much"
        ),
        pytest.param(
            {"ranges": [MetricRange(metric="auc", most=0.9)]},
            ["2.0.0", "1.0.0"],
            id="at most so much",
        ),
        pytest.param(
            {"ranges": [MetricRange(metric="a.b' x", least=1), MetricRange(metric="auc", most=1)]},
            ["1.0.0"],
            id="two metrics, one with a strange name",
        ),
        pytest.param({"ranges": [MetricRange(metric="f1", least=0)]}, [], id="an unknown metric"),
    ],
)
async def test_versions_by_condition(
    session: AsyncSession, conditions: dict[str, Any], versions: list[str]
) -> None:
    for new in (
        NewVersion(version="1.0.0", tags=("a",), metrics={"auc": 0.8, "a.b' x": 2.0}),
        NewVersion(version="2.0.0", tags=("a", "b"), metrics={"auc": 0.9}),
        NewVersion(version="3.0.0", tags=("ab",)),
    ):
        await commands.register_version(session, "fraud-detection", new, **BY)
    model = await queries.model(session, "fraud-detection")
    second = await queries.version(session, model.id, "2.0.0")
    await commands.transition(session, second.id, Lifecycle.STAGING, **BY)

    rows = await queries.versions(session, model.id, limit=10, **conditions)

    assert [row.version for row in rows] == versions


async def test_versions_are_numbered_and_a_number_is_not_given_again(session: AsyncSession) -> None:
    first = await factories.version(session, "1.0.0")
    second = await factories.version(session, "1.1.0")
    await commands.delete_version(session, second.id, **BY)
    third = await factories.version(session, "0.9.0")
    other = await factories.version(session, model="churn-predictor")

    numbers = [(await catalogue.version(session, one.id)).number for one in (first, third, other)]

    assert numbers == [1, 3, 1]
