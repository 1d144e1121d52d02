"""Own `User` (the e-mail is the login), its role, and the append-only `AuditEntry`."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a person may see and do. Sign-up makes patients; an administrator gives the other two."""

    PATIENT = "patient", _("Patient")
    CLINICIAN = "clinician", _("Clinician")
    ADMINISTRATOR = "administrator", _("Administrator")


class UserManager(BaseUserManager["User"]):
    """Makes users and finds them by e-mail whatever its case."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make and save a user; without a password the account cannot be signed in to until it is reset.

        Raises ValueError when the e-mail is empty, IntegrityError when it is taken.
        """
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """What `manage.py createsuperuser` calls: an administrator."""
        return self.create_user(email, password, **{**fields, "role": Role.ADMINISTRATOR})

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username or "")


class User(AbstractBaseUser):
    """A person with an account. What they may do follows from `role` alone; there are no other permissions."""

    email = models.EmailField(_("e-mail address"), max_length=254)
    name = models.CharField(_("name"), max_length=150, blank=True)
    role = models.CharField(_("role"), max_length=20, choices=Role.choices, default=Role.PATIENT)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Switch off instead of deleting: the person can no longer sign in.")
    )
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)
    # When the person agreed that confirmed photos of theirs may teach the next classifier; None: not, or no longer.
    training_consent = models.DateTimeField(_("agreed to training"), null=True, blank=True, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique",
                violation_error_message=_("There is already an account with this e-mail address."),
            ),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_patient(self) -> bool:
        return self.role == Role.PATIENT

    @property
    def is_clinician(self) -> bool:
        return self.role == Role.CLINICIAN

    @property
    def is_administrator(self) -> bool:
        return self.role == Role.ADMINISTRATOR

    @property
    def sees_all_patients(self) -> bool:
        """Clinicians and administrators read every patient's photos; each look is audited."""
        return self.is_active and self.role in {Role.CLINICIAN, Role.ADMINISTRATOR}

    # What django.contrib.admin asks of a user.

    @property
    def is_staff(self) -> bool:
        return self.is_administrator

    @property
    def is_superuser(self) -> bool:
        return self.is_administrator

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and self.is_administrator

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        return self.is_active and self.is_administrator

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_administrator


class AuditEntry(models.Model):
    """One thing somebody did that must stay known. The database refuses to change or delete a row (trigger)."""

    class Action(models.TextChoices):
        PHOTO_VIEWED = "photo-viewed", _("Photo viewed")
        PHOTO_DELETED = "photo-deleted", _("Photo deleted")
        FINDING_RECORDED = "finding-recorded", _("Finding recorded")
        CLASSIFIER_PROMOTED = "classifier-promoted", _("Classifier promoted")
        CLASSIFIER_REGISTERED = "classifier-registered", _("Classifier registered")
        ROLE_CHANGED = "role-changed", _("Role changed")
        ACCOUNT_CREATED = "account-created", _("Account created")
        ACCOUNT_SWITCHED = "account-switched", _("Account switched on or off")
        EMAIL_CHANGED = "email-changed", _("E-mail address changed")

    # The actor's primary key as text and no foreign key: the entry outlives the account, and erasing a person
    # leaves a number that leads nowhere.
    actor = models.CharField(_("actor"), max_length=40, blank=True, help_text=_("User id; empty for the system."))
    action = models.CharField(_("action"), max_length=40, choices=Action.choices)
    subject = models.CharField(_("subject"), max_length=100, help_text=_("Kind and id, such as photo:…"))
    detail = models.JSONField(_("detail"), default=dict, blank=True)
    created = models.DateTimeField(_("when"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        ordering = ["-created", "-pk"]
        indexes = [
            models.Index(fields=["-created", "-id"], name="audit_newest"),
            models.Index(fields=["subject", "-created"], name="audit_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.created:%Y-%m-%d %H:%M} {self.action} {self.subject}"
