"""Versions as gates see them, in domain tests."""

from dataclasses import replace
from typing import Any

from tests.factories import NOON
from turnout.gates.domain.facts import Facts, SignOff
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import ExternalRuntime
from turnout.registry.domain.signature import DType, Signature, TensorSpec
from turnout.registry.domain.version import VersionRecord

FIRST = VersionRecord(
    id=1,
    model_id=1,
    model="fraud-detection",
    version="1.0.0",
    stage=Lifecycle.STAGING,
    parent_version=None,
    signature=None,
    artifact=None,
    file_sha256=None,
    runtime=ExternalRuntime(),
    created_at=NOON,
    created_by="ada",
)


def version(**fields: Any) -> VersionRecord:
    return replace(FIRST, id=2, version="2.0.0", **fields)


def facts(
    version_: VersionRecord | None = None,
    production: VersionRecord | None = None,
    *,
    owner: str | None = None,
    requester: str = "ada",
    signed: tuple[str, ...] = (),
    **fields: Any,
) -> Facts:
    return Facts(
        version=version_ or version(),
        production=production,
        owner=owner,
        requester=requester,
        approvals=[SignOff(by=by, at=NOON) for by in signed],
        **fields,
    )


def spec(
    name: str, dtype: str = "float32", shape: tuple[int | None, ...] = (None, 3)
) -> TensorSpec:
    return TensorSpec(name=name, dtype=DType(dtype), shape=shape)


def signature(*inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = ()) -> Signature:
    return Signature(inputs=inputs, outputs=outputs)
