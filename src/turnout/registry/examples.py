"""Bodies that work when they are sent as they are."""

from typing import Any, Final

MODEL: Final[Any] = {
    "fraud detection": {
        "value": {
            "name": "fraud-detection",
            "description": "Scores card payments before they are authorised.",
            "owner": "payments-ml",
            "tags": ["payments"],
        }
    }
}
VERSION: Final[Any] = {
    "served elsewhere": {
        "summary": "The caller runs the model",
        "value": {
            "version": "1.0.0",
            "description": "Gradient boosting on twelve months of payments.",
            "metrics": {"accuracy": 0.93, "auc": 0.97},
            "tags": ["security-reviewed"],
        },
    },
    "onnx": {
        "summary": "An ONNX file, uploaded next and run by Turnout",
        "value": {
            "version": "1.1.0",
            "parent_version": "1.0.0",
            "runtime": {"kind": "onnx"},
            "metrics": {"accuracy": 0.94, "auc": 0.98},
            "group_metrics": {"age 18-25": {"accuracy": 0.92}},
            "dataset_version": "2026-02",
            "run_id": "train-4711",
            "dependencies": ["scikit-learn==1.7.2"],
            "changelog": "Adds the merchant's country.",
        },
    },
    "chat model": {
        "summary": "A prompt and a chat model behind an OpenAI-compatible API",
        "value": {
            "version": "3.0.0",
            "tags": ["security-reviewed"],
            "runtime": {
                "kind": "openai",
                "url": "http://localhost:11434/v1",
                "model_name": "qwen3:8b",
                "fallback_model": "qwen3:1.7b",
                "token_env": "CHAT_API_KEY",
                "messages": [
                    {"role": "system", "content": "Answer yes or no."},
                    {"role": "user", "content": "Is this payment fraud? {{payment}}"},
                ],
                "classes": {"yes": "fraud", "no": "legitimate"},
                "temperature": 0,
                "max_tokens": 5,
                "prices": {"qwen3:8b": {"input": 0.5, "output": 1.5}},
                "timeout": "8s",
            },
        },
    },
    "model server": {
        "summary": "A server that speaks the Open Inference Protocol v2",
        "value": {
            "version": "2.0.0",
            "runtime": {"kind": "http", "url": "http://localhost:8080", "model_name": "fraud"},
            "signature": {
                "inputs": [{"name": "features", "dtype": "float32", "shape": [None, 30]}],
                "outputs": [{"name": "label", "dtype": "int64", "shape": [None]}],
            },
        },
    },
}
MODEL_EDIT: Final[Any] = {
    "hand over": {
        "summary": "Change the owner, keep the rest",
        "value": {"owner": "risk-team", "reason": "moved to the risk team"},
    }
}
VERSION_EDIT: Final[Any] = {
    "add a metric": {
        "summary": "Add a metric and set the tags, keep the other metrics",
        "value": {"metrics": {"auc": 0.97}, "tags": ["security-reviewed"]},
    }
}
ALIAS: Final[Any] = {
    "move": {"value": {"version": "1.0.0", "reason": "won the experiment"}},
    "only from": {
        "summary": "Only if it leads there now",
        "value": {"version": "1.0.0", "expected": "1.0.0"},
    },
}
CLEANUP: Final[Any] = {
    "look first": {"value": {"keep_last": 10, "older_than": "30d"}},
    "do it": {
        "summary": "Delete what the dry run said",
        "value": {"keep_last": 10, "older_than": "30d", "dry_run": False},
    },
}
APPROVED_MODELS: Final[Any] = {
    "reviewed only": {
        "value": {
            "models": ["qwen3:*", "gpt-4o-mini"],
            "max_temperature": 0.7,
            "required_tags": ["security-reviewed"],
            "reason": "security review of March",
        }
    },
    "anything": {"summary": "Forbid nothing", "value": {}},
}
