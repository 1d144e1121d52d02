"""Inference: from a picture to eight calibrated probabilities, with gates, advice and heatmap.

- `preprocessing`: picture to network input; `network`: the architectures and their weights by name;
- `quality`, `ood`, `prediction_set`: the three gates; `decision`: advice and score;
- `assessment`: the result of gates and decision; `assessor`: computes it with the limits of a bundle;
- `bundle`: reads and verifies a sealed bundle; `metadata`: age, sex and site added to the logits;
- `runtime`: runs the classifier of a bundle; `heatmap`: Grad-CAM;
- `export`, `sealing`: write a bundle; `degenerate_output`: the alarm of a live classifier.

`runtime` on ONNX Runtime imports neither TensorFlow nor Keras. `network`, `export` and `sealing` import Keras inside
their functions: only training, sealing and GPU workers need it.
"""
