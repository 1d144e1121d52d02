"""Own the way from a picture to eight probabilities: preprocessing, network, sealed bundle, runtime, heatmap.

No Django, no settings, no models. `runtime` with the ONNX backend imports neither TensorFlow nor Keras;
`network` and `export` do (inside their functions) and belong to training, sealing and GPU workers.
"""
