"""Classifiers: registered bundles and which one is live.

Open `services.py` to see how a bundle is registered and promoted, and where its files are on the storage. `models.py`
has the table. The model registry for administrators, with its promotion gates, is in `training`.

Imports no other feature, only `recognition` and `accounts`.
"""
