"""Names for data and tokenizers that change when they do: parts of cache keys.

Knows token trees and tokenizers. Knows nothing of caches, models or files. `Rendering.fingerprint`
names rendering options.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def fingerprint_examples(examples: Sequence[Example]) -> str:
    """Digest the token ids of all examples and how they are divided into trees.

    Order counts. Labels, rewards and `index` do not: they do not change what a model says of the
    tokens, so relabelled data finds its reference scores again.
    """
    digest = hashlib.sha256(b"accordant examples 1")
    for example in examples:
        # Lengths come before ids, so no two divisions of the same ids look alike.
        numbers = array("q", [len(example.trees)])
        for tree in example.trees:
            numbers.extend((len(tree.prompt), len(tree.continuations)))
            numbers.extend(map(len, tree.continuations))
            numbers.extend(tree.prompt)
            for continuation in tree.continuations:
                numbers.extend(continuation)
        digest.update(numbers.tobytes())
    return digest.hexdigest()


def fingerprint_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """Digest what decides a tokenizer's output: rules, vocabulary, special tokens, template.

    The same whether it was loaded from a folder, a GGUF file or a hub id, and whatever padding and
    truncation earlier calls left behind.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        rules = json.loads(backend.to_str())
        rules.pop("padding", None)
        rules.pop("truncation", None)
    else:
        rules = [type(tokenizer).__name__, sorted(tokenizer.get_vocab().items())]
    added = {str(i): str(token) for i, token in tokenizer.added_tokens_decoder.items()}
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    parts = [rules, added, special, tokenizer.chat_template]
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
