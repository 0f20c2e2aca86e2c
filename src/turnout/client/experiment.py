"""`@client.experiment`: a function that gets the model of the version that its unit is to see."""

import asyncio
import functools
import inspect
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, cast, overload

from turnout.client import calls
from turnout.client.core import Core, made_now
from turnout.client.errors import TurnoutError
from turnout.client.recording import Label, Prediction
from turnout.client.routing import Attributes, Choice

Model = TypeVar("Model")
Value = TypeVar("Value")
Given = ParamSpec("Given")

Load = Callable[[str], Any]
"""Makes the model of a version, or a coroutine that does."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A user, a session or a request, with what is known about it for rules to aim at."""

    id: str
    attributes: Attributes | None = None


@dataclass(frozen=True, slots=True)
class Scored(Generic[Value]):
    """What a function returns that has more to say than its value: the predicted class, so that
    a label reported later can be compared with it; how sure the model is (0 to 1); what it cost."""

    value: Value
    label: Label | None = None
    confidence: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[Value]):
    """A value, and which version made it. Report what came of it by its `prediction_id`."""

    value: Value
    prediction_id: str
    choice: Choice

    @property
    def experiment(self) -> str | None:
        """The key of the experiment that drew the version; None while none does."""
        return self.choice.experiment

    @property
    def version(self) -> str:
        return self.choice.version

    @property
    def variant(self) -> str:
        return self.choice.variant


class ModelUnclear(TurnoutError):
    """No model, or more than one, has an experiment of this key."""

    def __init__(self, key: str, models: Sequence[str]) -> None:
        found = f"{', '.join(models)} have" if models else "no model has"
        super().__init__(f"{found} an experiment {key!r}: name the model, as model=…")


