"""The REST API under `/api/v1/`: the same services as the pages, spoken in JSON.

Deny by default, problem+json for every error, OpenAPI at `/api/v1/docs/`. What it promises is in docs/api.md.
"""
