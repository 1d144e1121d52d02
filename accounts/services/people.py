"""Writes to users: demo accounts, roles, addresses, switching off."""

from django.db import transaction

from accounts import audit
from accounts.models import AuditEntry, Purpose, Role, User
from accounts.permissions import NotAllowed
from accounts.services.consent import give_consent, needs_consent

DEMO_PASSWORD = "teri-demo"  # noqa: S105 - printed on purpose, local settings only
DEMO_ACCOUNTS = {
    "patient@demo.local": (Role.PATIENT, "Demo patient"),
    "clinician@demo.local": (Role.CLINICIAN, "Demo clinician"),
    "admin@demo.local": (Role.ADMINISTRATOR, "Demo administrator"),
}


@transaction.atomic
def create_demo_accounts() -> list[User]:
    """Make the three demo accounts where they are missing, with verified addresses; existing ones stay as they are.

    The patient has agreed to the text about diagnosis, so that a photo can be tried at once.
    """
    from allauth.account.models import EmailAddress

    users = []
    for email, (role, name) in DEMO_ACCOUNTS.items():
        user = User.objects.filter(email__iexact=email).first()
        if user is None:
            user = User.objects.create_user(email, DEMO_PASSWORD, role=role, name=name)
            EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        # Whoever withdrew it while trying that out stays asked.
        if needs_consent(user) and not user.consents.exists():
            give_consent(user=user, purpose=Purpose.DIAGNOSIS, by=user)
        users.append(user)
    return users


@transaction.atomic
def register_account(*, user: User, by: User) -> User:
    """Save a new account made by an administrator, with whatever role it starts. Raises NotAllowed."""
    _require_administrator(by)
    user.save(force_insert=True)
    audit.record(actor=by, action=AuditEntry.Action.ACCOUNT_CREATED, subject=f"user:{user.pk}", role=str(user.role))
    return user


@transaction.atomic
def change_role(*, user: User, role: Role, by: User) -> User:
    """Give `user` another role. Only administrators may; nobody changes their own, so one always remains."""
    _require_administrator(by, other_than=user)
    locked = User.objects.select_for_update().get(pk=user.pk)
    before = locked.role
    if before != role:
        locked.role = role
        locked.save(update_fields=["role"])
        audit.record(
            actor=by, action=AuditEntry.Action.ROLE_CHANGED, subject=f"user:{user.pk}", before=before, after=str(role)
        )
    return locked


@transaction.atomic
def switch_account(*, user: User, active: bool, by: User) -> User:
    """Switch an account off, or on again. Only administrators may, and nobody their own."""
    _require_administrator(by, other_than=user)
    locked = User.objects.select_for_update().get(pk=user.pk)
    if locked.is_active != active:
        locked.is_active = active
        locked.save(update_fields=["is_active"])
        audit.record(actor=by, action=AuditEntry.Action.ACCOUNT_SWITCHED, subject=f"user:{user.pk}", active=active)
    return locked


@transaction.atomic
def change_email(*, user: User, email: str, by: User) -> User:
    """Give an account another address. The old one opens nothing any more, neither by password nor by a reset link.

    The new one counts as unverified: at the next sign-in a link goes there. Raises NotAllowed for anybody but
    administrators, IntegrityError where another account has the address.
    """
    from allauth.account.models import EmailAddress

    _require_administrator(by)
    locked = User.objects.select_for_update().get(pk=user.pk)
    email = email.lower()
    if locked.email != email:
        locked.email = email
        locked.save(update_fields=["email"])
        EmailAddress.objects.filter(user=locked).delete()
        EmailAddress.objects.create(user=locked, email=email, primary=True, verified=False)
        # The log outlives the person, so it holds no address.
        audit.record(actor=by, action=AuditEntry.Action.EMAIL_CHANGED, subject=f"user:{user.pk}")
    return locked


def _require_administrator(by: User, *, other_than: User | None = None) -> None:
    """Inside a transaction: `by` is an administrator, and stays one until it ends. Raises NotAllowed.

    The rows of all administrators are locked in one order, so that of two who demote each other at the same moment
    the second waits, and then is none any more.
    """
    rows = User.objects.select_for_update().filter(role=Role.ADMINISTRATOR, is_active=True).order_by("pk")
    administrators = set(rows.values_list("pk", flat=True))
    if not (by.is_active and by.is_administrator) or by.pk not in administrators:
        raise NotAllowed("Only an administrator may change accounts.")
    if other_than is not None and other_than.pk == by.pk:
        raise NotAllowed("Nobody changes their own role or switches themselves off.")
