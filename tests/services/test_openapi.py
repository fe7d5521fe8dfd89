"""schemathesis with all its checks against the running app: no 5xx, and nothing that /openapi.json does not say."""

import subprocess
import sys
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.services.stack import Stack, wait_for

TOKEN, SECRET = "a token for figures", "a shared secret"
# What a description of an address cannot say: a key that was used with another body is refused (422), and a posted
# `Accept` decides between pages and JSON. 429 never comes: the limits of the test are wide.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "303", "401", "403", "404", "422"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "413", "415", "422"]

[auth.openapi]
metricsToken = { bearer = "%s" }
sharedSecret = { api_key = "%s" }
sharedSecretAsBearer = { bearer = "%s" }

[parameters]
form_key = "contact"
"query.hub.verify_token" = "%s"
"""


@pytest.mark.timeout(300)
def test_the_running_app_does_what_its_openapi_says(tmp_path: Path, postgresql: str) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG % (TOKEN, SECRET, SECRET, SECRET))
    wide = {"ratelimit_webhooks": "1000000 per minute", "ratelimit_bytes": "1000000000000 per hour"}
    with Stack(tmp_path, postgresql, metrics_token=TOKEN, webhook_shared_secret=SECRET, **wide) as stack:
        run = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
                *(f"{stack.url}/openapi.json", "--checks", "all", "--max-examples", "5", "--seed", "1"),
                *("--phases", "examples,coverage,fuzzing,stateful", "--request-timeout", "10"),
                *("--generation-database", "none", "--continue-on-failure", "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:] + stack.log("web")[-2000:]
        assert "Traceback" not in stack.log("web")
        every_process_is_counted(stack)


def every_process_is_counted(stack: Stack) -> None:
    """Two web processes and two workers: whoever is asked knows the same, and as much as the database does."""
    for number in range(12):
        stack.post(number)
    wait_for(lambda: {count_of(scrape(stack), "leadapp_leads_accepted_total") for _ in range(8)} == {leads_of(stack)})
    wait_for(lambda: count_of(scrape(stack), "leadapp_attempts_total") == attempts_of(stack), 30)
    found = scrape(stack)
    for form in ("contact", "gateway"):  # what schemathesis sent came through the secret and was taken
        assert found["leadapp_leads_accepted_total", form, "webhook"] >= 1
    assert found["leadapp_processes_alive", "worker"] == 2
    assert found["leadapp_processes_alive", "clock"] == 1
    assert found["leadapp_periodic_age_seconds", "sweep"] < 30


def scrape(stack: Stack) -> dict[tuple[str, ...], float]:
    answer = requests.get(f"{stack.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def count_of(found: dict[tuple[str, ...], float], name: str) -> float:
    return sum(number for series, number in found.items() if series[0] == name)


def leads_of(stack: Stack) -> float:
    return float(stack.query("SELECT count(*) FROM lead")[0][0])


def attempts_of(stack: Stack) -> float:
    return float(stack.query("SELECT count(*) FROM attempt WHERE outcome IS NOT NULL")[0][0])
