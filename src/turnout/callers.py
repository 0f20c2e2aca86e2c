"""Who calls, and what a caller may do: roles, the models a caller is confined to, and what an
operation needs."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

from turnout.errors import Forbidden

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Headers = Collection[tuple[bytes, bytes]]


class Role(StrEnum):
    VIEWER = "viewer"
    RECORDER = "recorder"
    OPERATOR = "operator"
    ADMIN = "admin"


COVERED: Final = {
    Role.VIEWER: {Role.VIEWER},
    Role.RECORDER: {Role.RECORDER},
    Role.OPERATOR: {Role.VIEWER, Role.RECORDER, Role.OPERATOR},
    Role.ADMIN: {Role.VIEWER, Role.RECORDER, Role.OPERATOR, Role.ADMIN},
}
"""What each role may do: viewer < operator < admin, and recorder < operator beside them."""


class Scoping(StrEnum):
    """How an operation keeps to the models a caller is confined to."""

    EDGE = "edge"
    """The models are found before the operation runs: in its path, or in its query."""
    OWN = "own"
    """The operation itself answers by `Caller.models`."""


class RoleMissing(Forbidden):
    def __init__(self, caller: "Caller", needed: Collection[Role]) -> None:
        wanted = " or ".join(needed)
        super().__init__(
            f"this needs the role {wanted}, and {caller.name!r} has the role {caller.role}",
            role=caller.role,
            needed=[*needed],
        )


class ModelOutOfScope(Forbidden):
    def __init__(self, caller: "Caller", model: str) -> None:
        allowed = sorted(caller.models or ())
        super().__init__(
            f"{caller.name!r} is confined to {', '.join(allowed) or 'no model'}:"
            f" {model} is not among them",
            model=model,
            models=allowed,
        )


class ModelsUnnamed(Forbidden):
    def __init__(self, caller: "Caller", *, by_query: bool) -> None:
        allowed = sorted(caller.models or ())
        way = "name one as ?model=" if by_query else "this concerns others, too"
        super().__init__(
            f"{caller.name!r} is confined to {', '.join(allowed) or 'no model'}: {way}",
            models=allowed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`name` is the actor in the audit log and in histories; `models` is None for all of them."""

    name: str
    role: Role
    models: frozenset[str] | None = None

    def check_role(self, needed: Collection[Role]) -> None:
        if COVERED[self.role].isdisjoint(needed):
            raise RoleMissing(self, needed)

    def check_models(self, models: Collection[str]) -> None:
        """Refuse models that the caller has named."""
        if self.models is not None:
            for model in models:
                if model not in self.models:
                    raise ModelOutOfScope(self, model)

    def check_concerned(self, models: Collection[str]) -> None:
        """Refuse what concerns other models, too, which the caller is not told of."""
        if self.models is not None and not self.models.issuperset(models):
            raise ModelsUnnamed(self, by_query=False)


@dataclass(frozen=True, slots=True)
class Need:
    """What an operation needs: one of these roles."""

    roles: tuple[Role, ...]
    scoping: Scoping = Scoping.EDGE


READING: Final = Need((Role.VIEWER,))
CHANGING: Final = Need((Role.OPERATOR,))


def needs(*roles: Role, scoping: Scoping = Scoping.EDGE) -> Callable[[Endpoint], Endpoint]:
    """Declare what an operation needs, where that is not what its method tells: GET a viewer,
    everything else an operator."""

    def declare(endpoint: Endpoint) -> Endpoint:
        vars(endpoint)["need"] = Need(roles, scoping)
        return endpoint

    return declare


def need_of(endpoint: Callable[..., Any], method: str) -> Need:
    declared: Need | None = getattr(endpoint, "need", None)
    return declared or (READING if method in {"GET", "HEAD"} else CHANGING)


class Gate(Protocol):
    """Tells who calls."""

    @property
    def open(self) -> bool:
        """Whether nobody is asked for credentials: development mode."""

    async def admit(self, headers: Headers, *, again: bool = False) -> Caller:
        """Raises a refusal for a caller who is not known, or calls too often.

        `again` is asked in the middle of a long answer: that is no further call.
        """

    def expect_change(self) -> None:
        """Credentials have changed: ask for them anew before the next caller is admitted."""

    async def models_of(self, parameter: str, identity: str) -> Collection[str] | None:
        """The models that a thing belongs to, given the path parameter that names it; None for
        a kind of thing that no caller confined to models may touch."""
