"""The PyTorch engine: the same fine-tuning as `fit.fine_tune`, for CPUs that compute in bfloat16.

Optional: PyTorch is not in the requirements (`make pytorch`, and a C++ compiler). Only
`manage.py train_default_classifier --engine pytorch` uses it. Only the training steps are computed here. See `tuning`
for the differences and docs/training.md for the speed.
"""

from recognition.fit.pytorch.depthwise import require_compiled
from recognition.fit.pytorch.tuning import fine_tune

__all__ = ["fine_tune", "require_compiled"]
