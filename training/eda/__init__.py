"""What a data set holds and what in it misleads: figures computed with pandas, a sentence and a table for each.

`explore(table)` computes, `training.eda.drawing` draws. Both run in a command or in the training worker, never in the
web process, which reads what they stored.
"""
