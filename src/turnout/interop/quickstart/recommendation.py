"""Which model does better, in a sentence that says how sure that is."""

from collections.abc import Mapping, Sequence

from turnout.observations.domain.comparing import CONFIDENCE, FEWEST_UNITS, Contest, best, contests
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.metric import Metric


def recommend(versions: Mapping[int, str], shared: Sequence[Mapping[int, ArmEvidence]]) -> str:
    """`versions` names the models by the ids of their versions, and `shared` has the arms of each
    split that they answered in.

    One metric decides, so that one look is one look: accuracy once enough feedback came, else
    confidence, which a model may have and be wrong.
    """
    if len(versions) < 2:
        return "nothing to compare yet: activate two models, and let each answer"
    by_accuracy = contests(Metric(metric="accuracy"), versions, shared)
    if any(min(one.units, one.against_units) >= FEWEST_UNITS for one in by_accuracy):
        return _said("accuracy", versions, by_accuracy)
    return _said("confidence", versions, contests(Metric(metric="confidence"), versions, shared))


def _said(metric: str, versions: Mapping[int, str], found: Sequence[Contest]) -> str:
    winner = best(versions, found)
    if winner is None:
        reasons = [one.reason for one in found if one.better] or [found[0].reason]
        return f"no model is shown to be the best: {'; '.join(reasons)}"
    margins = [_margin(metric, winner, one) for one in found if winner == one.better]
    hint = "; feedback tells whether it is right as often" if metric == "confidence" else ""
    return f"{winner} shows {', and '.join(margins)}{hint}"


def _margin(metric: str, winner: str, one: Contest) -> str:
    """`7% higher confidence than model-000001 (95% sure: 4% to 10%)`, relative to the other's."""
    assert one.difference is not None
    assert one.low is not None
    assert one.high is not None
    loser, base, gains = one.against, one.against_value, (one.difference, one.low, one.high)
    if winner == one.against:
        loser, base, gains = one.version, one.value, (-one.difference, -one.high, -one.low)
    unit = "%" if base else " points"
    gain, low, high = (f"{100 * part / (base or 1):.2g}{unit}" for part in gains)
    return f"{gain} higher {metric} than {loser} ({CONFIDENCE:.0%} sure: {low} to {high})"
