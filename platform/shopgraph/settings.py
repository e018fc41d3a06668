"""Settings of one installation, read once from the environment and passed on; nothing else reads the environment."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shopgraph.errors import ConfigurationError

MOUNTED_SECRETS = Path("/run/secrets")
"""Where a container finds its secrets, a file each, named as the environment variable in lower case."""


class Settings(BaseSettings):
    """Every knob an operator may turn; each is the environment variable `SHOPGRAPH_` + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="SHOPGRAPH_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("shopgraph", appauthor=False)))
    """Databases, secrets, logs, models, snapshots and rejects of this installation."""
    cache: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("shopgraph", appauthor=False)))
    """What several installations may share: the Neo4j jars."""

    neo4j_uri: str | None = None
    """An own Neo4j to use instead of the managed one, e.g. neo4j://db:7687. Never started or stopped by us."""
    neo4j_user: str = "neo4j"
    neo4j_password: SecretStr | None = None
    neo4j_database: str = "neo4j"
    neo4j_port: int | None = None
    """Bolt port of the managed server; a free one by default."""
    neo4j_heap_mib: int | None = None
    """JVM heap of the managed server; sized to the machine by default."""
    neo4j_page_cache_mib: int | None = None
    neo4j_timeout_seconds: float = 60.0
    """Longest wait for a connection or a single query's server-side transaction."""
    broker_url: str | None = None
    """An own Valkey or Redis to use instead of the managed one, e.g. redis://queue:6379/0."""
    broker_port: int | None = None

    clock: Literal["wall", "data"] = "wall"
    """`wall`: "now" is this moment. `data`: "now" is the newest event in the graph (for historical data)."""
    cypher_path: Path | None = None
    """A folder of the shop's own named query files; read mode only."""
    exploration: float = Field(0.0, ge=0, le=100)
    """Of what is new to a user, how much it counts that few are shown a product, for which a page's last places give
    way: 4 shows about twice as many products."""
    fusion: str | None = None
    """What `recommend()` asks in each setting and how loudly: JSON, or a file of it, of fields to set anew, e.g.
    {"novel": {"weights": {"my_source": 0.2, "popular_lately": 0}}}."""
    scenarios: str | None = None
    """Places that answers are for (home, product, basket, search, and others): JSON, or a file of it, by place of what
    is set anew there, e.g. {"home": {"fusion": {"novel": {"weights": {"popular_lately": 0}}}, "ranker": false}}."""
    source: str = "shop"
    """Source name of raw user ids given to the API, the namespace they are pseudonymised in."""

    device: str = "auto"
    """Where models train: auto, cpu, cuda or cuda:N."""
    torch_threads: int = 0
    """CPU threads of a training process; 0 leaves the choice to torch."""
    seed: int = 7
    tracker: Literal["none", "tensorboard", "wandb", "mlflow"] = "tensorboard"
    """Where a training's curve can be watched beside the panel."""
    tracker_address: str | None = None
    """A Weights & Biases or MLflow server; without one, files in the run's folder."""

    web_host: str = "127.0.0.1"
    web_port: int = 8080
    web_workers: int = 2
    web_https: bool = False
    """Behind one proxy that ends TLS: cookies are for HTTPS only, forwarded headers are believed."""
    api_limit: str = "6000 per minute"
    """How often one API key may ask; several limits are parted by ";", none is ""."""
    admin_email: str = "admin@shop.example"
    """Who the first admin of the panel is."""
    accounts_url: str | None = None
    """SQLAlchemy address of the panel's people and keys; an SQLite file under `home` by default."""
    retrain_hour: int = Field(3, ge=0, le=23)
    """Hour of the nightly retraining, local time."""
    retrain_config: str | None = None
    """What a retraining sets that names nothing of its own, as at night and from the panel: JSON, or a file of it, by
    family the fields, e.g. {"graph": {"encoder": "gat"}}."""
    lease_seconds: float = 30.0
    """How long a worker process may be silent before its run goes on elsewhere."""

    @field_validator("cypher_path", mode="before")
    @classmethod
    def _no_folder(cls, given: object) -> object:
        """An empty variable, as containers set those that nobody set, names no folder."""
        return given or None

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def snapshots(self) -> Path:
        return self.home / "snapshots"

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def text_vectors(self) -> Path:
        return self.home / "text-vectors"

    @property
    def rejects(self) -> Path:
        return self.home / "rejects"


def load_settings(**overrides: Any) -> Settings:
    """Read the environment and mounted secrets; a malformed value becomes one line naming its variable."""
    try:
        mounted: dict[str, Any] = {"_secrets_dir": MOUNTED_SECRETS} if MOUNTED_SECRETS.is_dir() else {}
        return Settings(**mounted, **overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = "SHOPGRAPH_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigurationError(f"{name}: {first['msg']} (got {first.get('input')!r})") from None


def read_json(given: str, named: str) -> dict[str, Any]:
    """What an operator gave as a JSON object, or as the path of a file of one.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        found = json.loads(given if given.lstrip().startswith("{") else Path(given).read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigurationError(f"{named} {given}: {error}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{named} {given}: expected an object of fields, found {type(found).__name__}")
    return found


def as_utc(moment: datetime | None) -> datetime | None:
    """What was typed without a zone is UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def utc_now() -> datetime:
    return datetime.now(UTC)
