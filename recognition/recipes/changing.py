"""Changing fields of a recipe by name, from text of a command line or a form."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from recognition.recipes.phases import RecipeError
from recognition.recipes.recipe import Recipe


def changed(recipe: Recipe, changes: Mapping[str, str]) -> Recipe:
    """The recipe with fields replaced, addressed by dotted names: {"fine_tune.epochs": "3"}.

    Values are text and are read as the type of the field. All are set at once, so that fields that depend on each other
    (head_units and head_dropouts) can change together. Raises RecipeError for an unknown field, a value of another
    type, or one that the recipe refuses.
    """
    tree: dict[str, Any] = {}
    for dotted, text in changes.items():
        *groups, last = dotted.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
            if not isinstance(branch, dict):
                raise RecipeError(f"There is no field {dotted!r}.")
        if isinstance(branch.get(last), dict):
            raise RecipeError(f"{last!r} is a group of fields; name one of them.")
        branch[last] = text
    result: Recipe = _changed(recipe, tree, "")
    return result


def _changed(part: Any, tree: Mapping[str, Any], prefix: str) -> Any:
    names = {each.name for each in dataclasses.fields(part)} - {"name", "expected"}
    values = {}
    for name, change in tree.items():
        dotted = f"{prefix}{name}"
        if name not in names:
            raise RecipeError(f"There is no field {dotted!r}; here one of {', '.join(sorted(names))} is meant.")
        current = getattr(part, name)
        if dataclasses.is_dataclass(current):
            if not isinstance(change, dict):
                raise RecipeError(f"{dotted!r} is a group of fields; name one of them.")
            values[name] = _changed(current, change, f"{dotted}.")
        elif isinstance(change, dict) or current is None:
            raise RecipeError(f"There is no field {dotted!r} to change.")
        else:
            values[name] = _parsed(current, change, dotted)
    try:
        return dataclasses.replace(part, **values)
    except RecipeError as error:
        # An inner level has already added the name of the field.
        raise error if error.args and ": " in str(error) else RecipeError(f"{_place(prefix, tree)}: {error}") from error
    except ValueError as error:
        raise RecipeError(f"{_place(prefix, tree)}: {error}") from error


def _place(prefix: str, tree: Mapping[str, Any]) -> str:
    return f"{prefix}{next(iter(tree))}" if len(tree) == 1 else prefix.rstrip(".") or "recipe"


def _parsed(current: Any, text: str, dotted: str) -> Any:
    try:
        if isinstance(current, bool):
            return {"true": True, "false": False}[text.strip().lower()]
        if isinstance(current, tuple):
            kind = float if dotted.endswith("dropouts") else int
            return tuple(kind(each) for each in text.split(",") if each.strip())
        return type(current)(text.strip())
    except (KeyError, ValueError) as error:
        raise RecipeError(f"{dotted} cannot be {text!r}.") from error
