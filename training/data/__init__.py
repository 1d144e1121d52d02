"""Data sets: files in, sealed data sets out. Loads pandas; only workers and commands import it."""
