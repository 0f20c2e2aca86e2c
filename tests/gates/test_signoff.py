import pytest

from tests.gates.cases import facts
from turnout.gates.domain.judge import quick
from turnout.gates.domain.outcome import NothingToApprove, check_settled
from turnout.gates.domain.policy import ApprovalsGate, EvidenceGate, Feat
from turnout.gates.domain.report import Result, verdict
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import Artifact, ExternalRuntime, OnnxRuntime, Runtime
from turnout.registry.domain.version import VersionRef

OWNER = ApprovalsGate(owner=True)
ONE_OTHER = ApprovalsGate(others=1)
LENIENT = ApprovalsGate(others=1, four_eyes=False)
EITHER = EvidenceGate()


@pytest.mark.parametrize(
    ("gate", "requester", "signed", "passes"),
    [
        # ada registered the version, and bob owns it
        pytest.param(OWNER, "ada", ("bob",), True, id="the owner"),
        pytest.param(OWNER, "ada", ("eve",), False, id="somebody else than the owner"),
        pytest.param(OWNER, "bob", ("bob",), False, id="the owner alone, who asks for it"),
        pytest.param(OWNER, "bob", ("bob", "eve"), True, id="the owner, and another"),
        pytest.param(OWNER, "bob", ("bob", "ada"), False, id="the owner, and who registered it"),
        pytest.param(ONE_OTHER, "ada", (), False, id="nobody"),
        pytest.param(ONE_OTHER, "ada", ("ada",), False, id="who registered it"),
        pytest.param(ONE_OTHER, "eve", ("eve",), False, id="who asks for it"),
        pytest.param(ONE_OTHER, "eve", ("kim",), True, id="another"),
        pytest.param(LENIENT, "ada", ("ada",), True, id="anybody, where two eyes will do"),
        pytest.param(ApprovalsGate(), "eve", ("kim",), True, id="four eyes"),
        pytest.param(ApprovalsGate(), "eve", ("eve", "ada"), False, id="the same eyes twice"),
        pytest.param(
            ApprovalsGate(owner=True, others=1), "ada", ("bob",), False, id="the owner is no other"
        ),
        pytest.param(ApprovalsGate(owner=True, others=1), "ada", ("bob", "kim"), True, id="both"),
    ],
)
def test_who_must_have_approved(
    gate: ApprovalsGate, requester: str, signed: tuple[str, ...], passes: bool
) -> None:
    found = facts(owner="bob", requester=requester, signed=signed)

    assert (verdict(quick(gate, found)) is Result.PASS) == passes


def test_nobody_can_approve_for_an_owner_who_is_not_named() -> None:
    checks = list(quick(OWNER, facts(signed=("bob",))))

    assert "neither the version nor its model has an owner" in checks[0].reason


@pytest.mark.parametrize(
    ("found", "result", "reason"),
    [
        pytest.param(facts(), Result.FAIL, "not yet succeeded", id="nothing shown"),
        pytest.param(
            facts(feats={Feat.SHADOW: "models/m/rollouts/7"}),
            Result.PASS,
            "in models/m/rollouts/7",
            id="a shadow rollout",
        ),
        pytest.param(
            facts(promised=frozenset({Feat.SHADOW})),
            Result.PASS,
            "no further than a shadow rollout",
            id="the rollout that asks begins as a shadow",
        ),
    ],
)
def test_evidence_from_the_road(found, result: Result, reason: str) -> None:
    (check,) = quick(EITHER, found)

    assert check.result is result
    assert reason in check.reason


HASH = "0" * 64


@pytest.mark.parametrize(
    ("runtime", "announced", "uploaded", "settled"),
    [
        pytest.param(OnnxRuntime(), None, None, False, id="any file could become it"),
        pytest.param(OnnxRuntime(), Artifact(uri="s3://b/1"), None, False, id="by an address only"),
        pytest.param(OnnxRuntime(), Artifact(sha256=HASH), None, True, id="one file could"),
        pytest.param(OnnxRuntime(), Artifact(sha256=HASH), HASH, True, id="its file is there"),
        pytest.param(ExternalRuntime(), None, None, True, id="its caller has it"),
    ],
)
def test_what_is_signed_off_is_what_will_serve(
    runtime: Runtime, announced: Artifact | None, uploaded: str | None, settled: bool
) -> None:
    version = VersionRef(
        id=1,
        model_id=1,
        model="fraud",
        version="2.0.0",
        stage=Lifecycle.STAGING,
        runtime=runtime,
        artifact=announced,
        signature=None,
        file_sha256=uploaded,
    )
    if settled:
        check_settled(version)
    else:
        with pytest.raises(NothingToApprove, match="upload it first"):
            check_settled(version)
