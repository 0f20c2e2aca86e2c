"""The runtimes of a replica: when they are loaded, and when they go."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from tests.gateway import onnx_models
from tests.gateway.waiting import eventually
from turnout.gateway.runtimes.answers import Failure, RuntimeFailure
from turnout.gateway.runtimes.pool import RunByCaller, RuntimePool
from turnout.registry.artifacts import location
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import ExternalRuntime, HttpRuntime, OnnxRuntime, Runtime
from turnout.registry.domain.version import VersionRef
from turnout.settings import Settings


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[RuntimePool]:
    pool = RuntimePool(settings)
    yield pool
    await pool.close()


@pytest.fixture
def fingerprint(settings: Settings, tmp_path: Path) -> str:
    """A model in the artifact store."""
    content = onnx_models.constant(tmp_path / "m.onnx", 42).read_bytes()
    path = location(settings.artifacts_dir, sha256(content).hexdigest())
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path.name


def version(runtime: Runtime, *, fingerprint: str | None = None, id: int = 1) -> VersionRef:  # noqa: A002
    return VersionRef(
        id=id,
        model_id=1,
        model="fraud-detection",
        version="1.0.0",
        stage=Lifecycle.STAGING,
        runtime=runtime,
        artifact=None,
        signature=None,
        file_sha256=fingerprint,
    )


async def test_concurrent_first_calls_load_once(pool, fingerprint):
    wanted = version(OnnxRuntime(), fingerprint=fingerprint)

    found = await asyncio.gather(*(pool.runtime(wanted) for _ in range(5)))

    assert len(set(map(id, found))) == 1
    assert pool.ready(1) is found[0]
    assert (await found[0].predict([1, 2])).prediction == 42.0


async def test_what_a_route_wants_is_loaded_before_the_first_request(pool, fingerprint):
    pool.want([version(OnnxRuntime(), fingerprint=fingerprint)])

    await eventually(lambda: pool.ready(1) is not None)


async def test_what_no_route_wants_stays_warm_for_a_while_and_then_goes(settings, fingerprint):
    pool = RuntimePool(settings, idle=timedelta(seconds=0.01))
    kept = version(OnnxRuntime(), fingerprint=fingerprint, id=1)
    leaving = version(OnnxRuntime(), fingerprint=fingerprint, id=2)
    pool.want([kept, leaving])
    await eventually(lambda: {1, 2} <= pool._loaded.keys())

    pool.want([kept])

    assert 2 in pool._loaded
    await eventually(lambda: 2 not in pool._loaded)
    assert pool.ready(1) is not None
    await pool.close()


async def test_what_was_forced_goes_too_when_it_is_not_asked_any_more(settings, fingerprint):
    pool = RuntimePool(settings, idle=timedelta(seconds=0.01))

    await pool.runtime(version(OnnxRuntime(), fingerprint=fingerprint))

    await eventually(lambda: not pool._loaded)


@pytest.mark.parametrize(
    ("runtime", "fingerprint", "said"),
    [
        pytest.param(OnnxRuntime(), None, "has not been uploaded", id="no file"),
        pytest.param(OnnxRuntime(), "0" * 64, "its file failed", id="a file on another machine"),
        pytest.param(HttpRuntime(url="http://169.254.169.254"), None, "link-local", id="metadata"),
    ],
)
async def test_what_cannot_be_loaded_says_why_and_is_not_tried_at_every_request(
    pool, runtime, fingerprint, said
):
    for _ in range(2):
        with pytest.raises(RuntimeFailure, match=said) as caught:
            await pool.runtime(version(runtime, fingerprint=fingerprint))
        assert caught.value.kind is Failure.NOT_LOADED
        assert not pool._loading


async def test_what_could_not_be_loaded_is_tried_again_later(settings, fingerprint):
    pool = RuntimePool(settings, failed_for=timedelta())
    path = location(settings.artifacts_dir, fingerprint)
    content = path.read_bytes()
    path.unlink()
    wanted = version(OnnxRuntime(), fingerprint=fingerprint)
    with pytest.raises(RuntimeFailure):
        await pool.runtime(wanted)

    path.write_bytes(content)

    assert (await (await pool.runtime(wanted)).predict([1, 2])).prediction == 42.0
    await pool.close()


async def test_what_its_caller_runs_has_no_runtime(pool):
    external = version(ExternalRuntime())
    pool.want([external])

    with pytest.raises(RunByCaller):
        await pool.runtime(external)
