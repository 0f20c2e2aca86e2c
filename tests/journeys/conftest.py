"""Journeys run the real thing: `turnout serve` in a process of its own, reached over HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx2 import Client

from tests.processes import Process, listening


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    data_dir: Path
    process: Process


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data_dir = tmp_path_factory.mktemp("service")
    with listening("serve", data_dir, TURNOUT_CLASSIC_MODEL="churn") as (url, process):
        yield Service(url, data_dir, process)


@pytest.fixture
def api(service: Service) -> Iterator[Client]:
    with Client(base_url=f"{service.url}/api/v1/", timeout=30) as client:
        yield client
