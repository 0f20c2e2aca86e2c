"""The doors by which others come in: each says which paths it has; the settings say which of them
are open."""

from collections.abc import Mapping, Sequence
from typing import Final

from fastapi import APIRouter

from turnout.interop.classic.ab_routes import router as classic_ab
from turnout.interop.classic.routes import router as classic
from turnout.interop.mlflow.routes import router as mlflow
from turnout.interop.ofrep.routes import router as ofrep
from turnout.interop.oip.routes import router as oip
from turnout.interop.quickstart.routes import router as quickstart
from turnout.settings import Door

DOORS: Final[Mapping[Door, Sequence[APIRouter]]] = {
    Door.CLASSIC: (classic, classic_ab),
    Door.QUICKSTART: (quickstart,),
    Door.MLFLOW: (mlflow,),
    Door.OFREP: (ofrep,),
    Door.OIP: (oip,),
}
"""Their paths are whole: other clients expect them at the root."""
