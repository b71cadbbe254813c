"""The trainer on transformers.Trainer, run configuration, plans and checkpoints."""
