"""Which semantic version MLflow's next one is."""

from collections.abc import Collection, Mapping
from typing import Final

from turnout.interop.mlflow.domain.filters import SEMVER
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.version import MalformedVersion

FIRST: Final = SemVer(1, 0, 0)


def semver_of(
    tags: Mapping[str, str],
    *,
    newest: SemVer | None,
    taken: Collection[str],
    copied: bool,
) -> SemVer:
    """The tag `semver`, or else a tag `version` that is one, or else the next minor version.

    What `semver` asks for is taken at its word, also where it is taken and will be refused. A
    copy brings the tag of its original along, and `version` means many things to many people:
    these count up to what is free.
    """
    asked = _read(tags[SEMVER]) if SEMVER in tags else None
    if asked is not None and not copied:
        return asked
    wanted = asked or _versionlike(tags.get("version", ""))
    if wanted is None:
        return newest.next_minor if newest else FIRST
    while str(wanted) in taken:
        wanted = wanted.next_prerelease if wanted.prerelease else wanted.next_patch
    return wanted


def _read(text: str) -> SemVer:
    try:
        return SemVer.parse(text)
    except ValueError as error:
        raise MalformedVersion(f"tag semver: {error}", field="tags") from None


def _versionlike(text: str) -> SemVer | None:
    try:
        return SemVer.parse(text)
    except ValueError:
        return None
