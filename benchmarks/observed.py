"""What both versions of a rollout would have answered."""

import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from turnout.observations.domain.prediction import Prediction
from turnout.rollouts.tables import Rollout

USERS = 100_000
CANDIDATES_SHARE = 0.1
ERROR_RATE = 0.01
SPREAD = timedelta(minutes=2)
CLASSES = ("ok", "fraud", "review")


def predictions(
    source: random.Random, rollout: Rollout, ids: Iterable[str], now: datetime
) -> Iterator[Prediction]:
    """One prediction per id within the last two minutes, for users chosen at random."""
    baseline, candidate = rollout.baseline_id, rollout.candidate_id
    assert baseline is not None
    for prediction_id in ids:
        user = source.randrange(USERS)
        yield Prediction(
            prediction_id=prediction_id,
            version_id=candidate if user < USERS * CANDIDATES_SHARE else baseline,
            split_id=rollout.progress.split_id,
            unit=f"user-{user}",
            at=now - source.random() * SPREAD,
            latency_ms=source.lognormvariate(3, 0.5),
            confidence=source.uniform(0.5, 1),
            label=source.choice(CLASSES),
            error=source.random() < ERROR_RATE,
        )
