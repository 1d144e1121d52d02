"""`make run`: everything a newcomer needs, in one terminal.

`python -m devtools.launcher` checks the port, starts the local servers that are not configured, brings the database and
the static files up to date, and runs the site, the workers and the scheduler until Ctrl-C.
"""
