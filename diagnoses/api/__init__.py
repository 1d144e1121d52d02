"""The shared parts of the REST API under `/api/v1/`. It calls the same services as the pages.

Permissions are denied by default, every error is problem+json, and OpenAPI is at `/api/v1/docs/`. See docs/api.md.

Open `urls.py` for all addresses, `base.py` for the base view and throttles, `problems.py` for errors, `paging.py` for
lists, `schema.py` for OpenAPI, `authentication.py` and `tokens.py` for signing in, `notifications.py` for
notifications. The endpoints of a feature are in its own folder (`diagnoses/<feature>/api.py`).

Imports no feature. Only `urls.py` imports the features' API modules.
"""
