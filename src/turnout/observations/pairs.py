"""What a shadow said, beside what was served for the same input."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.domain.pairs import ClassPair

_CLASS_PAIRS: Final = text(
    """
    SELECT served, label AS shadow, n FROM class_pair
    WHERE model_id = :model_id AND split_id = :split_id AND version_id = :version_id
    ORDER BY n DESC, served, label
    """
)


async def class_pairs(
    session: AsyncSession, model_id: int, *, split_id: int, version_id: int
) -> list[ClassPair]:
    """The pairs of classes of one shadow, the most frequent first."""
    key = {"model_id": model_id, "split_id": split_id, "version_id": version_id}
    return [ClassPair(**row) for row in (await session.execute(_CLASS_PAIRS, key)).mappings()]
