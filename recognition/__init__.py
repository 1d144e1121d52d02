"""Pictures in, probabilities out: a library without Django, on which the applications stand."""
