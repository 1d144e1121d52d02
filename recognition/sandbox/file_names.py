"""A safe version of an upload's file name, for display only.

Stored names are made by the server and contain nothing of it. Templates, headers and CSV files still
escape the name.
"""

from __future__ import annotations

import unicodedata

MAX_SHOWN = 100
UNNAMED = "photo"

_ELLIPSIS = "…"
#: Characters with a meaning in file systems, shells, headers or spreadsheets.
_STRUCTURE = frozenset("/\\:*?\"<>|;`$%{}&'")
#: A spreadsheet reads a cell that begins with one of these as a formula; a shell, a dash as an option.
_NOT_FIRST = "=+-@~. \t"
_NOT_LAST = ". "
#: Control, format (bidi overrides, zero-width, byte order mark), surrogate, private use, unassigned,
#: line and paragraph separators.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def shown_name(filename: str | None) -> str:
    """A readable version of `filename`: one line, no path, no control or bidi characters, 1..MAX_SHOWN long.

    The last path component is kept, in Unicode form NFC, with letters of every script. A name that is too long
    keeps its beginning and its extension. An empty name becomes "photo".
    """
    last = (filename or "").replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    kept = "".join(
        "" if unicodedata.category(character) in _UNSHOWN or character in _STRUCTURE else character
        for character in unicodedata.normalize("NFC", last)
    )
    # Runs of any white space become one space.
    name = " ".join(kept.split()).lstrip(_NOT_FIRST).rstrip(_NOT_LAST)
    if len(name) > MAX_SHOWN:
        stem, dot, extension = name.rpartition(".")
        tail = dot + extension if stem and len(extension) <= 10 else ""
        name = name[: MAX_SHOWN - len(tail) - len(_ELLIPSIS)] + _ELLIPSIS + tail
    return name or UNNAMED
