"""Evaluation of a classifier: its outputs on a split, metrics, intervals by lesion, agreement, the model card.

- `answers`: logits and features of a network for the pictures of a split, cached on disk;
- `metrics`: functions of labels and probabilities (sensitivity, AUC, calibration error, ...);
- `bootstrap`: 95 % intervals of metrics, and differences of two classifiers, by redrawing lesions; `intervals`: what
  it shares with `agreement`;
- `measure`: the figures of a split as JSON values, of all pictures and of its advice; `subgroups`: the main ones by
  sex, age, site, skin tone and source;
- `agreement`: agreement of two readers (shares, Cohen's kappa), also by lesion;
- `model_card`: the model card of a bundle as Markdown.
"""