class Experiment(Generic[Model]):
    """The decorator. Models are loaded once for each version, and dropped once the model's route
    no longer leads to theirs."""

    def __init__(
        self, core: Core, key: str, load: Load, model: str | None, default: str | None
    ) -> None:
        self._core = core
        self._key = key
        self._load = load
        self._model = model
        self._default = default
        self._loaded: dict[str, Model] = {}
        self._loading = threading.Lock()
        self._under_way: dict[tuple[asyncio.AbstractEventLoop, str], asyncio.Future[Model]] = {}
        _living.add(self)

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[Model, Given], Coroutine[Any, Any, Scored[Value]]]
    ) -> Callable[Concatenate[str | Unit, Given], Coroutine[Any, Any, Answer[Value]]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[Model, Given], Coroutine[Any, Any, Value]]
    ) -> Callable[Concatenate[str | Unit, Given], Coroutine[Any, Any, Answer[Value]]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Model, Given], Scored[Value]]
    ) -> Callable[Concatenate[str | Unit, Given], Answer[Value]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Model, Given], Value]
    ) -> Callable[Concatenate[str | Unit, Given], Answer[Value]]: ...
    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Where the function takes the model, its callers give the unit."""
        if inspect.iscoroutinefunction(function):
            return self._awaiting(function)
        return self._waiting(function)

    def _waiting(self, function: Callable[..., Any]) -> Callable[..., Answer[Any]]:
        if inspect.iscoroutinefunction(self._load):
            raise TypeError("load is a coroutine function, and the decorated function is not one")

        @functools.wraps(function)
        def answered(unit: str | Unit, /, *args: Any, **kwargs: Any) -> Answer[Any]:
            core = self._core
            if self._model is None:
                call = calls.models_of_experiment(self._key)
                self._model = self._only(core.engine.submit(core.engine.perform(call)).result())
            who = _unit(unit)
            choice = core.select(self._model, who.id, who.attributes, self._default)
            with _Attempt(core, choice) as attempt:
                model = self._ready(choice)
                attempt.begin()
                return attempt.answer(function(model, *args, **kwargs))

        return answered

    def _awaiting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def answered(unit: str | Unit, /, *args: Any, **kwargs: Any) -> Answer[Any]:
            core = self._core
            if self._model is None:
                call = calls.models_of_experiment(self._key)
                self._model = self._only(
                    await asyncio.wrap_future(core.engine.submit(core.engine.perform(call)))
                )
            who = _unit(unit)
            choice = await core.select_awaited(self._model, who.id, who.attributes, self._default)
            with _Attempt(core, choice) as attempt:
                model = await self._ready_awaited(choice)
                attempt.begin()
                return attempt.answer(await function(model, *args, **kwargs))

        return answered

    def leave_to_parent(self) -> None:
        """Begin anew in a forked process: whoever was loading a model is not in it."""
        self._loading = threading.Lock()
        self._under_way = {}

    def _only(self, models: Sequence[str]) -> str:
        if len(models) != 1:
            raise ModelUnclear(self._key, models)
        return models[0]

    def _ready(self, choice: Choice) -> Model:
        loaded, version = self._loaded, choice.version
        if version in loaded:
            return loaded[version]
        with self._loading:
            if version in self._loaded:
                return self._loaded[version]
            model = cast("Model", self._load(version))
            self._keep(choice, model)
            return model

    async def _ready_awaited(self, choice: Choice) -> Model:
        """Whoever comes while a version is loaded waits for the same; another loop's tasks cannot
        be waited for, so each loop loads for itself."""
        loaded, version = self._loaded, choice.version
        if version in loaded:
            return loaded[version]
        place = asyncio.get_running_loop(), version
        under_way = self._under_way.get(place)
        if under_way is None:
            under_way = self._under_way[place] = asyncio.ensure_future(self._load_awaited(choice))
            under_way.add_done_callback(lambda _: self._under_way.pop(place, None))
        return await asyncio.shield(under_way)

    async def _load_awaited(self, choice: Choice) -> Model:
        load = self._load
        if inspect.iscoroutinefunction(load):
            model = await load(choice.version)
        else:
            model = await asyncio.to_thread(load, choice.version)
        self._keep(choice, model)
        return cast("Model", model)

    def _keep(self, choice: Choice, model: Model) -> None:
        """Replaces the mapping, so that who has just looked into the old one is not surprised."""
        wanted = self._core.versions(choice.model)
        kept = {version: known for version, known in self._loaded.items() if version in wanted}
        self._loaded = {**kept, choice.version: model}


_living: Final[weakref.WeakSet[Experiment[Any]]] = weakref.WeakSet()


def _begin_anew() -> None:
    for experiment in list(_living):
        experiment.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def _unit(unit: str | Unit) -> Unit:
    return unit if isinstance(unit, Unit) else Unit(unit)


class _Attempt:
    """Records what a version made of one input, or that it failed. Loading it takes no part in its
    latency; failing to load does count as its failure. A cancelled attempt says nothing."""

    def __init__(self, core: Core, choice: Choice) -> None:
        self._core = core
        self._choice = choice
        self._prediction_id, self._at = made_now()
        self._begun: float | None = None
        self._answered = False

    def __enter__(self) -> Self:
        return self

    def begin(self) -> None:
        self._begun = time.perf_counter()

    def answer(self, result: object) -> Answer[Any]:
        latency = self._latency()
        self._answered = True
        scored = result if isinstance(result, Scored) else Scored(result)
        self._record(
            latency_ms=latency,
            label=scored.label,
            confidence=scored.confidence,
            cost=scored.cost,
        )
        return Answer(value=scored.value, prediction_id=self._prediction_id, choice=self._choice)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not self._answered:
            self._record(latency_ms=self._latency(), error=f"{type(error).__name__}: {error}")

    def _latency(self) -> float | None:
        return None if self._begun is None else (time.perf_counter() - self._begun) * 1000

    def _record(self, **seen: Any) -> None:
        prediction = Prediction(
            choice=self._choice, prediction_id=self._prediction_id, at=self._at, **seen
        )
        self._core.record(self._choice.model, prediction)
