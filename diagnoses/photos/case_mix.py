"""The case mix that the operator states for this site (setting CASE_MIX), instead of the sealed one."""

import functools
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from recognition.inference.case_mix import CaseMix, read_case_mix


def stated_case_mix() -> CaseMix | None:
    """The case mix of the file that CASE_MIX names; None if it names none: the sealed one holds.

    The file is read once. Raises ValueError for a file that is wrong, see `case_mix_is_readable`.
    """
    return _read(Path(settings.CASE_MIX)) if settings.CASE_MIX else None


_read = functools.lru_cache(maxsize=1)(read_case_mix)


def case_mix_is_readable(**_options: Any) -> list[CheckMessage]:
    """System check: the file of CASE_MIX states eight shares."""
    try:
        stated_case_mix()
    except ValueError as error:
        hint = "CASE_MIX is the path of a JSON file with eight shares that add up to 1, or empty for the sealed mix."
        return [Error(str(error), hint=hint, id="diagnoses.E001")]
    return []
