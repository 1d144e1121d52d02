"""Own fitting: the dense head on cached features, and fine-tuning the whole network, in Keras 3 on any backend.

Data come in as NumPy (no tf.data, no tf.image), so the TensorFlow and JAX backends run the same code. Both phases
read top to bottom in one function; every epoch is a progress report, a cancel check and a checkpoint.
"""

from recognition.fit.fine_tuning import MetadataTraining, fine_tune
from recognition.fit.head import fit_head
from recognition.fit.training_state import History, TrainingError

__all__ = ["History", "MetadataTraining", "TrainingError", "fine_tune", "fit_head"]
