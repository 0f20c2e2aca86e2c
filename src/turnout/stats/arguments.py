import math


class BadArgument(ValueError):
    """A number that cannot be what it claims to be; `argument` names it."""

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument} {problem}")
        self.argument = argument


def require_finite(**numbers: float) -> None:
    for argument, number in numbers.items():
        if not math.isfinite(number):
            raise BadArgument(argument, f"must be a finite number, not {number}")


def require_nonnegative(**numbers: float) -> None:
    require_finite(**numbers)
    for argument, number in numbers.items():
        if number < 0:
            raise BadArgument(argument, f"must not be negative, but is {number}")


def require_positive(**numbers: float) -> None:
    require_finite(**numbers)
    for argument, number in numbers.items():
        if number <= 0:
            raise BadArgument(argument, f"must be above 0, but is {number}")


def require_between(low: float, high: float, **numbers: float) -> None:
    """Strictly between: a level of exactly 0 or 1 can decide nothing."""
    for argument, number in numbers.items():
        if not low < number < high:
            raise BadArgument(argument, f"must be above {low:g} and below {high:g}, not {number}")
