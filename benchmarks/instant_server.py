"""`turnout`, with model servers that answer at once, so that only the gateway is measured."""

from turnout.cli.app import main
from turnout.gateway.runtimes import pool
from turnout.gateway.runtimes.answers import Answer
from turnout.quantities import JsonValue


class Instant:
    """Stands in for a model behind HTTP."""

    def __init__(self, *_server: object, **_options: object) -> None:
        pass

    async def predict(self, inputs: JsonValue) -> Answer:
        return Answer(prediction="legitimate", confidence=0.97, label="legitimate")

    def close(self) -> None:
        pass


if __name__ == "__main__":
    setattr(pool, "HttpModel", Instant)  # noqa: B010  (it is imported there, and stays so)
    main()
