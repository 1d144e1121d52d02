"""The audit log in the admin: sentences, search by person, action and subject, and a safe CSV download."""

import ast
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.audit_messages import SENTENCES, names_of, sentence
from accounts.csv_rows import safe_cell
from accounts.models import AuditEntry, Role, User


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_user("admin@example.org", "correct horse", name="Admin", role=Role.ADMINISTRATOR)


@pytest.fixture
def clinician(db: None) -> User:
    return User.objects.create_user("dr@example.org", "correct horse", name="=Dr C", role=Role.CLINICIAN)


@pytest.fixture
def browser(administrator: User) -> Client:
    client = Client()
    client.force_login(administrator)
    return client


def entry(actor: User | None, action: str, subject: str, **detail: Any) -> AuditEntry:
    return AuditEntry.objects.create(
        actor="" if actor is None else str(actor.pk), action=action, subject=subject, detail=detail
    )


LIST = "admin:accounts_auditentry_changelist"


@pytest.mark.parametrize("action", AuditEntry.Action.values)
def test_every_action_has_a_sentence(action: str, clinician: User) -> None:
    assert action in SENTENCES or action == AuditEntry.Action.ACCOUNT_SWITCHED
    written = entry(clinician, action, "photo:1")
    said = sentence(written, names_of([written]))
    assert said.endswith(".") and "%(" not in said
    assert "=Dr C" in said or action == AuditEntry.Action.SHARE_LINK_OPENED


def test_who_is_gone_and_who_is_nobody(db: None) -> None:
    gone = AuditEntry.objects.create(actor="999999", action="photo-viewed", subject="photo:1")
    itself = entry(None, "classifier-promoted", "classifier:1", version="v2")
    assert sentence(gone, names_of([gone])) == "A former user looked at a photo."
    assert sentence(itself, names_of([itself])) == "The application made the classifier v2 the live one."


def test_what_a_later_version_wrote_is_shown(db: None) -> None:
    later = AuditEntry.objects.create(actor="", action="something-new", subject="photo:1", detail={"role": ["odd"]})
    assert sentence(later, {}) == "The application: something-new."


def test_found_by_address_by_subject_and_by_filter(browser: Client, administrator: User, clinician: User) -> None:
    entry(clinician, "photo-viewed", "photo:11111111-aaaa")
    entry(administrator, "role-changed", f"user:{clinician.pk}", before="patient", after="clinician")
    entry(None, "classifier-promoted", "classifier:7", version="v2")

    def shown(**query: str) -> str:
        return browser.get(reverse(LIST), query).content.decode()

    by_address = shown(q="DR@example.org")
    assert "photo:11111111-aaaa" in by_address and f"user:{clinician.pk}" in by_address
    assert "classifier:7" not in by_address
    for query in ("photo:11111111-aaaa", "11111111-aaaa"):
        assert "photo:11111111-aaaa" in shown(q=query) and "classifier:7" not in shown(q=query)
    assert "classifier:7" in shown(who="application") and "photo:11111111" not in shown(who="application")
    assert "photo:11111111" in shown(action__exact="photo-viewed")
    assert "Admin changed a role from “Patient” to “Clinician”." in shown(who="me")


def test_names_cost_one_query(browser: Client, administrator: User, clinician: User) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            browser.get(reverse(LIST))
        return len(queries)

    entry(clinician, "photo-viewed", "photo:1")
    cost()
    few = cost()
    for number in range(20):
        entry(User.objects.create_user(f"dr{number}@example.org"), "photo-viewed", "photo:1")
    assert cost() == few


class TestExport:
    def rows(self, response: Any) -> list[list[str]]:
        text = b"".join(response.streaming_content).decode()
        assert text.startswith("\ufeff")
        return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))

    def test_what_is_listed_and_nothing_that_runs(self, browser: Client, administrator: User, clinician: User) -> None:
        entry(clinician, "photo-viewed", "photo:1")
        entry(None, "classifier-promoted", "classifier:7", version="v2")
        response = browser.get(reverse("admin:accounts_auditentry_export"), {"action__exact": "photo-viewed"})
        assert response.headers["Content-Type"].startswith("text/csv")
        header, row = self.rows(response)
        assert header[:3] == ["created", "actor", "actor_name"]
        assert row[2] == "'=Dr C" and row[4] == "'=Dr C looked at a photo."
        assert row[5] == "photo:1"

    def test_is_itself_written_down(self, browser: Client, administrator: User) -> None:
        browser.get(reverse("admin:accounts_auditentry_export"))
        written = AuditEntry.objects.get(action="list-exported")
        assert (written.actor, written.subject) == (str(administrator.pk), "list:audit-log")

    def test_is_the_administrators_alone(self, clinician: User) -> None:
        client = Client()
        client.force_login(clinician)
        assert client.get(reverse("admin:accounts_auditentry_export")).status_code == 302
        assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\0"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert safe_cell(f"{start}1") == f"'{start}1".replace("\0", "")
    assert safe_cell("plain") == "plain"
    assert (safe_cell(None), safe_cell(-3), safe_cell(0.5)) == ("", "-3", "0.5")


ROOT = Path(__file__).resolve().parents[2]
ALWAYS = {"actor", "action"}


def recorded() -> Iterator[tuple[str, str, set[str]]]:
    """Each call of `audit.record` in the application: where, the name of the action, the names of its details."""
    for app in ("accounts", "diagnoses", "training"):
        for path in sorted((ROOT / app).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "audit.record":
                    given = {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", given["action"].rpartition(".")[2], set(given)


def test_every_entry_holds_what_its_message_says() -> None:
    """A message with a gap is read as "registered the classifier –."."""
    found = list(recorded())
    assert len(found) > 15
    gaps = {
        place: missing
        for place, action, given in found
        if action in AuditEntry.Action.__members__
        for words in [set(re.findall(r"%\((\w+)\)s", str(SENTENCES.get(AuditEntry.Action[action], ""))))]
        if (missing := words - ALWAYS - given)
    }
    assert not gaps
