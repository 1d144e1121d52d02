"""Training of a classifier: the dense head on cached features, then fine-tuning of the whole network, in Keras 3.

- `run`: a whole training, from examples and a recipe to a sealed bundle; start reading there;
- `features`: features of the frozen backbone; `head`: fits the dense head on them;
- `fine_tuning`: trains the whole network, with `batches`, `augment`, `randaugment`, `balance`, `averaging` and `norms`;
- `training_state`, `checkpoints`: history of a run and its files on disk; `device`: GPUs, precision;
- `calibration`: temperature, thresholds, prediction sets; `seal`: measures and seals; `reseal`: seals once more.

Data come in as NumPy (no tf.data, no tf.image), so the TensorFlow and JAX backends run the same code. After every epoch
there is a progress report, a chance to cancel, and a checkpoint.
"""

from recognition.fit.fine_tuning import fine_tune
from recognition.fit.head import fit_head
from recognition.fit.training_state import History, TrainingError

__all__ = ["History", "TrainingError", "fine_tune", "fit_head"]
