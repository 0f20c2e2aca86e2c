"""Gates on what is said of a version: its signature and its metadata."""

from collections.abc import Iterator

from turnout.gates.domain.facts import Facts
from turnout.gates.domain.policy import MetadataGate
from turnout.gates.domain.report import Check, Result
from turnout.gates.domain.signatures import incompatibilities
from turnout.registry.domain.version import VersionRecord


def signature(facts: Facts) -> Iterator[Check]:
    declared = facts.version.signature
    yield Check(
        name="signature present",
        result=Result.FAIL if declared is None else Result.PASS,
        reason="it has no signature: declare one, or upload an ONNX file, which brings its own"
        if declared is None
        else f"{len(declared.inputs)} inputs, {len(declared.outputs)} outputs",
    )
    name = "signature compatible with production"
    production = facts.production
    if production is None or production.id == facts.version.id:
        reason = "no other version is in production to compare"
        yield Check(name=name, result=Result.SKIPPED, reason=reason)
    elif production.signature is None:
        reason = f"{production.version}, in production, has no signature"
        yield Check(name=name, result=Result.SKIPPED, reason=reason)
    elif declared is None:
        reason = f"it has none to hold against that of {production.version}"
        yield Check(name=name, result=Result.FAIL, reason=reason)
    else:
        found = list(incompatibilities(declared, production.signature))
        yield Check(
            name=name,
            result=Result.FAIL if found else Result.PASS,
            reason="; ".join(found) or f"who calls {production.version} can call it as well",
        )


def metadata(gate: MetadataGate, facts: Facts) -> Iterator[Check]:
    missing = [name for name in gate.fields if not _present(facts.version, name)]
    yield Check(
        name=f"{', '.join(gate.fields)} given",
        result=Result.FAIL if missing else Result.PASS,
        reason=f"missing: {', '.join(missing)}" if missing else "all are given",
    )


def _present(version: VersionRecord, name: str) -> bool:
    key = name.removeprefix("metadata.")
    if key != name:
        return version.metadata.get(key) not in (None, "", [], {})
    value = getattr(version, name)
    return bool(value.strip()) if isinstance(value, str) else bool(value)
