"""Who writes: the model client, the registry of models, the local model. Knows nothing of mail."""
