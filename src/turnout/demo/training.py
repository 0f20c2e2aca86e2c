"""Three real models of the same task, trained on the spot and exported to ONNX.

The data are scikit-learn's digits: 1,797 handwritten digits of 8 x 8 pixels (UCI, "Optical
Recognition of Handwritten Digits"). They are parted once into rows to train on, rows to validate
on, and rows held out for the traffic. Importing this module costs seconds: it needs scikit-learn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import sklearn
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from turnout.demo.models import HeldOut, Material, Quality, TrainedModel

Images: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.int64]
Reader: TypeAlias = Callable[[Images], Images]

TRAINING_ROWS: Final = 800
VALIDATION_ROWS: Final = 300
FIRST_LABELLED: Final = 100
"""How many labelled rows there were when the first version was trained."""

PIXELS: Final = 64
INPUT: Final = "pixels"


def top_down(images: Images) -> Images:
    """Read an image row by row from its first, as production does."""
    return images.reshape(-1, PIXELS)


def bottom_up(images: Images) -> Images:
    """Read it from its last row, as bitmap files store it: what a change of image loader does."""
    return images[:, ::-1].reshape(-1, PIXELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """What a version may see: the rows to learn from, and those of its own validation."""

    images: Images
    labels: Labels
    validation: Images
    validation_labels: Labels

    def train(
        self, quality: Quality, description: str, estimator: Any, *, rows: int, read: Reader
    ) -> TrainedModel:
        estimator.fit(read(self.images[:rows]), self.labels[:rows])
        onnx = _exported(estimator)
        return TrainedModel(
            quality=quality,
            description=description,
            onnx=onnx,
            accuracy=_accuracy(onnx, read(self.validation), self.validation_labels),
            training_rows=rows,
        )


def _divided() -> tuple[_Rows, HeldOut]:
    digits = load_digits()
    images, labels = digits.images.astype(np.float32), digits.target.astype(np.int64)
    images, rest, labels, rest_labels = train_test_split(
        images, labels, train_size=TRAINING_ROWS, stratify=labels, random_state=1
    )
    validation, held_out, validation_labels, held_out_labels = train_test_split(
        rest, rest_labels, train_size=VALIDATION_ROWS, stratify=rest_labels, random_state=1
    )
    seen = _Rows(
        images=images, labels=labels, validation=validation, validation_labels=validation_labels
    )
    unseen = HeldOut(
        pixels=top_down(held_out).tolist(), labels=[str(label) for label in held_out_labels]
    )
    return seen, unseen


def _trees() -> ExtraTreesClassifier:
    return ExtraTreesClassifier(n_estimators=60, random_state=0)


def train() -> Material:
    seen, held_out = _divided()
    return Material(
        baseline=seen.train(
            Quality.BASELINE,
            f"Logistic regression on the first {FIRST_LABELLED} labelled digits",
            LogisticRegression(max_iter=1000),
            rows=FIRST_LABELLED,
            read=top_down,
        ),
        better=seen.train(
            Quality.BETTER,
            f"Extremely randomised trees on {TRAINING_ROWS} digits",
            _trees(),
            rows=TRAINING_ROWS,
            read=top_down,
        ),
        broken=seen.train(
            Quality.BROKEN,
            "The same trees, but a new image loader reads every image from its last row",
            _trees(),
            rows=TRAINING_ROWS,
            read=bottom_up,
        ),
        held_out=held_out,
        dataset_version=f"digits of scikit-learn {sklearn.__version__}",
    )


def _exported(estimator: Any) -> bytes:
    onnx: bytes = to_onnx(
        estimator,
        initial_types=[(INPUT, FloatTensorType([None, PIXELS]))],
        options={"zipmap": False},  # probabilities as a tensor, not as a list of maps
    ).SerializeToString()
    return onnx


def _accuracy(onnx: bytes, pixels: Images, labels: Labels) -> float:
    """Of the file itself, so that a fault of the export would show."""
    predicted, _ = InferenceSession(onnx).run(None, {INPUT: pixels})
    return float(np.mean(predicted == labels))
