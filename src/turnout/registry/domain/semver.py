"""Semantic Versioning 2.0.0 (https://semver.org), with a sort key that a database can order by."""

import re
from dataclasses import dataclass, replace
from typing import Final

import semver

LONGEST: Final = 100
_TWO_PART = re.compile(r"\d+\.\d+", re.ASCII)
_FIRST_PRERELEASE: Final = ("rc", "1")


@dataclass(frozen=True, slots=True)
class SemVer:
    """One version. Equal when every part is; *ordered* by precedence, which ignores the build."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[str, ...] = ()
    build: tuple[str, ...] = ()

    @staticmethod
    def parse(text: str) -> "SemVer":
        """Read a version; `v1.0.0` and `1.1` are accepted for `1.0.0` and `1.1.0`."""
        if len(text) > LONGEST:
            raise ValueError(f"a version has at most {LONGEST} characters, not {len(text)}")
        bare = text.removeprefix("v")
        try:
            parsed = semver.Version.parse(f"{bare}.0" if _TWO_PART.fullmatch(bare) else bare)
        except ValueError:
            raise ValueError(
                f"{text!r} is not a semantic version: write major.minor.patch without leading"
                " zeros, such as 1.4.0, 2.0.0-rc.1 or 1.0.0+build.7"
            ) from None
        return SemVer(
            parsed.major,
            parsed.minor,
            parsed.patch,
            tuple(parsed.prerelease.split(".")) if parsed.prerelease else (),
            tuple(parsed.build.split(".")) if parsed.build else (),
        )

    def __str__(self) -> str:
        prerelease = "-" + ".".join(self.prerelease) if self.prerelease else ""
        build = "+" + ".".join(self.build) if self.build else ""
        return f"{self.major}.{self.minor}.{self.patch}{prerelease}{build}"

    def __lt__(self, other: "SemVer") -> bool:
        return self.precedence < other.precedence

    @property
    def precedence(self) -> str:
        """A key whose bytewise order (COLLATE "C") is the precedence of section 11.

        Numbers carry the count of their digits in front, so text order is numeric order. A
        release ends in `~`, above every prerelease. Prerelease identifiers begin with `!` when
        numeric and `+` otherwise: numeric below alphanumeric, and both below every character an
        identifier may hold, so that `a.b` stays below `a-`.
        """
        core = ".".join(map(_sortable, (self.major, self.minor, self.patch)))
        if not self.prerelease:
            return f"{core}~"
        return core + "".join(
            f"!{_sortable(int(part))}" if part.isdigit() else f"+{part}" for part in self.prerelease
        )

    # A prerelease of a version comes before it, so that version is its next release.

    @property
    def next_major(self) -> "SemVer":
        return SemVer(self.major + (not self._awaits(self.minor, self.patch)), 0, 0)

    @property
    def next_minor(self) -> "SemVer":
        return SemVer(self.major, self.minor + (not self._awaits(self.patch)), 0)

    @property
    def next_patch(self) -> "SemVer":
        return SemVer(self.major, self.minor, self.patch + (not self._awaits()))

    @property
    def next_prerelease(self) -> "SemVer":
        """Count on: `rc.1` to `rc.2`, `beta` to `beta.1`; after a release, the next patch's."""
        if not self.prerelease:
            return replace(self.next_patch, prerelease=_FIRST_PRERELEASE)
        *stem, last = self.prerelease
        counted = (*stem, str(int(last) + 1)) if last.isdigit() else (*stem, last, "1")
        return replace(self, prerelease=counted, build=())

    def _awaits(self, *below: int) -> bool:
        return bool(self.prerelease) and not any(below)


def _sortable(number: int) -> str:
    digits = str(number)
    return f"{len(digits):02}{digits}"
