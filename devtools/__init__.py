"""What `make run` and the tests need on a machine without PostgreSQL and Redis. Not part of a deployed site.

launcher/         `make run`: prepares the database and static files, then runs site, workers and scheduler until Ctrl-C
local_services/   starts the PostgreSQL and Redis that pip installed, for `make run`, `manage.py` and the tests
parent_death.py   ends a child process when its parent is killed

Look in launcher/programs.py for the programs that make up Teri; docker-compose.yml runs the same ones. Nothing here
imports the other packages: the settings read DATABASE_URL and REDIS_URL, which this package sets before they load. Only
launcher/preparation.py sets up Django, in a process of its own.
"""
