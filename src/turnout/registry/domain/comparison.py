"""Versions side by side: what differs, and for the better or for the worse."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isclose, isfinite
from typing import Final, Literal

from turnout.registry.domain.signature import Signature, TensorSpec

Direction = Literal["increase", "decrease"]

INCREASE: Final = frozenset(
    {
        "accuracy",
        "balanced_accuracy",
        "top_1_accuracy",
        "top_5_accuracy",
        "auc",
        "auroc",
        "roc_auc",
        "pr_auc",
        "auprc",
        "average_precision",
        "precision",
        "recall",
        "sensitivity",
        "specificity",
        "f1",
        "f1_score",
        "f1_macro",
        "f1_micro",
        "f1_weighted",
        "r2",
        "r2_score",
        "mcc",
        "kappa",
        "iou",
        "map",
        "ndcg",
        "mrr",
        "hit_rate",
        "bleu",
        "rouge",
        "rouge_1",
        "rouge_2",
        "rouge_l",
        "meteor",
        "exact_match",
        "success_rate",
        "conversion_rate",
        "revenue",
        "throughput",
        "confidence",
    }
)
DECREASE: Final = frozenset(
    {
        "error",
        "errors",
        "error_rate",
        "loss",
        "log_loss",
        "cross_entropy",
        "mse",
        "rmse",
        "mae",
        "mape",
        "smape",
        "rmsle",
        "brier",
        "brier_score",
        "ece",
        "perplexity",
        "wer",
        "cer",
        "fpr",
        "fnr",
        "false_positive_rate",
        "false_negative_rate",
        "latency",
        "latency_ms",
        "latency_mean",
        "cost",
        "model_size",
        "memory",
    }
)
"""Names that mean the same everywhere, and which way they improve."""

# Parts of a set or ways of averaging in front of a name, such as val_accuracy and test_loss.
_OF: Final = re.compile(r"(train|training|val|valid|validation|eval|test|mean|avg)_")
_PERCENTILE: Final = re.compile(r"latency_p\d+(_ms)?|p\d+_latency(_ms)?")
_CUT: Final = re.compile(r"(precision|recall|ndcg|map|hit_rate|accuracy)_at_\d+")


class Judgement(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One version's value, and how it stands to the value it is compared with.

    Null is what cannot be said: of a metric that either lacks, of a share of nothing, or of one
    of which nobody knows whether more is better.
    """

    value: float | None
    difference: float | None
    relative_difference: float | None
    judgement: Judgement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    metric: str
    improves_by: Direction | None
    values: Mapping[str, Compared]


def improves_by(metric: str) -> Direction | None:
    """Tell from a well-known name which way a metric improves; None of any other."""
    name = re.sub(r"[\s@-]+", "_", metric.casefold().replace("@", "_at_")).strip("_")
    for known in (name, _OF.sub("", name, count=1)):
        if known in INCREASE or _CUT.fullmatch(known):
            return "increase"
        if known in DECREASE or _PERCENTILE.fullmatch(known):
            return "decrease"
    return None


def compared(
    measured: Mapping[str, Mapping[str, float | None]], *, against: str
) -> tuple[MetricRow, ...]:
    """Every metric that a version has, in the order of their names; versions keep their order."""
    names = sorted({name for metrics in measured.values() for name in metrics})
    return tuple(
        MetricRow(
            metric=name,
            improves_by=improves_by(name),
            values={
                version: _compare(metrics.get(name), measured[against].get(name), improves_by(name))
                for version, metrics in measured.items()
            },
        )
        for name in names
    )


def _compare(value: float | None, reference: float | None, direction: Direction | None) -> Compared:
    if value is None or reference is None:
        return Compared(value=value, difference=None, relative_difference=None, judgement=None)
    difference = value - reference
    same = isclose(value, reference, rel_tol=1e-9)
    return Compared(
        value=value,
        difference=_finite(difference),
        relative_difference=_finite(difference / abs(reference)) if reference else None,
        judgement=Judgement.SAME if same else _judge(difference, direction),
    )


def _judge(difference: float, direction: Direction | None) -> Judgement | None:
    if direction is None:
        return None
    improved = (difference > 0) == (direction == "increase")
    return Judgement.BETTER if improved else Judgement.WORSE


def _finite(number: float) -> float | None:
    return number if isfinite(number) else None


def signature_differences(reference: Signature | None, other: Signature | None) -> tuple[str, ...]:
    """Say in sentences what callers of the reference would have to do otherwise."""
    if reference is None or other is None:
        return () if reference == other else ("only one of the two has a signature",)
    return (
        *_differences("input", reference.inputs, other.inputs),
        *_differences("output", reference.outputs, other.outputs),
    )


def _differences(
    kind: str, reference: Sequence[TensorSpec], other: Sequence[TensorSpec]
) -> Iterable[str]:
    before = {spec.name: spec for spec in reference}
    after = {spec.name: spec for spec in other}
    yield from (f"{kind} {name} is gone" for name in before if name not in after)
    yield from (f"{kind} {name} is new: {after[name]}" for name in after if name not in before)
    for name, spec in before.items():
        if name in after and spec != after[name]:
            yield f"{kind} {name} is {after[name]} instead of {spec}"
