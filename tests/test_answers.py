"""What an answer means: delivery-contract.md's table, row by row."""

from datetime import UTC, datetime, timedelta

import pytest

from leadapp import clock
from leadapp.deliveries.answers import http_error, retry_after, smtp_error
from leadapp.errors import DestinationError, PermanentError, TemporaryError
from leadapp.http import Answer

RETRY = ("408", "425", "429")


def webhook(status: int, **headers: str):
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return http_error("The webhook", Answer(status, named, "body"), RETRY)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status):
    assert webhook(status) is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_3xx_is_permanent_and_hints_at_a_wrong_address(status):
    error = webhook(status)
    assert isinstance(error, PermanentError)
    assert str(error).startswith(f"The webhook answered {status}: it has moved or the address is wrong")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_busy_and_broken_are_tried_again(status):
    error = webhook(status)
    assert isinstance(error, TemporaryError)
    assert (str(error), error.status_code, error.answer) == (f"The webhook answered {status}", status, "body")


def test_which_statuses_are_tried_again_is_a_setting():
    assert isinstance(http_error("The webhook", Answer(404, {}, ""), ("404",)), TemporaryError)
    assert isinstance(http_error("The webhook", Answer(429, {}, ""), ("404",)), PermanentError)


def test_410_disables_the_destination():
    error = webhook(410)
    assert isinstance(error, DestinationError)
    assert error.disable
    assert str(error) == "The webhook answered 410: it is gone"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_pauses_the_destination(status):
    error = webhook(status)
    assert isinstance(error, DestinationError)
    assert not error.disable
    assert str(error) == f"The webhook refuses our token ({status})"


@pytest.mark.parametrize("status", [100, 101, 199, 400, 404, 405, 409, 413, 415, 422, 451, 600, 999])
def test_everything_else_is_permanent(status):
    error = webhook(status)
    assert isinstance(error, PermanentError)
    assert str(error).startswith(f"The webhook answered {status}")


def test_429_with_retry_after_says_how_long():
    error = webhook(429, retry_after="120")
    assert isinstance(error, TemporaryError)
    assert error.retry_after == timedelta(minutes=2)
    assert str(error) == "The webhook answered 429 and asks us to wait 2 minutes"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("1", 1), ("30", 30), (" 30 ", 30), ("86400", 86400), ("86401", 86400), ("9" * 5000, 86400)],
)
def test_retry_after_in_seconds_is_at_most_a_day(value, seconds):
    assert retry_after({"Retry-After": value}) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0",
        "-5",
        "1.5",
        "soon",
        "٣",
        "1e3",
        "0x10",
        "Mon",
        "Sun, 99 Nov 2026 10:00:00 GMT",
        "\udcff",
        "Fri, 31 Dec 99999 23:59:59 GMT",
    ],
)
def test_retry_after_that_makes_no_sense_is_ignored(value):
    assert retry_after({"Retry-After": value}) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Sun, 22 Nov 2026 10:05:00 GMT", 300),
        ("Sunday, 22-Nov-26 10:05:00 GMT", 300),
        ("Sun Nov 22 10:05:00 2026", 300),
        ("Sun, 22 Nov 2026 12:05:00 +0200", 300),
        ("Fri, 22 Nov 2030 10:00:00 GMT", 86400),
        ("Sun, 22 Nov 2026 09:59:59 GMT", None),
    ],
)
def test_retry_after_as_a_date(value, seconds):
    with clock.frozen(datetime(2026, 11, 22, 10, tzinfo=UTC)):
        found = retry_after({"Retry-After": value})
    assert found == (None if seconds is None else timedelta(seconds=seconds))


def test_a_date_is_read_by_the_receivers_own_clock():
    headers = {"Retry-After": "Sun, 22 Nov 2026 11:01:00 GMT", "Date": "Sun, 22 Nov 2026 11:00:00 GMT"}
    with clock.frozen(datetime(2026, 11, 22, 10, tzinfo=UTC)):  # an hour behind
        assert retry_after(headers) == timedelta(minutes=1)


# SMTP.


@pytest.mark.parametrize("code", [200, 250, 251, 252])
def test_2yz_is_delivered(code):
    assert smtp_error(code, "OK") is None


@pytest.mark.parametrize("code", [421, 450, 451, 452, 454])
def test_4yz_is_tried_again(code):
    error = smtp_error(code, "4.2.0 come back\nlater")
    assert isinstance(error, TemporaryError)
    assert str(error) == f"The mail server answered {code}: 4.2.0 come back later"
    assert error.status_code == code


@pytest.mark.parametrize("code", [550, 551, 552, 553, 554])
def test_5yz_is_permanent(code):
    error = smtp_error(code, "5.7.1 no")
    assert isinstance(error, PermanentError)
    assert str(error) == f"The mail server answered {code}: 5.7.1 no"


@pytest.mark.parametrize("code", [530, 534, 535, 538])
def test_a_refused_log_in_pauses_the_destination(code):
    error = smtp_error(code, "5.7.8 no")
    assert isinstance(error, DestinationError)
    assert not error.disable
    assert str(error) == f"The mail server refuses our log-in ({code})"


def test_any_5yz_to_the_log_in_itself_pauses_the_destination_and_4yz_does_not():
    assert isinstance(smtp_error(550, "no", is_login=True), DestinationError)
    assert isinstance(smtp_error(454, "later", is_login=True), TemporaryError)


def test_5_1_1_marks_the_address():
    error = smtp_error(550, "5.1.1 <x@shop.example>: unknown")
    assert isinstance(error, PermanentError)
    assert str(error) == "There is no mailbox at this address (550 5.1.1)"
    assert "5.1.1" in error.answer


def test_a_long_answer_is_cut_in_the_sentence():
    assert len(str(smtp_error(450, "x" * 5000))) < 300
