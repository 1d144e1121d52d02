"""A real browser for the journeys: the system's Chromium, which connects only to our own server."""

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from django.db import connections
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Request, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",  # the container runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
AXE: Final = Path(__file__).parent / "vendor" / "axe-core" / "axe-4.14.1.min.js"
# The axe-core rules of WCAG 2.2 A and AA, and its best practices.
AXE_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NARROW: Final = 320  # CSS pixels: WCAG 2.2, 1.4.10
PATIENCE_MS = 60_000  # enough for two busy cores; a faster machine does not wait


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"No browser: none of {', '.join(CHROMIUM)} is installed (Debian: apt-get install chromium).")
    return found


@pytest.fixture
def playwright(monkeypatch: pytest.MonkeyPatch) -> Iterator[Playwright]:
    # Playwright's synchronous interface runs an event loop in this thread, in which Django refuses database access. The
    # connections of other threads must be closed here.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_playwright() as running:
        yield running
        connections.close_all()


@pytest.fixture
def browser(chromium: str, playwright: Playwright) -> Iterator[Browser]:
    launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
    yield launched
    launched.close()


@functools.cache
def axe() -> str:
    """The source of axe-core (MPL 2.0), stored with the tests, so that a journey needs no other server."""
    return AXE.read_text()


class Visitor:
    """One visitor's browser, with its recorded errors and requests. `language` is the visitor's language."""

    def __init__(self, context: BrowserContext, base_url: str, language: str = "en") -> None:
        self.base_url = base_url
        self.language = language
        self.page: Page = context.new_page()
        self.foreign: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console", lambda line: self.complaints.append(line.text) if line.type in {"error", "warning"} else None
        )

    def _note(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and not request.url.startswith(self.base_url):
            self.foreign.append(request.url)

    def go(self, path: str) -> None:
        self.page.goto(self.base_url + path)

    def says(self, text: str | Promise, **values: Any) -> str:
        """A text of the application in the visitor's language; `values` fill its placeholders."""
        with translation.override(self.language):
            words = str(text) if isinstance(text, Promise) else gettext(text)
            return words % values if values else words

    def sign_in(self, email: str, password: str) -> None:
        self.go("/accounts/login/")
        self.page.locator("[name=login]").fill(email)
        self.page.locator("[name=password]").fill(password)
        self.page.locator("main form:has([name=login]) [type=submit]").first.click()
        self.page.locator("[data-notification-count]").wait_for()

    def violations(self) -> list[str]:
        """The axe-core violations of the current page: a line for each rule, with the first elements."""
        # Evaluated through the debugger, so the page's content security policy is not changed.
        self.page.evaluate(axe())
        found: list[dict[str, Any]] = self.page.evaluate(
            "async rules => (await axe.run(document, {runOnly: rules, resultTypes: ['violations']})).violations",
            AXE_RULES,
        )
        return [
            f"{self.page.url} {each['id']} ({each['impact']}): {each['help']}: "
            + "; ".join(str(node["html"])[:160] for node in each["nodes"][:3])
            for each in found
        ]

    def fits(self) -> bool:
        """Whether the page has no horizontal overflow."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """`visit(url, javascript=False, width=320)` opens a new browser. At the end it must have no errors."""
    visitors: list[tuple[BrowserContext, Visitor]] = []

    def open_one(
        base_url: str, *, javascript: bool = True, width: int = 1280, locale: str = "en-GB", dark: bool = False
    ) -> Visitor:
        context = browser.new_context(
            java_script_enabled=javascript,
            viewport={"width": width, "height": 900},
            locale=locale,
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        context.set_default_timeout(PATIENCE_MS)
        visitors.append((context, Visitor(context, base_url, locale.split("-", maxsplit=1)[0])))
        return visitors[-1][1]

    yield open_one
    for context, visitor in visitors:
        context.close()
        assert visitor.foreign == [], "requests to third parties"
        assert visitor.complaints == [], "errors in the browser's console"
