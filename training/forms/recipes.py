"""The form in which an administrator changes a recipe. Fields and help texts come from the recipe's dataclasses.

Only the recipe checks values: the form passes the text to `recognition.recipes.changed` and shows its error beside the
field.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from recognition.inference.network import BACKBONES
from recognition.inference.preprocessing import FITS
from recognition.recipes import BATCH_NORMS, DEVICES, PRECISIONS, Recipe, RecipeError, changed

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "precision": PRECISIONS,
    "devices": DEVICES,
    "fit": FITS,
    "architecture.backbone": BACKBONES,
    "fine_tune.batch_norm": BATCH_NORMS,
    "frozen.best_by": ("balanced_accuracy", "loss"),
    "frozen.optimizer": ("adamw", "adam"),
}
NOT_CHANGED: Final = frozenset({"name", "expected", "continues"})
"""Fields without an input: texts, and `continues`."""

TITLES: Final = {
    "": _("The run"),
    "architecture": _("Network"),
    "frozen": _("First phase: the head on frozen features"),
    "frozen.balance": _("First phase: balance of the diagnoses"),
    "fine_tune": _("Second phase: the network unfrozen"),
    "fine_tune.balance": _("Second phase: balance of the diagnoses"),
    "fine_tune.augmentation": _("Second phase: what happens to a training picture"),
}

_BULLET: Final = re.compile(r"^- (?P<names>`\w+`(?:, `\w+`)*): (?P<text>.*?)(?=^- |^$|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Group:
    """Fields of one dataclass, in order, for a fieldset."""

    key: str
    title: Any
    names: tuple[str, ...]


def leaves(part: Any, prefix: str = "") -> Iterator[tuple[str, Any, type[Any]]]:
    """Every plain field of a recipe as (dotted name, value, dataclass it belongs to), without groups that are None."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        dotted = f"{prefix}{field.name}"
        if dotted in NOT_CHANGED or value is None:
            continue
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{dotted}.")
        else:
            yield dotted, value, type(part)


def help_texts(kind: type[Any]) -> dict[str, str]:
    """The help text of each field, from bullets of the dataclass's docstring such as "- `a`, `b`: words;"."""
    found: dict[str, str] = {}
    lines = "\n".join(line.strip() for line in (kind.__doc__ or "").splitlines())
    for bullet in _BULLET.finditer(lines):
        words = " ".join(bullet["text"].split()).rstrip(";.").replace("`", "")
        for name in re.findall(r"`(\w+)`", bullet["names"]):
            found[name] = f"{words[:1].upper()}{words[1:]}."
    return found


class RecipeForm(forms.Form):
    """Every field of one recipe. After `is_valid`, `recipe` is the changed recipe."""

    def __init__(self, recipe: Recipe, data: Any = None) -> None:
        super().__init__(data)
        self.base = recipe
        self.recipe = recipe
        helped: dict[type[Any], dict[str, str]] = {}
        for dotted, value, kind in leaves(recipe):
            texts = helped.setdefault(kind, help_texts(kind))
            self.fields[dotted] = _field(dotted, value, texts.get(dotted.rpartition(".")[2], ""))
            self.initial[dotted] = _text(value) if isinstance(value, tuple) else value

    @property
    def groups(self) -> list[tuple[Group, list[forms.BoundField]]]:
        """The fieldsets in order, with their bound fields."""
        found: dict[str, list[str]] = {}
        for dotted in self.fields:
            found.setdefault(dotted.rpartition(".")[0], []).append(dotted)
        return [
            (Group(key, TITLES.get(key, key), tuple(names)), [self[name] for name in names])
            for key, names in found.items()
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        changes = {
            dotted: _text(cleaned[dotted])
            for dotted, value, _kind in leaves(self.base)
            if dotted in cleaned and _text(cleaned[dotted]) != _text(value)
        }
        try:
            self.recipe = changed(self.base, changes)
        except RecipeError as error:
            self.add_error(self._field_of(str(error)), str(error))
        return cleaned

    def _field_of(self, message: str) -> str | None:
        """The field that an error message starts with, by its full name or the last part of it; None without one."""
        place, _colon, said = message.partition(": ")
        if place in self.fields:
            return place
        words = (said or message).split(" ", 1)[0]
        inside = [name for name in self.fields if name.startswith(place) and name.rpartition(".")[2] == words]
        return inside[0] if inside else None


def _field(dotted: str, value: Any, help_text: str) -> forms.Field:
    label = dotted.rpartition(".")[2].replace("_", " ")
    common: dict[str, Any] = {"label": label, "help_text": help_text}
    if dotted in CHOICES:
        return forms.ChoiceField(choices=[(word, word) for word in CHOICES[dotted]], **common)
    if isinstance(value, bool):
        return forms.BooleanField(required=False, **common)
    if isinstance(value, int):
        return forms.IntegerField(**common)
    if isinstance(value, float):
        return forms.FloatField(widget=forms.TextInput(attrs={"inputmode": "decimal"}), **common)
    return forms.CharField(required=False, max_length=200, **common)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(str(each) for each in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(" ", "") if isinstance(value, str) else str(value)
