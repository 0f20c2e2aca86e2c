"""Runs slow gates: a benchmark of the version's runtime, Python functions, and webhooks.

Nothing here holds a transaction, and nothing takes longer than the policy allows.
"""

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Any, Final, Protocol
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json, to_jsonable_python
from standardwebhooks import Webhook as Signer
from standardwebhooks.webhooks import EmptyWebhookSecretError

from turnout.gates.domain import slow
from turnout.gates.domain.judge import slow_gates
from turnout.gates.domain.policy import EntryPointGate, LatencyGate, SlowGate, WebhookGate
from turnout.gates.domain.report import Check, Finding
from turnout.gates.domain.signatures import sample
from turnout.gates.domain.slow import Broken, NoAnswer, Said, Timed, Unmeasurable
from turnout.gates.queries import Case
from turnout.outgoing import CallFailed, Calls
from turnout.quantities import Clock, JsonValue
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import VersionRecord, VersionRef
from turnout.telemetry import first_line

GROUP: Final = "turnout.gates"
LARGEST_ANSWER: Final = 100_000
MOST_AT_ONCE: Final = 16
"""Threads that run entry points; one that hangs keeps its place, for a thread cannot be killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Inputs of a benchmark, and where they come from, in words."""

    inputs: JsonValue
    words: str


class Bench(Protocol):
    """Runs a version on a sample, again and again, within a bounded time."""

    async def time(
        self, version: VersionRef, sample: Sample
    ) -> Timed | Unmeasurable | NoAnswer | Broken: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    bench: Bench
    calls: Calls

    async def run(self, case: Case, inputs: JsonValue, *, clock: Clock) -> tuple[Finding, ...]:
        """Run all slow gates of a policy: benchmarks first and alone, the others together."""
        gates = slow_gates(case.policy)
        found = {}
        for place, gate in enumerate(gates):
            if isinstance(gate, LatencyGate):
                found[place] = await self._latency(gate, case.facts.version, inputs)
        others = [place for place in range(len(gates)) if place not in found]
        checks = await asyncio.gather(
            *(self.ask(gates[place], case.to, case.facts.version) for place in others)
        )
        found |= dict(zip(others, checks, strict=True))
        at = clock()
        return tuple(
            Finding(gate=gate, checks=(found[place],), ran_at=at)
            for place, gate in enumerate(gates)
        )

    async def _latency(self, gate: LatencyGate, version: VersionRecord, given: JsonValue) -> Check:
        chosen = _sample(gate, version, given)
        if isinstance(chosen, Sample):
            return slow.latency(gate, await self.bench.time(version.ref, chosen))
        return slow.latency(gate, chosen)

    async def ask(self, gate: SlowGate, to: Lifecycle, version: VersionRecord) -> Check:
        """Ask a gate that somebody else wrote what it says of a version."""
        question = {"to": to, "version": to_jsonable_python(version)}
        match gate:
            case EntryPointGate():
                return slow.custom(gate, await _entry_point(gate, {"gate": gate.name, **question}))
            case WebhookGate():
                return slow.custom(gate, await self._webhook(gate, {"gate": gate.name, **question}))
            case _:
                raise AssertionError(gate)

    async def _webhook(self, gate: WebhookGate, question: Mapping[str, Any]) -> Said | Broken:
        body = to_json(question)
        try:
            answer = await self.calls.send(
                "POST",
                gate.url,
                body=body,
                headers=signed(body, f"gate_{uuid4().hex}", gate.secret_env),
                deadline=gate.timeout,
                limit=LARGEST_ANSWER,
            )
        except NoSecret as wrong:
            return Broken(reason=str(wrong))
        except CallFailed as failure:
            return Broken(reason=failure.detail)
        if answer.status != 200:
            return Broken(reason=f"{gate.url} answered {answer.status}, not 200")
        return _read(answer.body, gate.url)


_NOT_RUN: Final = {
    "external": "its caller runs it (runtime external), so it is not run here",
    "openai": "every call of a chat model costs, so it is not run so often",
}


