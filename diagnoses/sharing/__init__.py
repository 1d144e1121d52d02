"""Sharing: links by which somebody without an account reads one result.

Open `services.py` for creating, revoking and opening a link, `views.py` for the page of the owner and the page of the
visitor, `api.py` for programs. `models.py` has the table; it stores only a hash of the token.

May import `photos` and `results`, and the shared `api`.
"""
