"""Best of n: a sampler whose samples are the best of several by a reward.

Knows samplers and rewards. Knows no model and no text: whoever has asked knows how a sample reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from accordant.rewards.reward import Answer, Reward, score_single
from accordant.sampling.sampler import Sampler
from accordant.sampling.samples import Prompt, Sample, SamplingOptions, grouped


@dataclass(frozen=True, slots=True, eq=False)
class BestOf:
    """Draw `count` samples for each one that is asked for, and keep the best.

    The divergence of such samples from the sampler is at most log n - (n - 1)/n nats, see
    `statistics.best_of`.

    Args:
        sampler: who draws.
        reward: of a single attribute; of equal rewards the first drawn wins.
        count: how many to choose among, at least 1.
        read: a sample to a prompt (token ids) as the reward reads it, see `read_answer`.
    """

    sampler: Sampler
    reward: Reward
    count: int
    read: Callable[[Prompt, Sample], Answer]

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"the best of {self.count} answers is none")

    def sample(self, prompts: Sequence[Prompt], options: SamplingOptions) -> list[list[Sample]]:
        """Continue every prompt; all candidates are scored in one batch.

        Raises:
            UserError: the sampler or the reward failed.
        """
        more = replace(options, samples_per_prompt=options.samples_per_prompt * self.count)
        drawn = self.sampler.sample(prompts, more)
        answers = [
            self.read(prompt, sample)
            for prompt, samples in zip(prompts, drawn, strict=True)
            for sample in samples
        ]
        scores = score_single(self.reward, answers).reshape(-1, self.count)
        candidates = grouped([sample for samples in drawn for sample in samples], self.count)
        # argmax takes the first of equal ones, whatever their order in memory.
        best = [group[at] for group, at in zip(candidates, scores.argmax(1), strict=True)]
        return grouped(best, options.samples_per_prompt)
