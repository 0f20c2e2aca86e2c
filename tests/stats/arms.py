"""The totals of an arm, from its units."""

import numpy as np

from turnout.stats.totals import UnitTotals


def counts(k: int, *, of: int) -> UnitTotals:
    """`of` units with one event each, of which k count."""
    return UnitTotals(units=of, n=of, n2=of, x=k, x2=k, xn=k)


def alike(value: float, *, units: int, each: int = 1) -> UnitTotals:
    """Units with the same number of events, every one of the same value."""
    x = value * each
    return UnitTotals(
        units=units,
        n=units * each,
        n2=units * each**2,
        x=units * x,
        x2=units * x**2,
        xn=units * x * each,
    )


def measured(x: np.ndarray, n: np.ndarray | None = None) -> UnitTotals:
    n = np.ones_like(x) if n is None else n
    return UnitTotals(
        units=len(x),
        n=float(n.sum()),
        n2=float(n @ n),
        x=float(x.sum()),
        x2=float(x @ x),
        xn=float(x @ n),
    )
