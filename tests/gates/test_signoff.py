import pytest

from tests.gates.cases import facts
from turnout.gates.domain.judge import quick
from turnout.gates.domain.policy import ApprovalsGate, EvidenceGate, Feat
from turnout.gates.domain.report import Result, verdict

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
