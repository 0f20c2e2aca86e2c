"""The guide on assignment is a promise to other languages."""

import json
import re
from pathlib import Path

import pytest

from turnout.buckets import bucket

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "assignment.md"
VECTOR = re.compile(r"^\| `(\w+)` \| `(\".*\")` \| `([0-9a-f]{16})` \| (\d+) \|$", re.MULTILINE)
VECTORS = VECTOR.findall(GUIDE.read_text())


def test_the_guide_has_vectors():
    assert len(VECTORS) >= 10


@pytest.mark.parametrize(("salt", "unit", "digest", "expected"), VECTORS)
def test_a_vector_of_the_guide_is_what_the_service_computes(
    salt: str, unit: str, digest: str, expected: str
):
    assert int(digest, 16) % 10_000 == int(expected)
    assert bucket(salt, json.loads(unit)) == int(expected)
