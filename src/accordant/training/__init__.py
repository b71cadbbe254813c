"""Training: the learner, the trainer on transformers.Trainer, sources of examples, checkpoints.

Knows examples, objectives, models and settings. Knows nothing of files of feedback or reports.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "arguments": ("count_steps", "save_interval", "training_arguments"),
        "checkpoints": (
            "check_run_folder",
            "ENDED",
            "last_checkpoint",
            "list_checkpoints",
            "mark_ended",
            "step_of",
            "steps_ended",
        ),
        "learner": ("Learner", "Loss"),
        "optimizer": ("CompensatedAdamW",),
        "plan": ("Plan", "make_plan", "show_size"),
        "preparations.mechanism": (
            "check_preparations",
            "plan_preparations",
            "prepare_examples",
            "run_preparations",
        ),
        "preparations.workbench": ("Parts", "Workbench"),
        "processes": (
            "gather_weights",
            "is_sharded",
            "leave_processes",
            "reshard",
        ),
        "progress": ("format_seconds", "phase", "says_how_far"),
        "run": ("TrainResult", "resume_settings", "train"),
        "settings": (
            "CheckpointSettings",
            "MachineSettings",
            "OptimiserSettings",
            "TRAINING",
            "TrainingSettings",
        ),
        "sources": ("DataSet", "Source", "epoch_order"),
        "trainer": ("AlignTrainer", "Task"),
    },
)
