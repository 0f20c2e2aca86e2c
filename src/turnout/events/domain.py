"""What others are told: by webhook, by the event stream, on the phone of who is on call."""

from enum import StrEnum


class EventType(StrEnum):
    VERSION_REGISTERED = "version.registered"
    VERSION_TRANSITIONED = "version.transitioned"
    ROLLOUT_STARTED = "rollout.started"
    ROLLOUT_ADVANCED = "rollout.advanced"
    ROLLOUT_PAUSED = "rollout.paused"
    ROLLOUT_AWAITING_APPROVAL = "rollout.awaiting_approval"
    ROLLOUT_SUCCEEDED = "rollout.succeeded"
    ROLLOUT_ABORTED = "rollout.aborted"
    ROLLOUT_ROLLED_BACK = "rollout.rolled_back"
    ROLLOUT_FAILED = "rollout.failed"
    EXPERIMENT_STARTED = "experiment.started"
    EXPERIMENT_CONCLUDED = "experiment.concluded"
    EXPERIMENT_STOPPED = "experiment.stopped"
    ALERT_FIRING = "alert.firing"
    ALERT_ACKNOWLEDGED = "alert.acknowledged"
    ALERT_RESOLVED = "alert.resolved"
    UPDATE_STARTED = "update.started"
    UPDATE_FINISHED = "update.finished"
    RETRAINING_REQUESTED = "retraining.requested"
