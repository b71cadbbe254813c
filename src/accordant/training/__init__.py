"""Training: the learner, the trainer on transformers.Trainer, sources of examples, checkpoints.

Knows examples, objectives, models and settings. Knows nothing of files of feedback or reports.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "arguments": ("count_steps", "training_arguments"),
        "checkpoints": ("last_checkpoint", "list_checkpoints"),
        "learner": ("Learner", "Loss"),
        "optimizer": ("CompensatedAdamW",),
        "plan": ("Plan", "make_plan"),
        "run": ("TrainResult", "train"),
        "settings": ("TrainingSettings",),
        "sources": ("DataSet", "Source"),
        "trainer": ("AlignTrainer", "Task"),
    },
)
