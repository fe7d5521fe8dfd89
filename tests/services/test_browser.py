"""The whole story in a real browser: a form is sent, read, broken, explained, repaired and sent again.

Real processes (gunicorn, worker.py), SQLite, Redis database 11, and a receiver that is broken on purpose.
Screenshots and logs go to artefacts/.
"""

import base64
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from leadapp.config import ROOT
from tests.services.conftest import ARTEFACTS, REDIS
from tests.sinks import HttpAnswer, HttpSink, Request, ok

OWNER = "owner@shop.example"
# One of its own for each of the processes that tests run in: a worker takes whatever it finds in its queue.
PRIVATE_REDIS = f"{REDIS.rpartition('/')[0]}/{11 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])}"
STARTING = 90.0  # seconds for an app that starts while other tests keep both cores busy
PATIENCE = 45.0  # seconds that a page may take to show what a worker does
WIDTHS = (1440, 390)
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1440,900"
)


@dataclass
class Desk:
    """A Leadapp that runs, and what its tests need to know of it."""

    address: str
    password: str
    sink: HttpSink
    database: Path

    def run_sql(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.database, timeout=10) as connection:
            connection.execute(statement, values)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    ARTEFACTS.mkdir(exist_ok=True)
    redis = Redis.from_url(PRIVATE_REDIS)
    redis.flushdb()
    with ExitStack() as running:
        sink = running.enter_context(HttpSink())
        running.callback(redis.flushdb)
        environment = make_environment(folder, sink.url)
        setup = [sys.executable, "-m", "flask", "--app", "wsgi", "setup", "--first-owner", OWNER]
        said = subprocess.run(setup, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
        assert said.returncode == 0, said.stdout + said.stderr
        password = re.findall(r"[Pp]assword[^:]*: (\S+)", said.stdout)[0]
        port = free_port()
        web = [
            "gunicorn",
            "wsgi:app",
            "--bind",
            f"127.0.0.1:{port}",
            "--worker-class",
            "gthread",
            "--threads",
            "8",
            "--no-control-socket",
        ]
        running.enter_context(process([sys.executable, "-m", *web], environment, ARTEFACTS / "web.log"))
        running.enter_context(process([sys.executable, "worker.py"], environment, ARTEFACTS / "worker.log"))
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: is_ready(address), f"a ready app; see {ARTEFACTS}", STARTING)
        yield Desk(address, password, sink, folder / "lead.db")


def make_environment(folder: Path, webhook: str) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "APP_ENV": "development",
        "SECRET_KEY": "a key for the browser test, long enough",
        "ENCRYPTION_KEYS": "a key for the browser test, long enough",
        "DATABASE_URL": f"sqlite:///{folder / 'lead.db'}",
        "REDIS_URL": PRIVATE_REDIS,
        "MAIL_BACKEND": "console",
        "LEAD_NOTIFICATION_EMAIL": OWNER,
        "ZAPIER_WEBHOOK_URL": webhook,
        "DELIVERY_RETRY_BASE_SECONDS": "240",  # no retry of its own within the test
        "RETRY_JITTER": "0",
        "WORKER_PROCESSES": "1",
        "SWEEP_SECONDS": "1",
    }


