"""`Profile`: the patient's answers to questions a clinician asks once. All optional, in the terms of ISIC metadata."""

from django.conf import settings
from django.core.validators import MaxLengthValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

YEAR_MIN = 1900
"""The earliest year of birth that is accepted."""


class Sex(models.TextChoices):
    """As the ISIC metadata have it."""

    FEMALE = "female", _("female")
    MALE = "male", _("male")


class SkinType(models.IntegerChoices):
    """The skin's reaction to sun (Fitzpatrick 1988, "The validity and practicality of sun-reactive skin types")."""

    I = 1, _("I: always burns, never tans")  # noqa: E741
    II = 2, _("II: usually burns, tans a little")
    III = 3, _("III: sometimes burns, tans gradually")
    IV = 4, _("IV: rarely burns, tans well")
    V = 5, _("V: very rarely burns, brown skin")
    VI = 6, _("VI: never burns, dark brown or black skin")


class Profile(models.Model):
    """The profile of one user. Every field may be empty. None in a yes-or-no field means not answered."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile")
    year_of_birth = models.PositiveSmallIntegerField(
        _("year of birth"), null=True, blank=True, validators=[MinValueValidator(YEAR_MIN)]
    )
    sex = models.CharField(_("sex"), max_length=10, choices=Sex.choices, blank=True)
    fitzpatrick_skin_type = models.PositiveSmallIntegerField(
        _("skin type"), choices=SkinType.choices, null=True, blank=True
    )
    personal_hx_mm = models.BooleanField(_("had a melanoma"), null=True, blank=True)
    personal_hx_skin_cancer = models.BooleanField(_("had another skin cancer"), null=True, blank=True)
    family_hx_mm = models.BooleanField(_("parent, sibling or child had a melanoma"), null=True, blank=True)
    immunosuppressed = models.BooleanField(_("takes medicine that weakens the immune system"), null=True, blank=True)
    note = models.TextField(
        _("anything else a doctor should know"), blank=True, max_length=1000, validators=[MaxLengthValidator(1000)]
    )
    changed = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("profile")
        verbose_name_plural = _("profiles")
        constraints = [
            models.CheckConstraint(condition=Q(sex__in=["", *Sex.values]), name="profile_sex_known"),
            models.CheckConstraint(
                condition=Q(fitzpatrick_skin_type__isnull=True) | Q(fitzpatrick_skin_type__in=SkinType.values),
                name="profile_skin_type_known",
            ),
        ]

    def __str__(self) -> str:
        return f"profile of {self.user_id}"
