"""Designs of sequential tests: how they spend their error, and when they look."""

from hypothesis import strategies as st

from turnout.stats.spending import (
    HwangShihDeCani,
    KimDeMets,
    LanDeMetsOBrienFleming,
    LanDeMetsPocock,
    Spending,
)

OBF, POCOCK, LINEAR = LanDeMetsOBrienFleming(), LanDeMetsPocock(), KimDeMets(1)
DEFAULT, FUTILITY = HwangShihDeCani(-3), HwangShihDeCani(-8)
FAMILIES: list[Spending] = [
    OBF,
    POCOCK,
    LINEAR,
    DEFAULT,
    HwangShihDeCani(0),
    HwangShihDeCani(1),
    KimDeMets(2),
]


def equal(looks: int) -> list[float]:
    return [look / looks for look in range(1, looks + 1)]


schedules = st.lists(st.integers(1, 200), min_size=1, max_size=8, unique=True).map(
    lambda looks: [look / 200 for look in sorted(looks)]
)
