"""Forms of the training pages in the admin: one module each."""
