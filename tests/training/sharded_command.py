"""The command line where accelerate shards on processors after all: torchrun starts it in tests."""

from __future__ import annotations

from typing import Any

from accordant.cli.main import main
from accordant.training import arguments
from tests.training.worker import allow_sharding_on_cpu


def join_then_allow(*given: Any, **named: Any) -> Any:
    """What the run calls first: it joins the processes, behind which sharding can be allowed."""
    args = original(*given, **named)
    allow_sharding_on_cpu()
    return args


if __name__ == "__main__":
    original = arguments.training_arguments
    arguments.training_arguments = join_then_allow
    main()
