"""What a classifier achieved on a sealed test split: measured, drawn, exported.

measure     the figures, from labels and calibrated probabilities alone (NumPy)
evaluating  a bundle and a data set in, figures and charts out; only workers and commands import it
figures     reading what was stored, whenever it was
exports     the same as CSV and JSON, for a download
"""
