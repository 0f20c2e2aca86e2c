"""P-values adjusted for their number, in the order given: compare each with the level itself."""

from collections.abc import Sequence
from typing import Literal

from turnout.stats.arguments import BadArgument

_Method = Literal["bonferroni", "simes-hochberg", "hommel", "fdr_by"]


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """The chance of any false finding, whatever the dependence; weaker than Holm."""
    return _adjusted(p_values, "bonferroni")


def holm(p_values: Sequence[float]) -> list[float]:
    """The chance of any false finding, whatever the dependence (Holm 1979)."""
    # Not from statsmodels, whose Holm collects all garbage at every call: 0.1 s each.
    _require_p_values(p_values)
    adjusted, greatest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = greatest
    return adjusted


def hochberg(p_values: Sequence[float]) -> list[float]:
    """The chance of any false finding among independent or positively dependent tests (1988)."""
    return _adjusted(p_values, "simes-hochberg")


def hommel(p_values: Sequence[float]) -> list[float]:
    """As Hochberg, and never weaker (Hommel 1988)."""
    return _adjusted(p_values, "hommel")


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The expected share of false findings among all, for the same dependence (1995)."""
    # Not from statsmodels, which brings pandas into the process that serves requests.
    _require_p_values(p_values)
    adjusted, least = [0.0] * len(p_values), 1.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in reversed(list(enumerate(order, start=1))):
        least = min(least, len(p_values) / rank * p_values[index])
        adjusted[index] = least
    return adjusted


def benjamini_yekutieli(p_values: Sequence[float]) -> list[float]:
    """The expected share of false findings among all, whatever the dependence (2001)."""
    return _adjusted(p_values, "fdr_by")


def _adjusted(p_values: Sequence[float], method: _Method) -> list[float]:
    _require_p_values(p_values)
    if not p_values:
        return []
    # Imported here because it brings pandas with it: a second, and 100 MB.
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415

    return [float(p_value) for p_value in multipletests(list(p_values), method=method)[1]]


def _require_p_values(p_values: Sequence[float]) -> None:
    for p_value in p_values:
        if not 0 <= p_value <= 1:
            raise BadArgument("p_values", f"must lie between 0 and 1, not {p_value}")
