"""The latest raw predictions of a version, as rows of a training set would be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

MOST_LOOKED_AT: Final = 200_000

# By the index of batches from its end, so that the cost does not follow from what is kept.
_LATEST: Final = text(
    """
    SELECT features, label
    FROM (
        SELECT version_id, shadow_version, features, label, error FROM prediction
        WHERE model_id = :model_id ORDER BY batch_seq DESC LIMIT :most
    ) AS latest
    WHERE version_id = :version_id AND shadow_version = 0 AND error IS NULL
    LIMIT :n
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one prediction was made of, as far as it was told, and what it said."""

    features: Mapping[str, float | str | bool | None]
    label: str | None


async def latest(
    session: AsyncSession, model_id: int, version_id: int, *, n: int
) -> Sequence[Seen]:
    """At most `n` answers, of the latest 200,000 predictions of the model."""
    asked = {"model_id": model_id, "version_id": version_id, "n": n, "most": MOST_LOOKED_AT}
    rows = await session.execute(_LATEST.columns(features=JSONB), asked)
    return [Seen(features=row.features or {}, label=row.label) for row in rows]
