"""Own the refusal of a setting: the error, and how a check says it."""


class RecipeError(ValueError):
    """A recipe, or a change to one, makes no sense; the message says which field and why."""


def require(condition: bool, message: str) -> None:
    """Raise RecipeError with the message unless the condition holds; the message begins with the field's name."""
    if not condition:
        raise RecipeError(message)