def _sample(gate: LatencyGate, version: VersionRecord, given: JsonValue) -> Sample | Unmeasurable:
    if (why := _NOT_RUN.get(version.runtime.kind)) is not None:
        return Unmeasurable(reason=why)
    if given is not None:
        return Sample(inputs=given, words="the inputs of the request")
    if gate.inputs is not None:
        return Sample(inputs=gate.inputs, words="the inputs of the policy")
    if version.signature is None:
        reason = "it has no signature to make up inputs from: send some, or put them in the policy"
        return Unmeasurable(reason=reason)
    made_up = sample(version.signature)
    if made_up is None:
        reason = "inputs cannot be made up from its signature: send some"
        return Unmeasurable(reason=reason)
    return Sample(inputs=made_up, words="inputs made up from its signature")


class NoSecret(Exception):
    """The variable that is to sign a call holds nothing that could."""


def signed(body: bytes, identity: str, secret_env: str | None) -> Mapping[str, str]:
    """Headers of Standard Webhooks (https://www.standardwebhooks.com), signed where a variable
    with the secret is named. The same `identity` says that it is the same call again."""
    at = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": str(int(at.timestamp())),
    }
    if secret_env is None:
        return headers
    if not (secret := os.environ.get(secret_env)):
        raise NoSecret(f"the variable {secret_env} is not set where Turnout runs")
    try:
        # A secret that is not written as the standard writes them is the key itself.
        signer = Signer(secret if secret.startswith("whsec_") else secret.encode())
        return {**headers, "webhook-signature": signer.sign(identity, at, body.decode())}
    except (ValueError, EmptyWebhookSecretError):
        raise NoSecret(f"the variable {secret_env} is not whsec_ and base64") from None


_answers: Final = TypeAdapter(Said)


def _read(answer: bytes, whose: str) -> Said | Broken:
    """Take an answer literally: `"passed": "no"` is not false, and not an answer either."""
    try:
        return _answers.validate_json(answer, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return Broken(
            reason=f"{whose} did not answer as a gate does, with passed and reason:"
            f" {f'{where}: ' if where else ''}{first['msg']}"
        )


async def _entry_point(gate: EntryPointGate, question: Mapping[str, Any]) -> Said | Broken:
    found = entry_points(group=GROUP, name=gate.name)
    if not found:
        return Broken(reason=f"no entry point {gate.name!r} of {GROUP} is installed here")

    def call() -> bytes:
        answer = next(iter(found)).load()(question)
        if not isinstance(answer, Mapping):
            raise TypeError(f"it returned {type(answer).__name__}, not a mapping with passed")
        return to_json(dict(answer), inf_nan_mode="constants")

    deadline = asyncio.timeout(gate.timeout.total_seconds())
    try:
        async with deadline:
            answer = await _in_a_thread(call, gate.name)
    except _TooMany:
        return Broken(reason=f"{MOST_AT_ONCE} gates are running or hanging already")
    except Exception as error:  # noqa: BLE001  (somebody else's code: whatever it raises, no pass)
        if deadline.expired():
            return Broken(reason=f"no answer within {gate.timeout.total_seconds():g} s")
        return Broken(reason=first_line(error))
    return _read(answer, "it")


class _TooMany(Exception):
    pass


_places: Final = threading.BoundedSemaphore(MOST_AT_ONCE)


async def _in_a_thread(call: Callable[[], bytes], name: str) -> bytes:
    """Run in a thread that does not keep the process alive when it hangs."""
    if not _places.acquire(blocking=False):
        raise _TooMany
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: bytes, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    def work() -> None:
        result = b""
        failure: BaseException | None = None
        try:
            result = context.run(call)
        except BaseException as error:  # noqa: BLE001  (SystemExit, too, only says that it failed)
            failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
        finally:
            _places.release()
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name=f"gate {name}", daemon=True).start()
    return await answer
