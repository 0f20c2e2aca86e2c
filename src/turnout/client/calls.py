"""The operations of the service that the client has by name, each as a request to be sent.

Their docstrings are those of the methods of both clients.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.client.documents import (
    Bump,
    Comparison,
    Distribution,
    Document,
    ImportReport,
    Move,
    NextVersions,
    Rollout,
    Strategy,
    Version,
    VersionWithHistory,
)
from turnout.client.exchange import Call, get, given, path, post


def register_version(
    model: str,
    version: str,
    *,
    metrics: Mapping[str, float] | None = None,
    group_metrics: Mapping[str, Mapping[str, float]] | None = None,
    metadata: Document | None = None,
    description: str | None = None,
    owner: str | None = None,
    tags: Sequence[str] | None = None,
    run_id: str | None = None,
    dataset_version: str | None = None,
    dependencies: Sequence[str] | None = None,
    changelog: str | None = None,
    parent_version: str | None = None,
    signature: Document | None = None,
    artifact: Document | None = None,
    runtime: Document | None = None,
    reason: str | None = None,
) -> Call[Version]:
    """Register an immutable version, and the model itself on first use.

    Without a `runtime` you run the model, and Turnout routes and measures. The version gets no
    traffic by itself: see `promote`. Raises Conflict if it is there already.
    """
    body = given(
        version=version,
        metrics=metrics,
        group_metrics=group_metrics,
        metadata=metadata,
        description=description,
        owner=owner,
        tags=tags,
        run_id=run_id,
        dataset_version=dataset_version,
        dependencies=dependencies,
        changelog=changelog,
        parent_version=parent_version,
        signature=signature,
        artifact=artifact,
        runtime=runtime,
        reason=reason,
    )
    return post(path("models", model, "versions"), _as_is, body)


def next_version(model: str, bump: Bump = "patch") -> Call[str]:
    """What the next version is called, after the newest one whatever its stage.

    Raises NotFound for a model that has no version yet.
    """

    def read(suggested: NextVersions) -> str:
        return suggested[bump]

    return get(path("models", model, "versions", "next"), read)


def current_version(model: str) -> Call[VersionWithHistory]:
    """The version in production, with its history. Raises NotFound if there is none."""
    return get(path("models", model, "versions", "current"), _as_is)


def promote(
    model: str,
    version: str,
    *,
    strategy: Strategy = "replace",
    stages: Sequence[Document] | None = None,
    guardrails: Sequence[Document] | None = None,
    reason: str | None = None,
) -> Call[Rollout]:
    """Take a version to production: at once (`replace`), or by a rollout that watches it.

    `canary` raises its share step by step, as long as its guardrails pass, and takes it off the
    road if one fails; `stages` and `guardrails` are those of `POST /models/{model}/rollouts`.
    Answers the rollout, which goes on by itself. Raises Conflict while another is under way, for a
    version that was rolled back before, and for one that its gates keep out of production.
    """
    body = given(
        candidate=version, strategy=strategy, stages=stages, guardrails=guardrails, reason=reason
    )
    return post(path("models", model, "rollouts"), _as_is, body)


def rollback(model: str, reason: str, *, to_version: str | None = None) -> Call[Rollout]:
    """Take what answers now off the road, on every replica within milliseconds.

    A rollout under way is rolled back to its baseline. Otherwise all traffic goes to `to_version`,
    or to the version that last proved itself.
    """
    return post(
        path("models", model, "rollback"), _as_is, given(reason=reason, to_version=to_version)
    )


def compare(
    model: str,
    versions: Sequence[str],
    *,
    against: str | None = None,
    window: str | None = None,
) -> Call[Comparison]:
    """Put versions side by side: what was registered of each, and what each did lately.

    `against` is what they are held against: a version, or `production`; else the first of them.
    `window` is how far back `live` looks, such as `6h`; a day unless said.
    """
    return get(
        path("models", model, "compare"),
        _as_is,
        versions=",".join(versions),
        against=against,
        window=window,
    )


def history(model: str, version: str) -> Call[Sequence[Move]]:
    """How a version came to its stage: each step with when, who and why."""

    def read(found: VersionWithHistory) -> Sequence[Move]:
        return found["history"]

    return get(path("models", model, "versions", version), read)


def distribution(model: str, *, simulate: int | None = None) -> Call[Distribution]:
    """Who really got which version, against who should have; or so many made-up units."""
    return get(path("models", model, "split", "distribution"), _as_is, simulate=simulate)


def export_registry() -> Call[Document]:
    """Every model, version and alias with their histories, as one document."""
    return get(path("registry", "export"), _as_is)


def import_registry(document: Document) -> Call[ImportReport]:
    """Add whatever an exported document has that is not there: all of it, or nothing (Conflict)."""
    return post(path("registry", "import"), _as_is, document)


def models_of_experiment(key: str) -> Call[Sequence[str]]:
    """Name the models that have an experiment of this key, each once."""

    def read(page: Mapping[str, Any]) -> Sequence[str]:
        return sorted({found["model"] for found in page["items"]})

    return get("experiments", read, key=key, limit=500)


def _as_is(document: Any) -> Any:
    return document
