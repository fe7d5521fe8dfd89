"""The retry policy, figure by figure."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from leadapp.config import ROOT, Settings
from leadapp.deliveries.retry import RetryPolicy, next_attempt
from leadapp.errors import DestinationError, NotSentError, OutcomeUnknownError, PermanentError, TemporaryError

EXACT = RetryPolicy(jitter=0)
BROKEN = TemporaryError("The webhook answered 500")


def seconds(tries: int, policy: RetryPolicy = EXACT, roll: float = 0.5) -> float | None:
    pause = next_attempt(tries, BROKEN, policy, lambda: roll)
    return None if pause is None else pause.total_seconds()


def test_five_retries_follow_the_first_try_and_double_from_30_seconds():
    assert [seconds(tries) for tries in range(1, 8)] == [30, 60, 120, 240, 480, None, None]


def test_the_live_test_waits_long_enough_for_two_retries_with_their_usual_pauses():
    code = "from tests.services.test_live_gateway import SECONDS; print(SECONDS)"
    live = {**os.environ, "LIVE_E2E": "1", "PYTHONPATH": str(ROOT)}
    live.pop("LIVE_E2E_SECONDS", None)
    told = subprocess.run([sys.executable, "-c", code], env=live, cwd=ROOT, capture_output=True, text=True, check=True)
    longest = seconds(1, RetryPolicy(), 1.0) + seconds(2, RetryPolicy(), 1.0)
    sweeps = 2 * Settings.model_fields["sweep_seconds"].default
    assert float(told.stdout) > longest + sweeps + 10


@pytest.mark.parametrize(("roll", "pause"), [(0.0, 30.0), (0.5, 33.0), (1.0, 36.0)])
def test_jitter_adds_up_to_a_fifth_and_takes_nothing(roll, pause):
    assert seconds(1, RetryPolicy(), roll) == pytest.approx(pause)


def test_jitter_differs_from_row_to_row():
    assert len({next_attempt(1, BROKEN, RetryPolicy()) for _ in range(20)}) > 1


def test_retry_after_is_waited_for_and_never_shortens_a_pause():
    asked = TemporaryError("busy", retry_after=timedelta(minutes=5))
    hasty = TemporaryError("busy", retry_after=timedelta(seconds=1))
    assert next_attempt(1, asked, EXACT) == timedelta(minutes=5)
    assert next_attempt(1, hasty, EXACT) == timedelta(seconds=30)


def test_retry_after_gives_no_further_try():
    assert next_attempt(6, TemporaryError("busy", retry_after=timedelta(minutes=5)), EXACT) is None


@pytest.mark.parametrize(
    "error", [PermanentError("no"), OutcomeUnknownError("lost"), DestinationError("gone", disable=True)]
)
def test_what_is_final_is_not_tried_again(error):
    assert next_attempt(1, error, EXACT) is None


@pytest.mark.parametrize("error", [NotSentError("no time"), DestinationError("401", disable=False)])
def test_a_paused_destination_and_a_row_not_begun_are_due_at_once_however_often(error):
    assert next_attempt(99, error, EXACT) == timedelta(0)


def test_a_pause_never_exceeds_a_day_nor_overflows():
    assert seconds(999, RetryPolicy(retries=1000, jitter=0)) == 24 * 3600


def test_no_retries_means_one_try():
    assert seconds(1, RetryPolicy(retries=0)) is None


def test_every_figure_is_a_setting():
    settings = Settings(
        _env_file=None,
        app_env="test",
        delivery_retry_base_seconds=0.5,
        delivery_max_retries=2,
        retry_jitter=0,
    )
    policy = RetryPolicy.from_settings(settings)
    assert [seconds(tries, policy) for tries in (1, 2, 3)] == [0.5, 1.0, None]
