"""How good a classifier is on a sealed test split.

measure      metrics from labels and calibrated probabilities (NumPy)
evaluating   runs a bundle on a data set and stores figures and charts; only workers and commands import it
drawing      the charts
seed_page    the page about the seed's recipe (docs/seed.md); only a command imports it
figures      reads stored figures, and writes them as CSV and JSON for a download
"""
