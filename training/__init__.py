"""The application of administrators: from ISIC files to a promoted classifier.

models/       the tables: data sets, runs, evaluations, and the jobs that make them
services/     what a page or a command may do: request, cancel, record, promote
worker/       the training worker: carries out one job, from its message to its end
data/         an import: files in, a sealed data set out
evaluation/   how good a classifier is on a test split
eda/          exploratory data analysis: the sections of a data set's page
charts/       drawing with matplotlib
forms/, admin/, management/   what people use: forms, pages of the admin, commands
tasks.py      the Celery tasks; notices.py the notices of the admin's first page

It builds on `diagnoses` and on the library `recognition`, which has the training loop and most metrics. Here are the
database, the pages and the jobs around them.
"""
