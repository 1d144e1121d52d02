"""The pages: who may see what comes from the models, what is written goes through services."""
