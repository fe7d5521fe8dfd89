"""Errors to Sentry when SENTRY_DSN is set: where it broke, never what a visitor wrote."""

from typing import Any

from leadapp import __version__
from leadapp.config import Settings
from leadapp.ops.logs import NAMES, TELLING, mask

# What the library notes of a call to another host or to a database, and that holds no value.
FACTS_OF_CALLS = frozenset({"url", "http.method", "status_code", "reason", "db.system", "db.operation"})
TELLING_NAMES = frozenset(kind.__name__ for kind in TELLING)


def start(settings: Settings) -> None:
    """Set the client up for this process; nothing happens without SENTRY_DSN."""
    dsn = settings.sentry_dsn.get_secret_value()
    if dsn:
        import sentry_sdk

        sentry_sdk.init(dsn=dsn, **options(settings))


def options(settings: Settings) -> dict[str, Any]:
    """No bodies, no variables, no cookies, no addresses; breadcrumbs (what led there) stay."""
    return {
        "environment": settings.app_env.value,
        "release": f"leadapp@{__version__}",
        "send_default_pii": False,
        "max_request_body_size": "never",
        "include_local_variables": False,
        "before_send": scrub,
        "before_breadcrumb": scrub_breadcrumb,
    }


def scrub(event: Any, hint: dict[str, Any]) -> Any:
    """Take out what could quote a visitor: query strings, headers, texts of exceptions that hold values."""
    request = event.get("request", {})
    for name in ("query_string", "headers", "cookies", "data", "env"):
        request.pop(name, None)
    event.pop("user", None)
    if "url" in request:
        request["url"] = mask(str(request["url"]))  # a path can hold a token
    if "extra" in event:
        event["extra"] = named_only(event["extra"])
    if "logentry" in event:
        event["logentry"] = {"message": mask(str(event["logentry"].get("message", "")))}  # no values behind its %s
    telling = telling_names(hint)
    for value in event.get("exception", {}).get("values", []):
        said = str(value.get("value") or "")
        value["value"] = mask(said) if value.get("type") in telling else "(left out)"
    return event


def named_only(facts: dict[str, Any]) -> dict[str, Any]:
    """What a log line may say too, and no address in it."""
    kept = {name: value for name, value in facts.items() if name in NAMES | FACTS_OF_CALLS}
    return {name: mask(value) if isinstance(value, str) else value for name, value in kept.items()}


def telling_names(hint: dict[str, Any]) -> set[str]:
    """Class names in this event's chain of exceptions whose text quotes nobody."""
    names = set(TELLING_NAMES)
    error = (hint.get("exc_info") or (None, None, None))[1]
    while error is not None:
        if isinstance(error, TELLING):
            names.add(type(error).__name__)
        error = error.__cause__ or error.__context__
    return names


def scrub_breadcrumb(crumb: Any, _hint: dict[str, Any]) -> Any:
    if crumb.get("message"):
        crumb["message"] = mask(str(crumb["message"]))
    if crumb.get("data"):
        crumb["data"] = named_only(crumb["data"])
    return crumb
