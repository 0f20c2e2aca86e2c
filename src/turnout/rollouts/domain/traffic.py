"""The split that a rollout asks for."""

from turnout.quantities import BASIS_POINTS
from turnout.registry.domain.version import VersionRef
from turnout.rollouts.domain.progress import Exposure
from turnout.traffic.domain.split import Role, Variant


def variants(
    exposure: Exposure, candidate: VersionRef, baseline: VersionRef | None, *, ended: bool
) -> tuple[Variant, ...]:
    """The candidate first, so that its share only ever adds units.

    While the rollout lives the version without traffic stays in the split at weight 0, so that the
    gateways keep it loaded for an instant return; afterwards one version is left.
    """
    arms = [
        Variant(
            name=Role.CANDIDATE,
            version_id=candidate.id,
            version=candidate.version,
            weight=exposure.weight,
            shadow=exposure.shadow,
        )
    ]
    if baseline is not None:
        arms.append(
            Variant(
                name=Role.BASELINE,
                version_id=baseline.id,
                version=baseline.version,
                weight=BASIS_POINTS - exposure.weight,
            )
        )
    return tuple(arm for arm in arms if arm.weight or not ended)
