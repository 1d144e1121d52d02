"""Own fine-tuning once more, in PyTorch: the same function as `fit.fine_tune`, for CPUs that compute in bfloat16.

Optional: PyTorch is not among the requirements (`make pytorch`, and a C++ compiler), and only
`manage.py train_default_classifier --engine pytorch` comes here. What is trained, on what, and how it is kept and
sealed is the pipeline's; only the steps are computed here, see `tuning` for what differs and docs/training.md for how
fast.
"""

from recognition.fit.pytorch.depthwise import require_compiled
from recognition.fit.pytorch.tuning import fine_tune

__all__ = ["fine_tune", "require_compiled"]
