"""Every setting there is, read once from the environment and passed down."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from turnout.addresses import check_secure_url
from turnout.origins import ANY, check_origins, read_origins

_ASYMMETRIC: Final = "(RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA)"
"""With these, whoever can verify a token cannot make one."""


class Door(StrEnum):
    """A way in for clients that were made for something else: see `interop/`."""

    CLASSIC = "classic"
    QUICKSTART = "quickstart"
    MLFLOW = "mlflow"
    OFREP = "ofrep"
    OIP = "oip"


def check_doors(text: str) -> str:
    for name in _names(text):
        if name not in set(Door):
            raise ValueError(
                f"{name!r} is not a door: TURNOUT_INTEROP lists some of {','.join(Door)}, or none"
            )
    return text


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


class Settings(BaseSettings):
    """Read from `TURNOUT_*` environment variables and an `.env` file; see `.env.example`."""

    model_config = SettingsConfigDict(
        env_prefix="TURNOUT_", env_file=".env", extra="ignore", frozen=True
    )

    database_url: SecretStr | None = None
    data_dir: Path = Path(".turnout")
    allow_unauthenticated: bool = False
    allow_private_networks: bool = False
    audit_forward_url: str | None = None

    oidc_issuer: Annotated[str, AfterValidator(check_secure_url)] | None = None
    oidc_audience: str | None = Field(default=None, min_length=1)
    oidc_keys_url: Annotated[str, AfterValidator(check_secure_url)] | None = None
    oidc_algorithms: str = Field(
        default="RS256,ES256,EdDSA", pattern=rf"^{_ASYMMETRIC}(,{_ASYMMETRIC})*$"
    )
    oidc_role_claim: str = Field(default="turnout_role", min_length=1)
    oidc_models_claim: str = Field(default="turnout_models", min_length=1)

    tick_seconds: float = Field(default=1.0, gt=0, le=60)
    fold_seconds: float = Field(default=0.5, gt=0, le=60)
    updates_at_once: int = Field(default=3, ge=1, le=100)
    retention_days: int = Field(default=30, ge=1, le=3650)

    public_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+\S*$")
    webhook_retry_seconds: str = Field(
        default="5,300,1800,7200,18000,36000,36000", pattern=r"^\d+(\.\d+)?(,\d+(\.\d+)?)*$"
    )

    predict_timeout_seconds: float = Field(default=10.0, gt=0, le=600)
    record_flush_seconds: float = Field(default=0.2, gt=0, le=60)
    record_buffer_rows: int = Field(default=100_000, ge=100, le=10_000_000)
    split_poll_seconds: float = Field(default=1.0, gt=0, le=60)
    shadow_concurrency: int = Field(default=32, ge=1, le=1024)
    onnx_threads: int = Field(default=2, ge=1, le=256)

    max_body_megabytes: int = Field(default=16, ge=1, le=1024)
    max_artifact_megabytes: int = Field(default=1024, ge=1, le=102_400)

    interop: Annotated[str, AfterValidator(check_doors)] = ",".join(Door)
    ofrep_origins: Annotated[str, AfterValidator(check_origins)] = ""

    classic_model: str | None = Field(default=None, min_length=1)

    backup_hours: float | None = Field(default=None, gt=0, le=8760)
    backup_dir: Path | None = None
    backup_retention_days: int = Field(default=90, ge=1, le=3650)

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @model_validator(mode="after")
    def _names_issuer_and_audience(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError(
                "TURNOUT_OIDC_ISSUER and TURNOUT_OIDC_AUDIENCE go together: a token that is not"
                " meant for this service does not open it"
            )
        if self.oidc_keys_url is not None and self.oidc_issuer is None:
            raise ValueError("TURNOUT_OIDC_KEYS_URL needs TURNOUT_OIDC_ISSUER")
        return self

    @model_validator(mode="after")
    def _asks_strangers_for_a_key(self) -> Self:
        if self.allow_unauthenticated and ANY in read_origins(self.ofrep_origins):
            raise ValueError(
                "TURNOUT_OFREP_ORIGINS=* and TURNOUT_ALLOW_UNAUTHENTICATED=true would let every web"
                " page that anybody here opens ask this service: name the origins"
            )
        return self

    @property
    def open_doors(self) -> tuple[Door, ...]:
        return tuple(door for door in Door if door in _names(self.interop))

    @property
    def artifacts_dir(self) -> Path:
        return self.data_dir / "artifacts"

    @property
    def backup_directory(self) -> Path:
        return self.backup_dir or self.data_dir / "backups"

    @property
    def split_poll(self) -> timedelta:
        return timedelta(seconds=self.split_poll_seconds)

    @property
    def webhook_delays(self) -> tuple[timedelta, ...]:
        """Before the second attempt, the third, and so on; those not set are as by default."""
        given = self.webhook_retry_seconds.split(",")
        usual = type(self).model_fields["webhook_retry_seconds"].default.split(",")
        return tuple(timedelta(seconds=float(one)) for one in given + usual[len(given) :])

    @property
    def tick_interval(self) -> timedelta:
        return timedelta(seconds=self.tick_seconds)
