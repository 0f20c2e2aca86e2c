"""An exact anytime-valid test of a probability, for counts too small for the normal curve.

Under H0: P(event) = p0, tilting the odds by r turns the likelihood of k events in n into
rᵏ / (1 + (r - 1)p0)ⁿ times itself. For r > 1 that ratio is a martingale at p0 and a
supermartingale at any smaller probability, and so is a fixed mixture over r; by Ville's
inequality it ever exceeds 1/α with a chance of at most α (Ville 1939; Robbins 1970). No normal
approximation is made, so the level holds from the first event, for p0 of any size.
"""

import math

from turnout.stats.arguments import BadArgument, require_between

#: log r, at equal weights: from odds 2 % higher to 100,000 times as high, each a third above the
#: one before, so that one of them is close to whatever is true.
_LOG_TILTS = tuple(0.02 * 1.32**step for step in range(24))


def log_evidence(events: int, trials: int, p0: float) -> float:
    """ln of the mixture that the event is more probable than p0; it grows with `events`."""
    require_between(0, 1, p0=p0)
    if not 0 <= events <= trials:
        raise BadArgument("events", f"must lie between 0 and the {trials} trials, not {events}")
    terms = [events * tilt - trials * math.log1p(p0 * math.expm1(tilt)) for tilt in _LOG_TILTS]
    greatest = max(terms)
    return (
        greatest
        + math.log(sum(math.exp(term - greatest) for term in terms))
        - math.log(len(_LOG_TILTS))
    )


def fewest_that_show_more(trials: int, p0: float, alpha: float) -> int | None:
    """The least number of events that shows a probability above p0; None if not even all do."""
    require_between(0, 1, alpha=alpha)
    threshold = -math.log(alpha)
    if trials == 0 or log_evidence(trials, trials, p0) < threshold:
        return None
    low, high = 0, trials
    while low < high:
        middle = (low + high) // 2
        if log_evidence(middle, trials, p0) < threshold:
            low = middle + 1
        else:
            high = middle
    return low


def most_that_show_less(trials: int, p0: float, alpha: float) -> int | None:
    """The greatest number of events that shows a probability below p0; None if not even 0 does."""
    others = fewest_that_show_more(trials, 1 - p0, alpha)
    return None if others is None else trials - others
