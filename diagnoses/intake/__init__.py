"""What comes in from strangers: the policy, the cage, the clean picture, and nothing of Django.

`accept_photo(upload.read())` gives the clean picture of a stranger's file, or raises PhotoRejected
with a sentence for the person; `read_image` decodes the operator's own files in this process.
"""

from diagnoses.intake.cage import AcceptedPhoto, accept_photo
from diagnoses.intake.decode import read_image
from diagnoses.intake.names import shown_name
from diagnoses.intake.policy import REASONS, IntakeLimits, PhotoRejected
from diagnoses.intake.recognition import SAME_PICTURE_DISTANCE, content_hash, hash_distance

__all__ = [
    "REASONS",
    "SAME_PICTURE_DISTANCE",
    "AcceptedPhoto",
    "IntakeLimits",
    "PhotoRejected",
    "accept_photo",
    "content_hash",
    "hash_distance",
    "read_image",
    "shown_name",
]
