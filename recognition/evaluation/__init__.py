"""Evaluation of a classifier: its outputs on a split, metrics, bootstrap intervals, agreement, the model card.

- `answers`: logits and features of a network for the pictures of a split, cached on disk;
- `metrics`: functions of labels and probabilities (sensitivity, AUC, calibration error, ...);
- `bootstrap`: 95 % intervals of metrics; `measure`: all metrics of a split as JSON values;
- `agreement`: agreement of two readers (shares, Cohen's kappa);
- `model_card`: the model card of a bundle as Markdown.
"""
