"""Exploratory data analysis: what a data set holds and what in it misleads. Each section has figures, text and a table.

`explore(table)` computes the sections with pandas, `training.eda.drawing` draws their charts. Both run in a command or
in the training worker; the web process reads what they stored.
"""
