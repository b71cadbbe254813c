"""What `--resume` finds in an output folder, said before weights are loaded; the note of an end.

Knows the output folder of a training run. Knows no verb: whoever trains into a folder uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.models.sources import RUN_MODEL
from accordant.training.checkpoints import ENDED, list_checkpoints, mark_ended, steps_ended

if TYPE_CHECKING:
    from accordant.objectives.registry import Objective
    from accordant.tokens.examples import Example
    from accordant.training.settings import TrainingSettings


@dataclass(frozen=True, slots=True)
class Resumption:
    """A training and the folder it is to go on in.

    Args:
        settings: of the training.
        identity: what a run that goes on must share with the one before, JSON values by name.
    """

    settings: TrainingSettings
    identity: Mapping[str, Any]

    def find_end(self, say: Callable[[str], None]) -> int | None:
        """Say where `--resume` goes on; return the steps of a run that has ended, else None.

        Raises:
            UserError: what is there ended with other settings, or could not be gone on from.
        """
        folder = self.settings.output_dir
        if self.settings.overwrite or not self.settings.resume:
            return None
        has_model = (folder / RUN_MODEL).is_dir()
        # A note without the model it speaks of, which somebody took away, is no end.
        steps = steps_ended(folder, self.identity) if has_model else None
        if steps is not None:
            say(
                f"The run in {folder} has ended after {steps:,} steps; nothing is replaced. "
                "--overwrite starts over."
            )
            return steps
        kept = list_checkpoints(folder)
        if not kept and has_model:
            raise UserError(
                "there is a trained model, and no checkpoint to go on from.",
                where=str(folder),
                mend="Start over with --overwrite, or choose another folder.",
            )
        say(f"going on from {kept[-1].name}" if kept else "no checkpoint yet: starting at step 1")
        return None

    def begin(self) -> None:
        """Take back the note of an end: the run begins anew."""
        (self.settings.output_dir / ENDED).unlink(missing_ok=True)

    def end(self, steps: int) -> None:
        """Note that the run has ended; called when all it writes is there."""
        mark_ended(self.settings.output_dir, steps, self.identity)


def make_resumption(
    settings: TrainingSettings,
    objective: Objective,
    options: Mapping[str, Any],
    examples: Sequence[Example],
) -> Resumption:
    """Make what `--resume` compares of a training on examples as they are planned."""
    from accordant.training.run import resume_settings
    from accordant.training.sources import DataSet

    source = DataSet(examples, settings.batch_size, settings.seed)
    return Resumption(settings, resume_settings(settings, objective, options, source))
