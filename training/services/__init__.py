"""What administrators and workers do with data sets, jobs and classifiers: one module for each kind of thing.

Pages, commands and workers call these functions, which check the role and write the rows. Nothing here loads pandas or
TensorFlow, because the web process imports it.
"""
