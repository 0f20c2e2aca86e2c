"""Whether a file that was sent may become a version's artifact."""

from dataclasses import dataclass

from turnout.errors import Conflict, NotFound, TooLarge, Unprocessable
from turnout.registry.domain.runtime import Artifact, OnnxRuntime
from turnout.registry.domain.signature import Signature


class ArtifactMismatch(Unprocessable):
    """The file is not the one that was announced at registration."""


class ArtifactFixed(Conflict):
    def __init__(self, present: str, sent: str) -> None:
        super().__init__(
            f"this version has its artifact, with SHA-256 {present}, and keeps it; the file sent"
            f" has {sent}: register another version for it",
            sha256=present,
            sent_sha256=sent,
        )


class ArtifactTooLarge(TooLarge):
    def __init__(self, megabytes: int) -> None:
        super().__init__(
            f"an artifact has at most {megabytes} MB here; TURNOUT_MAX_ARTIFACT_MEGABYTES sets"
            " that limit",
            limit_megabytes=megabytes,
        )


class NoArtifact(NotFound):
    """The version is there, its file is not."""


class EmptyArtifact(Unprocessable):
    def __init__(self) -> None:
        super().__init__("the request has no body: send the file's bytes as they are")


class UnusableModel(Unprocessable):
    """The file cannot be run as ONNX."""


class SignatureMismatch(Unprocessable):
    """The file's inputs and outputs are not the ones that were declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file in the artifact store, by what it contains."""

    sha256: str
    size: int


def check_file(file: File, *, announced: Artifact | None, present: str | None) -> None:
    """Hold the file against the announced fingerprint and the one that is `present` already."""
    if present is not None and present != file.sha256:
        raise ArtifactFixed(present, file.sha256)
    if announced is None:
        return
    if announced.sha256 not in {None, file.sha256}:
        raise ArtifactMismatch(
            f"the file's SHA-256 is {file.sha256}, but {announced.sha256} was announced at"
            " registration",
            sha256=file.sha256,
            announced_sha256=announced.sha256,
        )
    if announced.size not in {None, file.size}:
        raise ArtifactMismatch(
            f"the file has {file.size} bytes, but {announced.size} were announced at registration",
            size=file.size,
            announced_size=announced.size,
        )


def check_signature(runtime: OnnxRuntime, *, declared: Signature | None, actual: Signature) -> None:
    """Hold what was declared at registration against what the ONNX file says of itself."""
    differences = list(declared.differences(actual)) if declared else []
    if differences:
        raise SignatureMismatch(
            f"the file does not have the signature of its version: {'; '.join(differences)}",
            differences=differences,
        )
    outputs = [spec.name for spec in actual.outputs]
    for role, name in (
        ("prediction_output", runtime.prediction_output),
        ("confidence_output", runtime.confidence_output),
    ):
        if name is not None and name not in outputs:
            raise SignatureMismatch(
                f"runtime.{role} is {name!r}, but the file's outputs are {', '.join(outputs)}",
                field=f"runtime.{role}",
                outputs=outputs,
            )
