"""Every environment variable once: its type, default, group and one line of meaning.

`.env.example` and docs/configuration.md are written from this file (`flask settings --env`, `--markdown`);
a test holds them equal.
"""

import ipaddress
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from flask import current_app
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from leadapp.errors import ConfigurationError

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = ROOT / "instance"
DEVELOPMENT_KEY = "development-only-not-a-secret"


class AppEnv(StrEnum):
    """Where the app runs: what is convenient and what is refused depends on it."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


CommaList = Annotated[tuple[str, ...], NoDecode]


def setting(group: str, meaning: str, default: Any, *aliases: str) -> Any:
    """A field with its group and meaning; `aliases` are further environment names, first one wins."""
    extra: dict[str, Any] = {"description": meaning, "json_schema_extra": {"group": group}}
    if aliases:
        extra["validation_alias"] = AliasChoices(*aliases)
    return Field(default, **extra)


class Settings(BaseSettings):
    """The settings, read from the environment, then `.env`, then instance/run.env (written by `make run`)."""

    model_config = SettingsConfigDict(
        env_file=(INSTANCE / "run.env", ROOT / ".env"),
        env_ignore_empty=True,  # `NAME=` in .env: not set
        extra="ignore",
        populate_by_name=True,
        frozen=True,
    )

    app_env: AppEnv = setting("App", "production, development or test", AppEnv.PRODUCTION)
    secret_key: SecretStr = setting(
        "App", "Signs sessions and forms; 32 random characters or more", SecretStr(DEVELOPMENT_KEY)
    )
    encryption_keys: CommaList = setting(
        "App", "Encrypt stored secrets: 32 random characters or more each, comma list, the first one encrypts", ()
    )
    debug: bool = setting("App", "Flask's debug mode; refused in production", False)
    allowed_hosts: CommaList = setting(
        "App", "Host names this app answers to, comma list; empty: any (.example.com: all of it)", ()
    )
    frontend_base_url: str = setting(
        "App", "Public address of this app for links in mails, e.g. https://leads.example.com", ""
    )
    trusted_proxy_hops: int = setting(
        "App", "Proxies in front whose X-Forwarded-* count; Heroku: 1, otherwise the routers' number", 0
    )
    port: int = setting("App", "Port that `make run` and the Procfile listen on", 8000)
    sentry_dsn: SecretStr = setting(
        "App", "Sends errors to Sentry when set; no bodies, no personal data", SecretStr("")
    )
    body_seconds: float = setting("App", "Seconds in which the body of a request has to arrive", 30.0)
    log_level: str = setting("App", "DEBUG, INFO, WARNING or ERROR", "INFO")
    metrics_token: SecretStr = setting(
        "App", "Bearer token for /metrics and /stats; empty: open in development, closed elsewhere", SecretStr("")
    )

    database_url: str = setting("Storage", "postgresql://... (postgres:// too); empty: SQLite in instance/", "")
    redis_url: str = setting("Storage", "redis://... or rediss://...; Redis or Valkey", "redis://127.0.0.1:6379/0")
    redis_tls_verify: bool = setting(
        "Storage", "Check the certificate of rediss://; Heroku's self-signed ones need false", True
    )
    queue_eager: bool = setting(
        "Storage", "Run jobs at once in the web process, for tests; refused in production", False
    )

    lead_notification_email: CommaList = setting(
        "Leads", "Who is told of a new lead, comma list; empty: the first owner's address", ()
    )
    zapier_webhook_url: str = setting("Leads", "Every lead is posted here, signed (Zapier, Make, n8n, your own)", "")
    zapier_webhook_secret: SecretStr = setting(
        "Leads", "whsec_<base64 of 24-64 bytes> that signs it; empty: made once and kept", SecretStr("")
    )
    duplicate_window_hours: float = setting(
        "Leads", "The same content on the same form within this many hours is kept, linked and not sent again", 24.0
    )
    spam_min_seconds: float = setting(
        "Leads", "A post of our own form page within so many seconds of opening it is kept as spam; 0: never", 0.0
    )
    spam_max_links: int = setting("Leads", "More links than this in what was written is kept as spam; 0: never", 0)
    max_post_bytes: int = setting("Leads", "Largest post in bytes, files included", 10_000_000)
    max_field_bytes: int = setting("Leads", "Largest single text field in bytes", 1_000_000)
    max_fields: int = setting("Leads", "Most fields in one post", 1_000)
    max_files: int = setting("Leads", "Most files in one post", 10)
    default_country: str = setting(
        "Leads", "Country of new forms, ISO 3166 alpha-2: how national phone numbers are read; empty: as they came", ""
    )
    webhook_shared_secret: SecretStr = setting(
        "Leads",
        "What senders of JSON put into X-Shared-Secret or sign with, unless their form has its own; empty: not checked",
        SecretStr(""),
    )
    max_webhook_bytes: int = setting("Leads", "Largest body of /webhooks/leads/ in bytes", 1_000_000)
    ratelimit_webhooks: str = setting("Leads", "Posts to /webhooks/leads/ from one address", "100 per minute")
    ratelimit_enabled: bool = setting("Leads", "Limit posts for each address", True)
    ratelimit_posts: str = setting("Leads", "Posts to forms from one address", "100 per minute")
    ratelimit_bytes: str = setting("Leads", "Bytes posted to forms from one address", "200000000 per hour")

    customer_api_url: str = setting(
        "Customer", "The customer's API: leads of forms with a mapping are posted here as JSON", ""
    )
    customer_token: SecretStr = setting("Customer", "Bearer token for the customer's API", SecretStr(""))
    customer_product_name: str = setting(
        "Customer", "The constant that the shipped mapping sends as product.name", "Website lead"
    )
    attribute_mapping_path: str = setting(
        "Customer",
        "JSON file that says which field becomes which of theirs; relative: from the project's folder",
        "leadapp/rules/customer_attribute_mapping.json",
    )

    mail_backend: str = setting(
        "Mail",
        "smtp, console (development) or none; empty: smtp if MAIL_SERVER is set, else console in development",
        "",
    )
    mail_server: str = setting("Mail", "SMTP host", "", "MAIL_SERVER", "SMTP_SERVER", "SMTP_HOST")
    mail_port: int = setting("Mail", "SMTP port", 587, "MAIL_PORT", "SMTP_PORT")
    mail_use_tls: bool = setting("Mail", "STARTTLS after connecting, certificate checked", True)
    mail_use_ssl: bool = setting("Mail", "TLS from the first byte (port 465), certificate checked", False)
    mail_starttls_required: bool = setting(
        "Mail",
        "Refuse to send when the server offers no STARTTLS",
        True,
        "MAIL_STARTTLS_REQUIRED",
        "SMTP_STARTTLS_REQUIRED",
    )
    mail_username: str = setting("Mail", "SMTP user", "", "MAIL_USERNAME", "SMTP_USERNAME")
    mail_password: SecretStr = setting("Mail", "SMTP password", SecretStr(""), "MAIL_PASSWORD", "SMTP_PASSWORD")
    mail_ca_file: str = setting(
        "Mail", "PEM file of certificate authorities for the mail server; empty: the system's", ""
    )
    default_from_email: str = setting(
        "Mail",
        "Sender of every mail, an address of your own domain",
        "",
        "DEFAULT_FROM_EMAIL",
        "MAIL_DEFAULT_SENDER",
        "SMTP_FROM_EMAIL",
    )
    mail_from_name: str = setting("Mail", "Sender's display name", "Leadapp", "MAIL_FROM_NAME", "SMTP_FROM_NAME")
    mail_reply_to: str = setting(
        "Mail", "Reply-To where a lead has no usable address", "", "MAIL_REPLY_TO", "SMTP_REPLY_TO"
    )
    mail_timeout: float = setting("Mail", "Seconds for one whole send, connecting included", 30.0)
    mail_connections: int = setting("Mail", "Most SMTP connections that one worker process keeps open", 4)

    http_timeout: float = setting("Deliveries", "Seconds for one whole outgoing HTTP call", 10.0)
    http_connect_timeout: float = setting("Deliveries", "Seconds to connect", 5.0)
    egress_allow: CommaList = setting(
        "Deliveries", "Private networks that outgoing calls may reach, comma list of CIDR; link-local never", ()
    )
    delivery_retry_base_seconds: float = setting("Deliveries", "First pause before a retry; doubles each time", 30.0)
    delivery_max_retries: int = setting("Deliveries", "Retries after the first try", 5)
    retry_jitter: float = setting("Deliveries", "0 to this share is added to each pause at random; 0: exact", 0.2)
    retry_statuses: CommaList = setting(
        "Deliveries", "HTTP statuses below 500 that are worth a retry", ("408", "425", "429")
    )
    lease_seconds: float = setting(
        "Deliveries", "How long a claimed row belongs to its worker; at least twice the longest deadline", 90.0
    )
    pause_after_failures: int = setting("Deliveries", "Failures in a row that pause a destination", 20)
    pause_after_seconds: float = setting("Deliveries", "... when they span at least this many seconds", 3600.0)
    trial_seconds: float = setting("Deliveries", "Pause between trials of a paused destination", 600.0)
    pool: int = setting("Deliveries", "Rows that a worker process claims and sends at a time", 16)
    destination_cap: int = setting("Deliveries", "Most rows in flight to one destination (soft)", 64)

    worker_processes: int = setting("Workers", "Worker processes beside the clock", 2)
    sweep_seconds: float = setting("Workers", "Seconds between looks for what is due and what was left behind", 5.0)
    shutdown_grace_seconds: float = setting("Workers", "Seconds a worker has to finish after SIGTERM", 20.0)

    @field_validator(
        "encryption_keys", "allowed_hosts", "lead_notification_email", "egress_allow", "retry_statuses", mode="before"
    )
    @classmethod
    def split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("database_url")
    @classmethod
    def name_the_driver(cls, value: str) -> str:
        """Heroku says postgres://; SQLAlchemy wants the driver named."""
        for scheme in ("postgres://", "postgresql://"):
            if value.startswith(scheme):
                return "postgresql+psycopg://" + value.removeprefix(scheme)
        return value or f"sqlite:///{INSTANCE / 'leadapp.db'}"

    @field_validator("frontend_base_url")
    @classmethod
    def drop_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("egress_allow")
    @classmethod
    def read_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @model_validator(mode="after")
    def refuse_what_is_unsafe(self) -> "Settings":
        problems = list(self.unsafe())
        if problems:
            raise ConfigurationError("; ".join(problems))
        return self

    def unsafe(self) -> list[str]:
        """What forbids a start, in words that name the setting."""
        longest = max(self.mail_timeout, self.http_timeout)
        checks = [
            (
                self.lease_seconds < 2 * longest,
                f"LEASE_SECONDS ({self.lease_seconds:g}) must be at least twice the longest deadline ({longest:g})",
            ),
            (
                self.is_sqlite and "DYNO" in os.environ,
                "DATABASE_URL is SQLite, and the disk of a dyno is thrown away: add PostgreSQL",
            ),
        ]
        if self.is_production:
            secret = self.secret_key.get_secret_value()
            checks += [
                (
                    secret == DEVELOPMENT_KEY or len(secret) < 32,
                    "SECRET_KEY must be set to 32 random characters or more",
                ),
                (
                    not self.encryption_keys or any(len(key) < 32 for key in self.encryption_keys),
                    "ENCRYPTION_KEYS must be set to 32 random characters or more",
                ),
                (self.debug, "DEBUG must be off in production"),
                (self.queue_eager, "QUEUE_EAGER must be off in production"),
                (self.mail_backend == "console", "MAIL_BACKEND=console would only pretend to send in production"),
            ]
        return [words for is_unsafe, words in checks if is_unsafe]

    @property
    def is_production(self) -> bool:
        return self.app_env is AppEnv.PRODUCTION

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def mail_provider(self) -> str:
        """Which provider sends: smtp, console or none (rows then fail with "mail is not set up")."""
        if self.mail_backend:
            return self.mail_backend
        if self.mail_server:
            return "smtp"
        return "none" if self.is_production else "console"

    @property
    def sender_address(self) -> str:
        """The envelope and From address; console mail works without one being set."""
        if self.default_from_email or self.mail_provider != "console":
            return self.default_from_email
        return "leadapp@localhost.localdomain"

    @property
    def egress_networks(self) -> tuple[str, ...]:
        """Private networks that outgoing calls may reach: what is set, and loopback in development."""
        loopback = () if self.is_production else ("127.0.0.0/8", "::1/128")
        return self.egress_allow + loopback

    @property
    def base_url(self) -> str:
        """Where people find this app, for links in mails; empty when nobody said."""
        if self.frontend_base_url:
            return self.frontend_base_url
        return "" if self.is_production else f"http://127.0.0.1:{self.port}"

    def for_flask(self) -> dict[str, Any]:
        """The same settings under the names that Flask and its extensions read."""
        return {
            "SETTINGS": self,
            "SECRET_KEY": self.secret_key.get_secret_value(),
            "DEBUG": self.debug,
            "TESTING": self.app_env is AppEnv.TEST,
            "TRUSTED_HOSTS": list(self.allowed_hosts) or None,
            "SQLALCHEMY_DATABASE_URI": self.database_url,
            "MAX_CONTENT_LENGTH": self.max_post_bytes,
            "MAX_FORM_MEMORY_SIZE": self.max_post_bytes,
            "MAX_FORM_PARTS": self.max_fields + self.max_files,
            "SESSION_COOKIE_SECURE": self.is_production,
            "SESSION_COOKIE_HTTPONLY": True,
            "SESSION_COOKIE_SAMESITE": "Lax",
            "RATELIMIT_ENABLED": self.ratelimit_enabled,
            "MAIL_SERVER": self.mail_server,
            "MAIL_PORT": self.mail_port,
            "MAIL_USE_TLS": self.mail_use_tls,
            "MAIL_USE_SSL": self.mail_use_ssl,
            "MAIL_USERNAME": self.mail_username or None,
            "MAIL_PASSWORD": self.mail_password.get_secret_value() or None,
            "MAIL_DEFAULT_SENDER": self.default_from_email or None,
            "MAIL_SUPPRESS_SEND": False,
            "WTF_CSRF_TIME_LIMIT": None,
        }


def settings() -> Settings:
    """The settings of the running application."""
    found: Settings = current_app.config["SETTINGS"]
    return found


def read() -> Settings:
    """The settings of this machine; ConfigurationError names every setting at fault and quotes no value."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors(include_input=False)]
        raise ConfigurationError("; ".join(faults)) from None
