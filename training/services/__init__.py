"""Every write of this app, each in a module of its own; admin, commands and workers call these and nothing else."""
