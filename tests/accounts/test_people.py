"""Users, roles, demo accounts, and their audit entries."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from accounts import audit
from accounts.models import AuditEntry, Role, User
from accounts.permissions import NotAllowed
from accounts.services import DEMO_ACCOUNTS, DEMO_PASSWORD, change_role, create_demo_accounts


@pytest.fixture
def patient(db: None) -> User:
    return User.objects.create_user("Patient@Example.org", "correct horse battery")


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_user("admin@example.org", "correct horse battery", role=Role.ADMINISTRATOR)


class TestUsers:
    def test_one_address_one_account_whatever_its_case(self, patient: User) -> None:
        assert patient.email == "patient@example.org"
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.create_user("PATIENT@example.org", "x")
        with pytest.raises(IntegrityError, match="user_email_unique"), transaction.atomic():
            User.objects.bulk_create([User(email="PATIENT@EXAMPLE.ORG")])
        assert User.objects.get_by_natural_key("PATIENT@example.ORG") == patient
        with pytest.raises(ValueError, match="e-mail"):
            User.objects.create_user("", "x")

    def test_an_unknown_role_is_refused_by_the_database(self, patient: User) -> None:
        with pytest.raises(IntegrityError, match="user_role_known"), transaction.atomic():
            User.objects.update(role="root")

    @pytest.mark.parametrize(
        ("role", "sees", "staff"),
        [(Role.PATIENT, False, False), (Role.CLINICIAN, True, False), (Role.ADMINISTRATOR, True, True)],
    )
    def test_what_follows_from_a_role(self, db: None, role: Role, sees: bool, staff: bool) -> None:
        user = User(email="x@example.org", role=role)
        assert (user.sees_all_patients, user.is_staff, user.has_perm("anything")) == (sees, staff, staff)
        user.is_active = False
        assert not user.sees_all_patients
        assert not user.has_perm("anything") and not user.has_module_perms("diagnoses")

    def test_a_superuser_is_an_administrator(self, db: None) -> None:
        assert User.objects.create_superuser("root@example.org", "x").role == Role.ADMINISTRATOR


class TestSignUp:
    FORM = {
        "email": "New@Example.org",
        "password1": "correct horse battery",
        "password2": "correct horse battery",
        "diagnosis_consent": "on",
    }

    def test_makes_a_patient_whatever_else_is_sent(self, db: None) -> None:
        extra = {
            "role": "administrator",
            "is_staff": "true",
            "is_superuser": "1",
            "is_active": "",
            "id": "1",
            "name": "x",
        }
        assert Client().post(reverse("account_signup"), {**self.FORM, **extra}).status_code == 302
        user = User.objects.get()
        assert (user.email, user.role, user.is_active, user.is_staff) == ("new@example.org", "patient", True, False)

    def test_a_taken_address_makes_no_second_account(self, patient: User) -> None:
        response = Client().post(reverse("account_signup"), {**self.FORM, "email": patient.email.upper()})
        assert response.status_code < 400
        assert User.objects.get() == patient

    @pytest.mark.parametrize("password", ["short", "password1234", "1234567890123"])
    def test_weak_passwords_are_refused(self, db: None, password: str) -> None:
        form = {**self.FORM, "password1": password, "password2": password}
        assert Client().post(reverse("account_signup"), form).status_code == 200
        assert not User.objects.exists()


class TestAddresses:
    def test_another_accounts_login_cannot_become_ones_own(self, patient: User, administrator: User) -> None:
        browser = Client()
        browser.post(reverse("account_login"), {"login": patient.email, "password": "correct horse battery"})
        answer = browser.post(reverse("account_email"), {"action_add": "", "email": administrator.email.upper()})
        assert answer.status_code == 200
        assert "already" in answer.content.decode()
        browser.post(reverse("account_email"), {"action_primary": "", "email": administrator.email})
        assert not EmailAddress.objects.filter(user=patient, email=administrator.email).exists()
        patient.refresh_from_db()
        assert patient.email == "patient@example.org"

    def test_where_addresses_are_verified_nobody_learns_who_has_an_account(
        self, patient: User, administrator: User, settings: Any
    ) -> None:
        browser = Client()
        browser.post(reverse("account_login"), {"login": patient.email, "password": "correct horse battery"})
        EmailAddress.objects.update(verified=True)
        settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
        answers = [
            browser.post(reverse("account_email"), {"action_add": "", "email": email}).status_code
            for email in (administrator.email, "nobody@example.org")
        ]
        assert answers == [302, 302]

    def test_a_free_address_can(self, patient: User) -> None:
        browser = Client()
        browser.post(reverse("account_login"), {"login": patient.email, "password": "correct horse battery"})
        for action in ("action_add", "action_primary"):
            browser.post(reverse("account_email"), {action: "", "email": "New@Example.org"})
        patient.refresh_from_db()
        assert patient.email == "new@example.org"


class TestSignIn:
    def sign_in(self, browser: Client) -> int:
        form = {"login": "patient@example.org", "password": "correct horse battery"}
        return browser.post(reverse("account_login"), form).status_code

    def test_makes_a_new_session(self, patient: User) -> None:
        browser = Client()
        browser.get(reverse("account_login"))
        browser.session["planted"] = "x"
        browser.session.save()
        before = browser.session.session_key
        assert self.sign_in(browser) == 302
        assert browser.session.session_key != before

    def test_a_new_password_ends_the_other_sessions(self, patient: User) -> None:
        here, there = Client(), Client()
        assert self.sign_in(here) == self.sign_in(there) == 302
        form = {"oldpassword": "correct horse battery", "password1": "another horse stable"}
        form["password2"] = form["password1"]
        assert here.post(reverse("account_change_password"), form).status_code == 302
        for browser in (here, there):
            assert browser.get(reverse("photo-list")).status_code == 302

    def test_the_admin_has_no_door_of_its_own(self, administrator: User) -> None:
        """Its login page would check passwords without counting them (R11)."""
        form = {"username": administrator.email, "password": "correct horse battery"}
        browser = Client()
        response = browser.post("/admin/login/", form)
        assert response.status_code == 302
        assert response.headers["Location"].startswith(reverse("account_login"))
        assert browser.get("/admin/").status_code == 302

    def test_an_account_switched_off_is_out_at_once(self, patient: User) -> None:
        browser = Client()
        assert self.sign_in(browser) == 302
        assert browser.get(reverse("photo-list")).status_code == 200
        User.objects.update(is_active=False)
        assert browser.get(reverse("photo-list")).status_code == 302
        assert self.sign_in(Client()) == 302, "to the page that says the account is inactive"
        assert Client().get(reverse("photo-list")).status_code == 302


class TestRoles:
    def test_another_administrator_changes_a_role_and_it_is_written_down(
        self, patient: User, administrator: User
    ) -> None:
        change_role(user=patient, role=Role.CLINICIAN, by=administrator)
        patient.refresh_from_db()
        assert patient.is_clinician
        entry = AuditEntry.objects.get(action=AuditEntry.Action.ROLE_CHANGED)
        assert (entry.actor, entry.subject) == (str(administrator.pk), f"user:{patient.pk}")
        assert entry.detail == {"before": "patient", "after": "clinician"}

    def test_the_same_role_again_is_no_change(self, patient: User, administrator: User) -> None:
        change_role(user=patient, role=Role.PATIENT, by=administrator)
        assert not AuditEntry.objects.exists()

    def test_nobody_else_may_and_nobody_their_own(self, patient: User, administrator: User) -> None:
        clinician = User.objects.create_user("c@example.org", "x", role=Role.CLINICIAN)
        for by in (patient, clinician):
            with pytest.raises(NotAllowed):
                change_role(user=patient, role=Role.ADMINISTRATOR, by=by)
        with pytest.raises(NotAllowed):
            change_role(user=administrator, role=Role.PATIENT, by=administrator)
        administrator.is_active = False
        with pytest.raises(NotAllowed):
            change_role(user=patient, role=Role.CLINICIAN, by=administrator)
        assert not AuditEntry.objects.exists()

    def test_through_the_admin_too(self, patient: User, administrator: User) -> None:
        browser = Client()
        browser.force_login(administrator)
        address = reverse("admin:accounts_user_change", args=[patient.pk])
        form = {"email": patient.email, "name": "P", "role": "clinician", "is_active": "on"}
        assert browser.post(address, form).status_code == 302
        patient.refresh_from_db()
        assert patient.is_clinician
        assert AuditEntry.objects.filter(action="role-changed", actor=str(administrator.pk)).count() == 1
        own = reverse("admin:accounts_user_change", args=[administrator.pk])
        browser.post(own, {"email": administrator.email, "name": "", "role": "patient"})
        administrator.refresh_from_db()
        assert administrator.is_administrator and administrator.is_active


class TestAudit:
    def test_is_written_once(self, patient: User) -> None:
        entry = audit.record(actor=None, action=AuditEntry.Action.PHOTO_DELETED, subject="photo:1")
        assert entry.actor == ""
        for change in (
            lambda: AuditEntry.objects.update(subject="photo:2"),
            lambda: AuditEntry.objects.all().delete(),
            entry.delete,
        ):
            with pytest.raises(DatabaseError), transaction.atomic():
                change()
        assert AuditEntry.objects.get().subject == "photo:1"

    def test_survives_the_account(self, patient: User) -> None:
        key = str(patient.pk)
        audit.record(actor=patient, action=AuditEntry.Action.PHOTO_DELETED, subject="photo:1")
        patient.delete()
        assert AuditEntry.objects.get().actor == key


class TestDemoAccounts:
    def test_one_a_role_and_twice_is_once(self, db: None) -> None:
        create_demo_accounts()
        create_demo_accounts()
        assert {(u.email, u.role) for u in User.objects.all()} == {(e, r) for e, (r, _n) in DEMO_ACCOUNTS.items()}
        browser = Client()
        form = {"login": "patient@demo.local", "password": DEMO_PASSWORD}
        assert browser.post(reverse("account_login"), form).status_code == 302
        assert browser.get(reverse("photo-list")).status_code == 200

    def test_never_where_they_are_not_wanted(self, db: None, settings: Any) -> None:
        settings.DEMO_ACCOUNTS = False
        with pytest.raises(CommandError, match="known password"):
            call_command("create_demo_accounts")
        del settings.DEMO_ACCOUNTS
        with pytest.raises(CommandError, match="known password"):
            call_command("create_demo_accounts")
        assert not User.objects.exists()
