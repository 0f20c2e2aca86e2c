"""The three models are what the story says they are, on rows that none of them has seen."""

import numpy as np
import pytest
from onnxruntime import InferenceSession

from turnout.demo import training
from turnout.demo.models import Material, Quality, TrainedModel, candidates


@pytest.fixture(scope="module")
def material() -> Material:
    return training.train()


def accuracy_in_production(model: TrainedModel, material: Material) -> float:
    pixels = np.array(material.held_out.pixels, np.float32)
    predicted, _ = InferenceSession(model.onnx).run(None, {"pixels": pixels})
    return float(np.mean(predicted.astype(str) == np.array(material.held_out.labels)))


@pytest.mark.parametrize(
    ("quality", "low", "high"),
    [
        pytest.param(Quality.BASELINE, 0.80, 0.92, id="the baseline is usable"),
        pytest.param(Quality.BETTER, 0.95, 1.00, id="the better one is better"),
        pytest.param(Quality.BROKEN, 0.20, 0.60, id="the broken one fails in production"),
    ],
)
def test_accuracy_on_held_out_rows(material: Material, quality: Quality, low: float, high: float):
    model: TrainedModel = getattr(material, quality)

    assert low < accuracy_in_production(model, material) < high


def test_the_validation_of_the_broken_model_does_not_show_its_fault(material: Material):
    assert material.broken.accuracy >= material.better.accuracy - 0.02


def test_no_row_is_both_trained_on_and_replayed(material: Material):
    assert len(material.held_out) == 1797 - training.TRAINING_ROWS - training.VALIDATION_ROWS


def test_swapping_exchanges_what_the_two_versions_contain(material: Material):
    straight = candidates(material, swapped=False)
    swapped = candidates(material, swapped=True)

    assert [release.model.quality for release in straight] == [Quality.BETTER, Quality.BROKEN]
    assert [release.model.quality for release in swapped] == [Quality.BROKEN, Quality.BETTER]
    assert [r.version for r in straight] == [r.version for r in swapped] == ["1.1.0", "1.2.0"]
