"""What `make run` and the tests need on a machine without PostgreSQL and Redis."""
