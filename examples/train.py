"""Train two versions of a model for the five-minute canary of the README, on real data.

The data are the 569 cases of the Wisconsin breast cancer data set that comes with scikit-learn.
Version 1.0.0 sees three measurements of each case, version 2.0.0 all thirty. Half of the cases
are held out; they are the traffic. Writes `1.0.0.onnx`, `2.0.0.onnx` and `cases.json` (the body
of a batch prediction of 200 cases, each a unit of its own) into the folder named.
"""

import json
import sys
from pathlib import Path

from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

CASES = 200


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = load_breast_cancer()
    known, held_out, truth, held_out_truth = train_test_split(
        data.data.astype("float32"),
        data.target,
        test_size=0.5,
        random_state=7,
        stratify=data.target,
    )
    few = ColumnTransformer([("texture, smoothness, symmetry", "passthrough", [1, 4, 8])])
    versions = {
        "1.0.0": make_pipeline(few, StandardScaler(), LogisticRegression()),
        "2.0.0": make_pipeline(StandardScaler(), LogisticRegression()),
    }
    for version, pipeline in versions.items():
        pipeline.fit(known, truth)
        print(
            f"{version}: accuracy {pipeline.score(held_out, held_out_truth):.3f} on held-out cases"
        )
        model = to_onnx(pipeline, known[:1], options={"zipmap": False})
        (folder / f"{version}.onnx").write_bytes(model.SerializeToString())
    items = [
        {"inputs": [round(float(value), 4) for value in held_out[i]], "unit": f"case-{i}"}
        for i in range(CASES)
    ]
    (folder / "cases.json").write_text(json.dumps({"items": items}))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "models"))