@contextmanager
def process(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    """A child that is stopped at the end, and killed when it does not stop."""
    with log.open("wb") as out:
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_ready(address: str) -> bool:
    try:
        return requests.get(f"{address}/healthz/ready", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def wait_for(question: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if answer := question():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds:g} s for {what}")


class Visitor:
    """A browser of one width, and the person in front of it."""

    def __init__(self, driver: webdriver.Chrome, desk: Desk, width: int):
        self.driver, self.desk, self.width = driver, desk, width
        self.resize(900)

    def resize(self, height: int) -> None:
        size = {"width": self.width, "height": height, "deviceScaleFactor": 1, "mobile": self.width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def open(self, path: str) -> None:
        self.driver.get(path if path.startswith("http") else self.desk.address + path)

    @property
    def text(self) -> str:
        for _ in range(50):
            try:
                return self.driver.find_element(By.TAG_NAME, "main").text
            except (StaleElementReferenceException, NoSuchElementException):
                time.sleep(0.1)  # the next page was just coming
        return self.driver.find_element(By.TAG_NAME, "main").text

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def fill(self, **values: str) -> None:
        for name, value in values.items():
            self.find(f"[name='{name}']").send_keys(value)

    def press(self, words: str, within: str = "main") -> None:
        """A button or link that a person would call so."""
        path = f"//{within}//*[self::button or self::a][normalize-space()='{words}']"
        self.driver.find_element(By.XPATH, path).click()

    def see(self, *words: str) -> None:
        """Reload until all these words stand on the page."""
        place = self.driver.current_url

        def look() -> bool:
            self.driver.get(place)
            return all(re.search(word, self.text) for word in words)

        try:
            wait_for(look, str(words))
        except AssertionError as error:
            raise AssertionError(f"{error}; the page says:\n{self.text}") from None

    def photograph(self, name: str) -> None:
        """A picture of the whole page; it must not be wider than the screen."""
        page = "document.documentElement"
        too_wide = self.driver.execute_script(f"return {page}.scrollWidth - {page}.clientWidth")
        self.resize(max(900, self.driver.execute_script(f"return {page}.scrollHeight")))
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        (ARTEFACTS / f"{name}-{self.width}.png").write_bytes(base64.b64decode(shot["data"]))
        self.resize(900)
        assert too_wide <= 0, f"{name} is {too_wide} px wider than the screen"

    def complaints(self) -> list[str]:
        """What the browser's console says: broken scripts, policy violations, missing files."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture
def browser(desk: Desk, tmp_path: Path) -> Iterator[Callable[[int], Visitor]]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield lambda width: Visitor(driver, desk, width)
    driver.quit()


@pytest.fixture(autouse=True)
def whole_receiver(desk: Desk) -> Iterator[None]:
    """Every test starts and ends with a receiver that takes everything."""
    desk.sink.answer = ok
    desk.sink.requests.clear()
    yield
    desk.sink.answer = ok


def broken(_request: Request) -> HttpAnswer:
    return 500, {}, b"out of order"


def send_a_lead(visitor: Visitor, name: str, message: str) -> None:
    visitor.open("/")
    visitor.fill(name=name, email="ada@example.com", phone="+44 20 7946 0000", message=message)
    visitor.press("Send")
    assert "Your message has arrived" in visitor.text


def log_in(visitor: Visitor) -> None:
    visitor.open("/admin/")
    visitor.photograph("login")
    visitor.fill(email=OWNER, password=visitor.desk.password)
    visitor.find("[name='password']").send_keys(Keys.ENTER)
    inside = visitor.desk.address + "/admin/"  # the log-in's own address ends with ?next=/admin/
    wait_for(lambda: visitor.driver.current_url.startswith(inside), "the admin after logging in")


def open_lead(visitor: Visitor, name: str) -> None:
    visitor.open("/admin/leads/")
    visitor.press(name)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_lead_is_sent_read_broken_explained_repaired_and_sent_again(
    desk: Desk, browser: Callable[[int], Visitor], width: int
) -> None:
    visitor = browser(width)
    visitor.open("/")
    visitor.photograph("start")
    send_a_lead(visitor, f"Ada {width}", "I need a cake.\nFor 200 people.")
    visitor.photograph("thanks")
    visitor.press("Back")
    assert visitor.driver.current_url == f"{desk.address}/"

    log_in(visitor)
    visitor.photograph("admin")
    open_lead(visitor, f"Ada {width}")
    visitor.see("I need a cake", "handed over to", "delivered to", "New enquiry from|via Contact")
    visitor.photograph("lead-sent")
    assert len(desk.sink.requests) == 1

    desk.sink.answer = broken
    send_a_lead(visitor, f"Grace {width}", "Is this thing on?")
    open_lead(visitor, f"Grace {width}")
    visitor.see(r"failed once, next try in \d minutes", "answered 500")
    visitor.photograph("lead-waiting")
    visitor.open("/admin/")
    visitor.see(r"[1-9]\d*\s+waiting", "next try in")
    visitor.photograph("admin-waiting")

    desk.sink.answer = ok
    open_lead(visitor, f"Grace {width}")
    visitor.driver.find_element(
        By.XPATH, "//article[contains(., 'next try')]//button[normalize-space()='Send again']"
    ).click()
    visitor.photograph("confirm")
    visitor.press("Send again")
    visitor.see("pressed “Send again”", "delivered to")
    visitor.photograph("lead-sent-again")
    failed, delivered = desk.sink.requests[-2:]
    assert failed.headers["webhook-id"] == delivered.headers["webhook-id"]
    assert failed.body == delivered.body
    assert visitor.complaints() == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_of_the_admin_fits_the_screen_and_leaves_the_console_clean(
    browser: Callable[[int], Visitor], width: int
) -> None:
    visitor = browser(width)
    send_a_lead(visitor, f"Emmy {width}", "Hello")
    log_in(visitor)
    for name in ("leads", "needs-you", "forms", "destinations", "deliveries", "attempts", "audit", "queues"):
        visitor.open(f"/admin/{name}/")
        time.sleep(0.3)  # rq-dashboard fills its tables by script
        visitor.photograph(f"admin-{name}")
    assert visitor.complaints() == []


def test_the_form_works_without_javascript_and_with_the_keyboard_alone(
    desk: Desk, browser: Callable[[int], Visitor]
) -> None:
    visitor = browser(390)
    visitor.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    visitor.open("/f/contact")
    visitor.find("[name='name']").send_keys("Kay Board", Keys.TAB, "kay@example.com", Keys.TAB, Keys.TAB, "Typed.")
    visitor.driver.switch_to.active_element.send_keys(Keys.TAB)
    visitor.driver.switch_to.active_element.send_keys(Keys.ENTER)
    wait_for(lambda: "Your message has arrived" in visitor.text, "the thank-you page")
    wait_for(lambda: desk.sink.requests, "the webhook")
    assert b"Kay Board" in desk.sink.requests[0].body


def test_the_snippet_can_be_copied(desk: Desk, browser: Callable[[int], Visitor]) -> None:
    visitor = browser(1440)
    permission = {"origin": desk.address, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    visitor.driver.execute_cdp_cmd("Browser.grantPermissions", permission)
    visitor.open("/")
    visitor.press("Copy")
    wait_for(lambda: "Copied" in visitor.text, "the button's answer")
    copied = visitor.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied.startswith(f'<form action="{desk.address}/f/contact" method="post">')


def test_our_own_policy_lets_a_visitor_go_on_to_the_customers_page(
    desk: Desk, browser: Callable[[int], Visitor]
) -> None:
    desk.run_sql("UPDATE form SET site_url = ? WHERE key = 'contact'", desk.sink.url)
    visitor = browser(390)
    visitor.open("/f/contact")
    hidden = "const next = document.createElement('input'); next.name = '_next'; next.value = '/thanks';"
    visitor.driver.execute_script(f"{hidden} document.forms[0].append(next)")
    visitor.fill(name="Ada", email="ada@example.com", message="Hello")
    visitor.press("Send")
    wait_for(lambda: visitor.driver.current_url.endswith("/thanks"), "the customer's page")
    desk.run_sql("UPDATE form SET site_url = '' WHERE key = 'contact'")
    assert visitor.driver.current_url == desk.sink.url.replace("/hook", "/thanks")
