"""Own the settings by which rare and hard diagnoses get their say."""

import math
from dataclasses import dataclass

from training.recipes.errors import require


@dataclass(frozen=True, slots=True)
class ClassBalance:
    """How rare and hard diagnoses get their say. All may be combined; all zero leaves data and loss as they are.

    - `sampling_power`: with p, a diagnosis with n pictures is drawn in proportion to n^(1-p), [0, 1];
    - `weight_power`: with p, the loss of a diagnosis with n pictures is weighted in proportion to n^-p, [0, 1];
    - `logit_adjustment`: with t, t * log(share of the diagnosis among what is drawn) is added to its logit in training
      only (Menon et al. 2021, "Long-tail learning via logit adjustment"), >= 0; 1 aims at balanced accuracy;
    - `focal_gamma`: with g, the loss of a picture is multiplied by (1 - p)^g, p being the probability its diagnosis
      already gets, so that what is learned counts less (Lin et al. 2017, "Focal loss", who use 2), >= 0.
    """

    sampling_power: float = 0.0
    weight_power: float = 0.0
    logit_adjustment: float = 0.0
    focal_gamma: float = 0.0

    def __post_init__(self) -> None:
        require(0.0 <= self.sampling_power <= 1.0, "sampling_power lies in [0, 1].")
        require(0.0 <= self.weight_power <= 1.0, "weight_power lies in [0, 1].")
        require(0.0 <= self.logit_adjustment < math.inf, "logit_adjustment is not negative.")
        require(0.0 <= self.focal_gamma < math.inf, "focal_gamma is not negative.")
