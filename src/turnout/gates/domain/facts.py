"""What gates are told: the version, what it is compared with, and what was said and shown of it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from turnout.gates.domain.policy import Feat
from turnout.registry.domain.version import VersionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """One person's approval that is in force."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`owner` is the version's, or else its model's. `promised` is what the rollout that asks will
    have shown by the time the version enters production."""

    version: VersionRecord
    production: VersionRecord | None
    owner: str | None
    requester: str
    approvals: Sequence[SignOff] = ()
    feats: Mapping[Feat, str] = field(default_factory=dict)
    promised: frozenset[Feat] = frozenset()


def fingerprint(version: VersionRecord) -> str:
    """Tell whether a version is still what it was, its stage apart: what is said of it may change.

    A slow gate's finding holds for a version as it was when the gate ran.
    """
    said = asdict(version)
    del said["stage"]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
