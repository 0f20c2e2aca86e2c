"""The product's API with a runtime that answers at once, so that only the gateway is measured."""

import sys
import time
from pathlib import Path

import uvicorn
import uvloop

from turnout import db, embedded
from turnout.api import create_app
from turnout.gateway.runtimes.answers import Answer, JsonValue
from turnout.gateway.runtimes.pool import Loaded
from turnout.settings import Settings


class Instant:
    async def predict(self, inputs: JsonValue) -> Answer:
        return Answer(prediction="legitimate", confidence=0.97, label="legitimate")

    def close(self) -> None:
        pass


async def main(port: int, data_dir: Path) -> None:
    async with embedded.running(data_dir) as url:
        engine = db.create_engine(url)
        app = create_app(Settings(data_dir=data_dir), engine)
        versions = range(1, 10)
        app.state.gateway._pool._loaded.update(  # noqa: SLF001  (the seam of this measurement)
            {version: Loaded(Instant(), time.monotonic()) for version in versions}
        )
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                port=port,
                http="httptools",
                log_config=None,
                access_log=False,
                server_header=False,
            )
        )
        await server.serve()
        await engine.dispose()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), Path(sys.argv[2])))
