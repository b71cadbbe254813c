"""A memory of facts: a small network from places, such as a relation and an entity, to words.

Knows token ids and how trees are scored. Knows nothing of what the facts mean. It learns a thousand
facts in seconds; what it never read of has an embedding near zero, so what it does not know can be
told from what it knows, also among places it was not trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from accordant.scoring.scores import Scores
from accordant.tokens.trees import TokenTree

BEGIN = 0
"""The word before the first one."""


class Memory(nn.Module):
    """A network from a prompt and the word before to the next word; scores trees by itself.

    Args:
        seed: of its weights.
        sizes: values that each token of a prompt can have; prompts have as many tokens.
        words: words of answers, `BEGIN` among them.
        width: of an embedding.
    """

    def __init__(self, seed: int, sizes: Sequence[int], words: int, width: int = 64) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.places = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
            for table in self.places:
                # Small beside what reading writes: what was never read of looks like nothing.
                nn.init.normal_(table.weight, std=0.03)  # type: ignore[arg-type]
            self.words = nn.Embedding(words, width)
            self.layers = nn.Sequential(
                nn.Linear((len(sizes) + 1) * width, 4 * width),
                nn.GELU(),
                nn.Linear(4 * width, 2 * width),
                nn.GELU(),
                nn.Linear(2 * width, words),
            )

    def logps(self, prompts: Tensor, before: Tensor) -> Tensor:
        """Return log-probabilities `[n, words]` after prompts `[n, tokens]` and a word `[n]`."""
        read = [table(prompts[:, place]) for place, table in enumerate(self.places)]
        states: Tensor = self.layers(torch.cat([*read, self.words(before)], 1))
        return states.log_softmax(1)

    def lay_out(self, trees: Sequence[TokenTree]) -> Callable[[], Scores]:
        """Return a function that scores `trees` as the weights then stand."""
        rows = [
            (n, tree.prompt, answer)
            for n, tree in enumerate(trees)
            for answer in tree.continuations
        ]
        lengths = torch.tensor([len(answer) for _, _, answer in rows])
        owner = torch.arange(len(rows)).repeat_interleave(lengths)
        prompts = torch.tensor([prompt for _, prompt, _ in rows])[owner]
        before = torch.tensor([w for _, _, answer in rows for w in (BEGIN, *answer[:-1])])
        targets = torch.tensor([w for _, _, answer in rows for w in answer])
        tree = torch.tensor([n for n, _, _ in rows])
        return lambda: Scores(
            self.logps(prompts, before).gather(1, targets[:, None])[:, 0], owner, lengths, tree
        )
