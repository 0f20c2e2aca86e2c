"""The runtimes of this replica: loaded once, ahead of need, and dropped when nothing needs them."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, assert_never

from turnout.errors import Conflict
from turnout.gateway.runtimes.answers import Answer, Failure, Runtime, RuntimeFailure
from turnout.gateway.runtimes.chat import ChatModel
from turnout.gateway.runtimes.http import HttpModel, http_session
from turnout.gateway.runtimes.onnx import OnnxModel
from turnout.gateway.runtimes.sentiment import DemoSentiment
from turnout.quantities import JsonValue
from turnout.registry.artifacts import location
from turnout.registry.domain.runtime import (
    DemoSentimentRuntime,
    ExternalRuntime,
    HttpRuntime,
    OnnxRuntime,
    OpenAIRuntime,
)
from turnout.registry.domain.version import VersionRef
from turnout.settings import Settings
from turnout.telemetry import first_line, log

if TYPE_CHECKING:
    import aiohttp

IDLE: Final = timedelta(minutes=5)
"""How long a version that nothing routes to stays loaded: an instant return finds it warm."""

FAILED_FOR: Final = timedelta(seconds=2)
"""How long a failure to load is remembered, so that not every request tries it again."""


class RunByCaller(Conflict):
    def __init__(self, version: VersionRef) -> None:
        super().__init__(
            f"{version.model} {version.version} is run by its caller (runtime external): ask"
            " /assign which version to use, run it, and report to /observations",
            version=version.version,
            runtime=version.runtime.kind,
        )


@dataclass(slots=True)
class Loaded:
    runtime: Runtime
    used: float


@dataclass(frozen=True, slots=True)
class Unloadable:
    kind: Failure
    detail: str
    until: float


class RuntimePool:
    """`runtime` answers at once for what is loaded; concurrent first calls load only once."""

    def __init__(
        self, settings: Settings, *, idle: timedelta = IDLE, failed_for: timedelta = FAILED_FOR
    ) -> None:
        self._artifacts = settings.artifacts_dir
        self._threads = settings.onnx_threads
        self._deadline = timedelta(seconds=settings.predict_timeout_seconds)
        self._idle = idle.total_seconds()
        self._failed_for = failed_for.total_seconds()
        self._http: aiohttp.ClientSession | None = None
        self._loaded: dict[int, Loaded] = {}
        self._loading: dict[int, asyncio.Task[Runtime]] = {}
        self._unloadable: dict[int, Unloadable] = {}
        self._wanted: frozenset[int] = frozenset()
        self._leaving: dict[int, asyncio.TimerHandle] = {}

    def ready(self, version_id: int) -> Runtime | None:
        if (found := self._loaded.get(version_id)) is None:
            return None
        found.used = time.monotonic()
        return found.runtime

    async def runtime(self, version: VersionRef) -> Runtime:
        """Raises RunByCaller, or RuntimeFailure when it cannot be loaded within the deadline."""
        if (runtime := self.ready(version.id)) is not None:
            return runtime
        if isinstance(version.runtime, ExternalRuntime):
            raise RunByCaller(version)
        if (recent := self._unloadable.get(version.id)) and time.monotonic() < recent.until:
            raise RuntimeFailure(recent.kind, recent.detail)
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                return await asyncio.shield(self._load(version))
        except TimeoutError:
            raise RuntimeFailure(Failure.TIMEOUT, "it is still being loaded") from None

    async def probe(self, version: VersionRef, inputs: JsonValue) -> Answer | None:
        """Load a version, and ask it, too, if there are inputs to ask it with."""
        runtime = await self.runtime(version)
        return None if inputs is None else await runtime.predict(inputs)

    def want(self, versions: Collection[VersionRef]) -> None:
        """Load what a route may send a request to; let go, later, of what none does."""
        served = [v for v in versions if not isinstance(v.runtime, ExternalRuntime)]
        self._wanted = frozenset(version.id for version in served)
        for version in served:
            if version.id not in self._loaded:
                self._load(version)
        for version_id in self._loaded.keys() - self._wanted:
            self._drop_later(version_id, self._idle)

    async def close(self) -> None:
        for timer in self._leaving.values():
            timer.cancel()
        loading = list(self._loading.values())
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)
        for loaded in self._loaded.values():
            loaded.runtime.close()
        self._loaded.clear()
        if self._http is not None:
            await self._http.close()

    def _load(self, version: VersionRef) -> asyncio.Task[Runtime]:
        if (task := self._loading.get(version.id)) is None:
            task = self._loading[version.id] = asyncio.create_task(self._make(version))
            task.add_done_callback(lambda task: self._finish(version, task))
        return task

    def _finish(self, version: VersionRef, task: asyncio.Task[Runtime]) -> None:
        del self._loading[version.id]
        if task.cancelled():
            return
        if isinstance(failure := task.exception(), RuntimeFailure):
            log.warning(
                "version not loaded",
                model=version.model,
                version=version.version,
                failure=failure.kind,
                detail=failure.detail,
            )
            until = time.monotonic() + self._failed_for
            self._unloadable[version.id] = Unloadable(failure.kind, failure.detail, until)
            return
        self._unloadable.pop(version.id, None)
        self._loaded[version.id] = Loaded(task.result(), time.monotonic())
        if version.id not in self._wanted:
            self._drop_later(version.id, self._idle)

    async def _make(self, version: VersionRef) -> Runtime:
        match version.runtime:
            case OnnxRuntime() as config:
                return await self._open(version, config)
            case HttpRuntime() as config:
                self._http = self._http or http_session()
                return HttpModel(self._http, version, config, deadline=self._deadline)
            case OpenAIRuntime() as config:
                self._http = self._http or http_session()
                return ChatModel(self._http, version, config, deadline=self._deadline)
            case DemoSentimentRuntime(words=words):
                return DemoSentiment(words)
            case ExternalRuntime():
                raise RunByCaller(version)
            case _:
                assert_never(version.runtime)

    async def _open(self, version: VersionRef, config: OnnxRuntime) -> OnnxModel:
        if version.file_sha256 is None:
            raise RuntimeFailure(Failure.NOT_LOADED, "its file has not been uploaded")
        path = location(self._artifacts, version.file_sha256)
        try:
            return await asyncio.to_thread(
                OnnxModel.load, path, config, threads=self._threads, deadline=self._deadline
            )
        except RuntimeFailure:
            raise
        except Exception as error:  # onnxruntime's own errors have no base in common
            why = first_line(error).replace(str(path), "its file")
            raise RuntimeFailure(Failure.NOT_LOADED, why) from error

    def _drop_later(self, version_id: int, seconds: float) -> None:
        if version_id not in self._leaving:
            timer = asyncio.get_running_loop().call_later(seconds, self._drop_if_idle, version_id)
            self._leaving[version_id] = timer

    def _drop_if_idle(self, version_id: int) -> None:
        del self._leaving[version_id]
        if version_id in self._wanted or version_id not in self._loaded:
            return
        rest = self._loaded[version_id].used + self._idle - time.monotonic()
        if rest > 0:
            self._drop_later(version_id, rest)
        else:
            self._loaded.pop(version_id).runtime.close()
