"""Model fields shared by several tables."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _

from diagnoses.labels import DECISION_NAMES, IMAGE_TYPE_NAMES, SITE_NAMES
from recognition.inference.assessment import Decision
from recognition.taxonomy import IMAGE_TYPES, SEXES, SITES, Diagnosis

# gettext finds these names in the `_()` calls of diagnoses/labels.py.
DIAGNOSIS_CHOICES = [(d.value, _(d.full_name)) for d in Diagnosis]
SITE_CHOICES = [(site, SITE_NAMES[site]) for site in SITES]
SEX_CHOICES = [(sex, _(sex)) for sex in SEXES]
IMAGE_TYPE_CHOICES = [(image_type, IMAGE_TYPE_NAMES[image_type]) for image_type in IMAGE_TYPES]
DECISION_CHOICES = [(decision.value, DECISION_NAMES[decision]) for decision in Decision]


class DiagnosisField(models.CharField[str, str]):
    """One of the eight ISIC 2019 codes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = 4
        kwargs["choices"] = DIAGNOSIS_CHOICES
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"], kwargs["choices"]
        return name, path, args, kwargs


class DecisionField(models.CharField[str, str]):
    """A decision (`recognition.inference.assessment.Decision`), or "" if there is none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = 12
        kwargs["choices"] = DECISION_CHOICES
        kwargs["blank"] = True
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"], kwargs["choices"], kwargs["blank"]
        return name, path, args, kwargs


CONTENT_HASH_BITS = 256


class ContentHashField(models.Field[bytes, bytes]):
    """A 256-bit perceptual hash, 32 bytes in Python. Stored as `bit(256)`: PostgreSQL can count differing bits."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return f"bit({CONTENT_HASH_BITS})"

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else bits_of(value)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> bytes | None:
        return None if value is None else int(value, 2).to_bytes(CONTENT_HASH_BITS // 8, "big")


def bits_of(content_hash: bytes) -> str:
    """The hash as a PostgreSQL bit string: 256 characters 0 or 1. Raises ValueError for another length."""
    if len(content_hash) * 8 != CONTENT_HASH_BITS:
        raise ValueError(f"A content hash has {CONTENT_HASH_BITS // 8} bytes, not {len(content_hash)}.")
    return f"{int.from_bytes(content_hash, 'big'):0{CONTENT_HASH_BITS}b}"
