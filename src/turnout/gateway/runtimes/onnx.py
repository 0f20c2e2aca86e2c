"""ONNX models in this process: one session per replica, run in threads under a deadline."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self

from turnout.gateway.runtimes.answers import (
    Answer,
    Failure,
    RuntimeFailure,
    timed_out,
)
from turnout.gateway.runtimes.tensors import Array, Port, answer_of, dtype_of, feeds
from turnout.quantities import JsonValue
from turnout.registry.domain.runtime import OnnxRuntime
from turnout.telemetry import first_line

LOG_NOTHING: Final = 4
"""What goes wrong is raised as well; onnxruntime would write it to standard error besides."""


class OnnxModel:
    """A loaded session with threads of its own, so that a slow version cannot starve another.

    A thread inside onnxruntime cannot be killed. At the deadline it is asked to stop, which it
    does before the next node; until then it keeps its place, so that there are never more threads
    than places, and calls without a place wait no longer than their own deadline.
    """

    def __init__(
        self,
        session: Any,
        reading: "Reading",
        run_options: Callable[[], Any],
        *,
        threads: int,
        deadline: timedelta,
    ) -> None:
        self._session = session
        self._reading = reading
        self._run_options = run_options
        self._ports = _ports(session)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="onnx")
        self._places = asyncio.Semaphore(threads)
        self._running: set[Any] = set()
        self._deadline = deadline

    @classmethod
    def load(cls, path: Path, config: OnnxRuntime, *, threads: int, deadline: timedelta) -> Self:
        """Read the file; blocks, so call it in a thread."""
        import onnxruntime  # noqa: PLC0415  (a replica without ONNX models does not pay for it)

        options = onnxruntime.SessionOptions()
        # Calls run beside each other; threads inside one call would only fight over the cores.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = LOG_NOTHING
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        reading = Reading.of(session.get_outputs(), config)
        return cls(session, reading, onnxruntime.RunOptions, threads=threads, deadline=deadline)

    @property
    def running(self) -> int:
        """Threads at work, also for calls that nobody waits for any more."""
        return len(self._running)

    async def predict(self, inputs: JsonValue) -> Answer:
        arrays, lone = feeds(self._ports, inputs)
        prediction, *scores = values = await self._run(arrays)
        answer = answer_of(prediction, scores[0] if scores else None, lone=lone)
        return replace(answer, outputs=dict(zip(self._reading.outputs, values, strict=True)))

    def close(self) -> None:
        for options in self._running:
            options.terminate = True
        self._threads.shutdown(wait=False)

    async def _run(self, arrays: Mapping[str, Array]) -> Sequence[Any]:
        options = self._run_options()
        options.log_severity_level = LOG_NOTHING
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                await self._places.acquire()
                return await self._start(arrays, options)
        except TimeoutError:
            raise timed_out(self._deadline) from None
        finally:
            options.terminate = True

    def _start(self, arrays: Mapping[str, Array], options: Any) -> asyncio.Future[Sequence[Any]]:
        """Run in a thread; its place is free when the thread is, not when the waiter gives up."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[Any]] = loop.create_future()

        def ended(run: Future[Sequence[Any]]) -> None:
            self._running.discard(options)
            self._places.release()
            if answer.done():
                return
            if error := run.exception():
                answer.set_exception(RuntimeFailure(Failure.FAILED, first_line(error)))
            else:
                answer.set_result(run.result())

        run = self._threads.submit(self._session.run, self._reading.outputs, arrays, options)
        self._running.add(options)
        run.add_done_callback(lambda run: loop.call_soon_threadsafe(ended, run))
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Which outputs hold the prediction and, if any does, the confidence."""

    prediction: str
    confidence: str | None

    @classmethod
    def of(cls, outputs: Sequence[Any], config: OnnxRuntime) -> Self:
        """Follow the configuration; without one, know a classifier by its label and its scores."""
        names = [output.name for output in outputs]
        for wanted in (config.prediction_output, config.confidence_output):
            if wanted is not None and wanted not in names:
                raise RuntimeFailure(
                    Failure.NOT_LOADED,
                    f"its runtime names the output {wanted!r}, but it has {', '.join(names)}",
                )
        label = next((o.name for o in outputs if _is_label(o)), None)
        scores = next((o.name for o in outputs if _is_scores(o)), None)
        classifier = label is not None and scores is not None
        return cls(
            prediction=config.prediction_output
            or (label if label is not None and classifier else names[0]),
            confidence=config.confidence_output or (scores if classifier else None),
        )

    @property
    def outputs(self) -> list[str]:
        return [self.prediction] if self.confidence is None else [self.prediction, self.confidence]


def _is_label(output: Any) -> bool:
    return output.type in {"tensor(int64)", "tensor(string)"} and len(output.shape) <= 1


def _is_scores(output: Any) -> bool:
    """`probabilities`, `output_probability`, or the list of dictionaries that ZipMap makes."""
    return output.type.startswith("seq(map(") or "prob" in output.name.lower()


def _ports(session: Any) -> dict[str, Port]:
    ports = {}
    for declared in session.get_inputs():
        dtype = dtype_of(declared.type)
        if dtype is None:
            raise RuntimeFailure(
                Failure.NOT_LOADED,
                f"its input {declared.name!r} is a {declared.type}, which JSON cannot give",
            )
        sizes = (None if isinstance(size, int) and size < 1 else size for size in declared.shape)
        ports[declared.name] = Port(name=declared.name, dtype=dtype, shape=tuple(sizes))
    return ports
