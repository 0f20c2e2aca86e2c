"""How the classes of a shadow and those that were served go together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPair:
    """For `n` inputs, `served` was answered and the shadow would have answered `shadow`.

    Where a shadow makes too many pairs of classes to count each by name, both are "".
    """

    served: str
    shadow: str
    n: int
