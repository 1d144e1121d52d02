"""The training worker's room for data sets: files in, sealed data sets out. Loads pandas; no web page imports it."""
