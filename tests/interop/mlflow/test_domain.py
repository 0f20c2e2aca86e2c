"""How MLflow's words and Turnout's go together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.interop.mlflow.domain.naming import semver_of
from turnout.interop.mlflow.domain.stages import SHOWN, Stage, UnknownStage, read_stage, steps
from turnout.interop.mlflow.domain.tags import (
    Origin,
    TagReserved,
    copied_from,
    origin,
    semver_kept,
    tagged,
    tags,
    untagged,
)
from turnout.registry.domain.lifecycle import InvalidTransition, Lifecycle, check_transition
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.version import MalformedVersion, VersionDetails

TAKEN = ["1.0.0", "1.2.0", "2.0.0-rc.1"]


@pytest.mark.parametrize(
    ("given", "copied", "version"),
    [
        pytest.param({}, False, "2.0.0", id="the next minor, which a prerelease announced"),
        pytest.param({"semver": "3.0"}, False, "3.0.0", id="as asked"),
        pytest.param({"semver": "1.2.0"}, False, "1.2.0", id="as asked, and to be refused"),
        pytest.param({"semver": "1.2.0"}, True, "1.2.1", id="a copy counts up"),
        pytest.param({"semver": "1.1.0"}, True, "1.1.0", id="a copy keeps what is free"),
        pytest.param({"semver": "2.0.0-rc.1"}, True, "2.0.0-rc.2", id="a copied prerelease"),
        pytest.param({"version": "v1.2.0"}, False, "1.2.1", id="a tag version counts up"),
        pytest.param({"version": "5"}, False, "2.0.0", id="a tag version that is none"),
        pytest.param({"semver": "4.0.0", "version": "1.0.0"}, False, "4.0.0", id="semver wins"),
    ],
)
def test_a_version_is_named_by_its_tags(given: dict[str, str], copied: bool, version: str) -> None:
    newest = SemVer.parse("2.0.0-rc.1")
    found = semver_of(given, newest=newest, taken=TAKEN, copied=copied)

    assert str(found) == version


def test_versions_without_a_name_count_by_minor_versions_from_1_0_0() -> None:
    first = semver_of({}, newest=None, taken=(), copied=False)
    second = semver_of({}, newest=first, taken=[str(first)], copied=False)

    assert (str(first), str(second)) == ("1.0.0", "1.1.0")


def test_a_semver_that_is_none_is_refused() -> None:
    with pytest.raises(MalformedVersion, match="tag semver: 'one'"):
        semver_of({"semver": "one"}, newest=None, taken=(), copied=False)


@pytest.mark.parametrize(
    ("at", "to", "way"),
    [
        pytest.param("development", "Staging", "staging", id="one step"),
        pytest.param("development", "Production", "staging production", id="by way of staging"),
        pytest.param("development", "Archived", "archived", id="given up"),
        pytest.param("staging", "None", "development", id="taken back"),
        pytest.param("production", "Staging", "archived staging", id="out of production"),
        pytest.param("production", "None", "archived staging development", id="all the way back"),
        pytest.param("archived", "Production", "production", id="a rollback's label"),
        pytest.param("rejected", "None", "development", id="given another chance"),
        pytest.param("rejected", "Archived", "", id="which rejected shows as"),
    ],
)
def test_a_stage_is_reached_by_the_fewest_steps(at: str, to: str, way: str) -> None:
    assert steps(Lifecycle(at), Stage(to)) == tuple(map(Lifecycle, way.split()))


@pytest.mark.parametrize("at", Lifecycle)
@pytest.mark.parametrize("to", Stage)
def test_every_step_is_allowed_and_none_leads_through_production(at: Lifecycle, to: Stage) -> None:
    try:
        way = steps(at, to)
    except InvalidTransition:
        assert at is Lifecycle.REJECTED
        return
    for here, there in zip((at, *way), way, strict=False):
        check_transition(here, there)
    assert SHOWN[(at, *way)[-1]] is to
    assert not {Lifecycle.PRODUCTION, Lifecycle.REJECTED} & {*way[:-1]}


def test_what_was_rejected_does_not_jump() -> None:
    with pytest.raises(InvalidTransition, match="from rejected it moves to development"):
        steps(Lifecycle.REJECTED, Stage.PRODUCTION)


def test_a_stage_is_read_in_any_case_or_refused() -> None:
    assert read_stage("pRoDuCtIoN") is Stage.PRODUCTION
    with pytest.raises(UnknownStage, match="None, Staging, Production, Archived"):
        read_stage("Retired")


KEYS = st.sampled_from(["a", "b", "a key", "k" * 200])


@given(st.dictionaries(KEYS, st.sampled_from(["", "x", "1"])), KEYS)
def test_what_is_tagged_is_read_again(given: dict[str, str], key: str) -> None:
    details = tagged(VersionDetails(tags=("a", "z"), metadata={"runs": 4, "b": None}), given)

    assert dict(tags(details)) == {"a": "", "z": "", "runs": "4", **given}
    left = {name: value for name, value in tags(details) if name != key}
    assert dict(tags(untagged(details, key))) == left
    assert len(set(details.tags)) == len(details.tags)


def test_a_tag_without_a_value_is_a_tag_and_one_with_a_value_metadata() -> None:
    details = tagged(VersionDetails(), {"security-reviewed": "", "team": "risk"})

    assert (details.tags, details.metadata) == (("security-reviewed",), {"team": "risk"})


def test_the_semver_cannot_be_set_to_another() -> None:
    assert semver_kept("semver", "1.0.0", version="1.0.0")
    assert not semver_kept("team", "risk", version="1.0.0")
    with pytest.raises(TagReserved, match="never changes"):
        semver_kept("semver", "2.0.0", version="1.0.0")


@pytest.mark.parametrize("said", [None, 5, "text", {"source": 5}, {"other": "x"}])
def test_an_origin_that_somebody_edited_is_read_as_far_as_it_goes(said: object) -> None:
    assert origin({"mlflow": said}) == Origin()


def test_an_origin_is_read_as_it_was_written() -> None:
    where = Origin(source="models:/a/1", model_id="m-1")

    assert origin({"mlflow": where.written()}) == where


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("models:/fraud/3", ("fraud", 3), id="a version of this registry"),
        pytest.param("models:/m-1a2b3c", None, id="a logged model of the tracking server"),
        pytest.param("models:/fraud@champion", None, id="an alias, which the client resolves"),
        pytest.param("s3://bucket/models:/a/1", None, id="elsewhere"),
    ],
)
def test_a_copy_is_known_by_its_source(source: str, found: tuple[str, int] | None) -> None:
    assert copied_from(source) == found
