"""Photos: from an upload to a stored prediction.

Open `services.py` for what people do (submit, view, retry, delete), `queue.py` for messages to the worker, `worker.py`
for the inference worker, `predictions.py` for its claims and results, `recovery.py` for the periodic sweep. `models/`
has the tables, `files.py`, `storage.py` and `media.py` handle the files, `histories.py` the reported history and
`known_images.py` the recognition of data-set images.

May import `classifiers` and `similar`, and the shared `fields`, `labels` and `api`.
"""
