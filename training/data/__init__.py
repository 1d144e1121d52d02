"""Data sets: source files in, sealed data sets out. It loads pandas, so only workers and commands import it.

An import goes through importing, inspection (each picture), archive (the zip) and sealing (split, duplicates, figures);
versions adds photos of patients; reading gives a sealed data set back to the pipeline.
"""
