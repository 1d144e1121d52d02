"""Pages about the reader themself."""
