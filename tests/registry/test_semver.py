from itertools import pairwise

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from turnout.registry.domain.semver import SemVer

ALPHANUMERIC = "0123456789ABCXYZabcxyz-"
numbers = st.integers(0, 120) | st.integers(10**17, 10**19)
identifiers = (
    st.text(ALPHANUMERIC, min_size=1, max_size=4).filter(
        lambda text: not (text.isdigit() and len(text) > 1 and text[0] == "0")
    )
    | st.integers(0, 10**12).map(str)
    | st.sampled_from(["alpha", "beta", "rc", "a", "a-", "-", "1a"])
)
versions = st.builds(
    SemVer,
    numbers,
    numbers,
    numbers,
    st.lists(identifiers, max_size=4).map(tuple),
    st.lists(st.text(ALPHANUMERIC, min_size=1, max_size=4), max_size=2).map(tuple),
)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param("1.4.0", SemVer(1, 4, 0), id="a release"),
        pytest.param("v1.4.0", SemVer(1, 4, 0), id="a leading v is dropped"),
        pytest.param("1.1", SemVer(1, 1, 0), id="two parts"),
        pytest.param("v0.0", SemVer(0, 0, 0), id="two parts with a v"),
        pytest.param("2.0.0-rc.1", SemVer(2, 0, 0, ("rc", "1")), id="a prerelease"),
        pytest.param("1.0.0-0a.-", SemVer(1, 0, 0, ("0a", "-")), id="identifiers, not numbers"),
        pytest.param("1.0.0+001.b-2", SemVer(1, 0, 0, (), ("001", "b-2")), id="a build"),
        pytest.param("1.0.0-a+b", SemVer(1, 0, 0, ("a",), ("b",)), id="prerelease and build"),
        pytest.param(f"{'9' * 90}.0.0", SemVer(int("9" * 90), 0, 0), id="a huge number"),
    ],
)
def test_accepted_spellings(text: str, version: SemVer) -> None:
    assert SemVer.parse(text) == version


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("1", id="one part"),
        pytest.param("1.0.0.0", id="four parts"),
        pytest.param("01.0.0", id="leading zero in the core"),
        pytest.param("1.01", id="leading zero in two parts"),
        pytest.param("1.0.0-01", id="leading zero in a numeric identifier"),
        pytest.param("1.0.0-", id="empty prerelease"),
        pytest.param("1.0.0-a..b", id="empty identifier"),
        pytest.param("1.0.0+", id="empty build"),
        pytest.param("1.0-rc.1", id="two parts with a prerelease"),
        pytest.param("vv1.0.0", id="two vs"),
        pytest.param(" 1.0.0", id="space before"),
        pytest.param("1.0.0\n", id="line end after"),
        pytest.param("1.0.0-é", id="letter outside ASCII"),
        pytest.param("\u0661.0.0", id="digit outside ASCII"),
        pytest.param("-1.0.0", id="a sign"),
        pytest.param("latest", id="a word"),
    ],
)
def test_a_refusal_says_how_to_write_a_version(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a semantic version: write major\.minor\.patch"):
        SemVer.parse(text)


def test_a_version_has_at_most_a_hundred_characters() -> None:
    longest = "1.0.0-" + "a" * 94

    assert str(SemVer.parse(longest)) == longest
    with pytest.raises(ValueError, match="at most 100 characters, not 101"):
        SemVer.parse(longest + "a")


@given(versions)
def test_what_is_written_is_read_back(version: SemVer) -> None:
    assert SemVer.parse(str(version)) == version


def test_the_examples_of_the_standard_are_in_order() -> None:
    # https://semver.org/#spec-item-11
    first = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]
    texts = [*(f"1.0.0-{part}" for part in first), "1.0.0", "2.0.0", "2.1.0", "2.1.1"]
    keys = [SemVer.parse(text).precedence for text in texts]

    assert all(lower < higher for lower, higher in pairwise(keys))


@given(versions, versions)
def test_the_key_orders_as_the_standard_does(a: SemVer, b: SemVer) -> None:
    expected = semver.Version.parse(str(a)).compare(str(b))
    one, other = a.precedence.encode(), b.precedence.encode()

    assert (one > other) - (one < other) == expected


@given(versions, st.tuples(st.just("build"), st.just("7")))
def test_a_build_does_not_change_the_order(version: SemVer, build: tuple[str, ...]) -> None:
    built = SemVer(version.major, version.minor, version.patch, version.prerelease, build)

    assert built.precedence == version.precedence


@pytest.mark.parametrize(
    ("newest", "major", "minor", "patch", "prerelease"),
    [
        pytest.param("1.0.0", "2.0.0", "1.1.0", "1.0.1", "1.0.1-rc.1", id="after a release"),
        pytest.param("1.4.2+7", "2.0.0", "1.5.0", "1.4.3", "1.4.3-rc.1", id="the build is dropped"),
        pytest.param(
            "2.0.0-rc.9", "2.0.0", "2.0.0", "2.0.0", "2.0.0-rc.10", id="before a major release"
        ),
        pytest.param(
            "1.3.0-rc.1", "2.0.0", "1.3.0", "1.3.0", "1.3.0-rc.2", id="before a minor release"
        ),
        pytest.param(
            "1.3.1-beta", "2.0.0", "1.4.0", "1.3.1", "1.3.1-beta.1", id="a prerelease uncounted"
        ),
    ],
)
def test_suggestions(newest: str, major: str, minor: str, patch: str, prerelease: str) -> None:
    version = SemVer.parse(newest)

    assert str(version.next_major) == major
    assert str(version.next_minor) == minor
    assert str(version.next_patch) == patch
    assert str(version.next_prerelease) == prerelease


@given(versions)
def test_suggestions_come_after_the_version(version: SemVer) -> None:
    assert version < version.next_prerelease
    assert version < version.next_patch
    assert not version.next_minor < version.next_patch
    assert not version.next_major < version.next_minor
