"""What the gateway is compared with: FastAPI as its tutorial writes it, and nothing else."""

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class AssignRequest(BaseModel):
    unit: str


class Assignment(BaseModel):
    prediction_id: str
    version: str
    variant: str
    reason: str
    split_id: int


class PredictRequest(BaseModel):
    unit: str
    inputs: list[float]


class Prediction(BaseModel):
    prediction_id: str
    model: str
    version: str
    variant: str
    reason: str
    prediction: str
    confidence: float
    latency_ms: float
    fallback: bool


@app.get("/readyz")
async def show_readiness() -> dict[str, bool]:
    return {"ready": True}


@app.post("/assign")
async def assign(body: AssignRequest) -> Assignment:
    return Assignment(
        prediction_id="0190b1a0-0000-7000-8000-000000000000",
        version="1.0.0",
        variant="1.0.0",
        reason="split",
        split_id=1,
    )


@app.post("/predict")
async def predict(body: PredictRequest) -> Prediction:
    return Prediction(
        prediction_id="0190b1a0-0000-7000-8000-000000000000",
        model="fraud-detection",
        version="1.0.0",
        variant="1.0.0",
        reason="split",
        prediction="legitimate",
        confidence=0.97,
        latency_ms=0.01,
        fallback=False,
    )


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[sys.argv.index("--port") + 1]),
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
    )
