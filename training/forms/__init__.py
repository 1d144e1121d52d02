"""Forms of the admin: import files, request a run, change a recipe."""
