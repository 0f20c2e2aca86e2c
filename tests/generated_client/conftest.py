from tests.journeys.conftest import service

__all__ = ["service"]
