"""What a classifier's answers are worth: outputs on a data set, metrics, the bootstrap, the model card."""
