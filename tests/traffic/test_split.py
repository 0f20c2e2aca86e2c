"""What a split may be, who may change it, and who may be in it."""

from dataclasses import replace

import pytest

from tests.factories import PERSON, split, variants
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import ExternalRuntime, HttpRuntime, OnnxRuntime
from turnout.registry.domain.version import VersionRef
from turnout.traffic.domain.split import (
    ArtifactMissing,
    Owner,
    OwnerKind,
    Share,
    SplitOwned,
    VersionRejected,
    check_arms,
    check_owner,
    check_servable,
    continues,
    in_order_of,
)

ROLLOUT = Owner(kind=OwnerKind.ROLLOUT, id="r1")
OTHER_ROLLOUT = Owner(kind=OwnerKind.ROLLOUT, id="r2")
EXPERIMENT = Owner(kind=OwnerKind.EXPERIMENT, id="r1")
SOMEONE_ELSE = Owner(kind=OwnerKind.PERSON, id="grace")
EXTERNAL = VersionRef(
    id=1,
    model_id=1,
    model="fraud-detection",
    version="1.0.0",
    stage=Lifecycle.STAGING,
    runtime=ExternalRuntime(),
    artifact=None,
    signature=None,
    file_sha256=None,
)


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        pytest.param([], "sum to 0 percent, not 100", id="nothing serves"),
        pytest.param(
            [Share(version="1.0.0", weight=7_000), Share(version="2.0.0", weight=2_550)],
            "sum to 95.5 percent, not 100",
            id="too little",
        ),
        pytest.param(
            [Share(version="1.0.0", weight=7_000), Share(version="2.0.0", weight=7_000)],
            "sum to 140 percent, not 100",
            id="too much",
        ),
        pytest.param(
            [Share(version="1.0.0", weight=11_000), Share(version="2.0.0", weight=-1_000)],
            "between 0 and 100 percent, not 110",
            id="a share beyond all",
        ),
        pytest.param(
            [Share(version="1.0.0", weight=5_000), Share(version="1.0.0", weight=5_000)],
            "version 1.0.0 is listed 2 times",
            id="the same version twice",
        ),
        pytest.param(
            [
                Share(version="1.0.0", weight=5_000, name="2.0.0"),
                Share(version="2.0.0", weight=5_000),
            ],
            "variant name 2.0.0 is listed 2 times",
            id="a name that is another's version",
        ),
        pytest.param(
            [
                Share(version="1.0.0", weight=9_000),
                Share(version="2.0.0", weight=1_000, shadow=True),
            ],
            "leave out the weight of 2.0.0",
            id="a shadow with weight",
        ),
    ],
)
def test_shares_that_make_no_split_are_refused_with_the_reason(shares: list[Share], sentence: str):
    with pytest.raises(ValueError, match=sentence):
        check_arms(shares)


def test_an_invalid_split_cannot_be_made():
    with pytest.raises(ValueError, match="sum to 90 percent"):
        split({"candidate": 1_000, "baseline": 8_000})


@pytest.mark.parametrize("owner", [SOMEONE_ELSE, OTHER_ROLLOUT, EXPERIMENT])
def test_nobody_else_changes_the_split_of_a_live_rollout(owner):
    active = split({"baseline": 10_000}, owner=ROLLOUT, owned=True)

    with pytest.raises(SplitOwned, match=r"rollout r1 decides .* abort or finish it") as refused:
        check_owner(active, owner)

    assert refused.value.facts == {"owner": {"kind": "rollout", "id": "r1"}}


@pytest.mark.parametrize(
    ("active", "owner"),
    [
        pytest.param(None, SOMEONE_ELSE, id="there is no split yet"),
        pytest.param(split({"a": 10_000}), SOMEONE_ELSE, id="another person's split"),
        pytest.param(split({"a": 10_000}), ROLLOUT, id="a rollout takes a person's split"),
        pytest.param(
            split({"a": 10_000}, owner=ROLLOUT, owned=True), ROLLOUT, id="its own rollout"
        ),
        pytest.param(
            split({"a": 10_000}, owner=ROLLOUT), OTHER_ROLLOUT, id="a rollout that has let go"
        ),
    ],
)
def test_a_split_that_nobody_holds_is_free(active, owner):
    check_owner(active, owner)


@pytest.mark.parametrize(
    ("version", "refusal"),
    [
        pytest.param(replace(EXTERNAL, stage=Lifecycle.REJECTED), VersionRejected, id="rejected"),
        pytest.param(
            replace(EXTERNAL, runtime=OnnxRuntime()), ArtifactMissing, id="no file was uploaded"
        ),
    ],
)
def test_a_version_that_cannot_serve_is_refused(version, refusal):
    with pytest.raises(refusal):
        check_servable(version)


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(replace(EXTERNAL, stage=Lifecycle.DEVELOPMENT), id="a canary may be new"),
        pytest.param(replace(EXTERNAL, stage=Lifecycle.ARCHIVED), id="a rollback may be old"),
        pytest.param(
            replace(EXTERNAL, runtime=HttpRuntime(url="http://models.internal:8080")),
            id="a model server needs no file",
        ),
        pytest.param(
            replace(EXTERNAL, runtime=OnnxRuntime(), file_sha256="0" * 64), id="onnx with its file"
        ),
    ],
)
def test_a_version_that_can_serve_passes(version):
    check_servable(version)


CANARY = {"candidate": 1_000, "baseline": 9_000}


@pytest.mark.parametrize(
    ("former", "owner", "weights", "goes_on"),
    [
        pytest.param(ROLLOUT, ROLLOUT, {"a": 2_500, "b": 7_500}, True, id="the next stage"),
        pytest.param(PERSON, SOMEONE_ELSE, {"a": 0, "b": 10_000}, True, id="another person"),
        pytest.param(ROLLOUT, OTHER_ROLLOUT, {"a": 1_000, "b": 9_000}, False, id="a new rollout"),
        pytest.param(PERSON, ROLLOUT, {"a": 1_000, "b": 9_000}, False, id="a rollout takes over"),
        pytest.param(ROLLOUT, ROLLOUT, {"a": 10_000}, False, id="a version left"),
        pytest.param(ROLLOUT, ROLLOUT, {"a": 1, "b": 1, "c": 9_998}, False, id="a version came"),
    ],
)
def test_a_split_goes_on_while_owner_and_serving_versions_stay(former, owner, weights, goes_on):
    active = split(CANARY, owner=former)

    assert continues(active, owner=owner, variants=variants(weights)) is goes_on


def test_a_new_shadow_does_not_interrupt_a_split():
    active = split(CANARY, owner=ROLLOUT)

    assert continues(active, owner=ROLLOUT, variants=variants(CANARY, shadow="next"))


def test_variants_keep_their_place_however_they_are_listed():
    active = split({"a": 2_000, "b": 3_000, "c": 5_000})
    a, b, c, shadow = variants({"a": 6_000, "b": 1_000, "c": 3_000}, shadow="next")

    assert in_order_of(active, [shadow, c, a, b]) == (a, b, c, shadow)
