"""The few collective operations training needs; each is the identity in a run of one process."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from accordant.base.processes import process_count

Item = TypeVar("Item")


def sum_over_processes(values: Tensor) -> Tensor:
    """Sum every process's `values`, on the device they are on."""
    if process_count() == 1:
        return values
    summed = values.to(_device(), copy=True)
    distributed.all_reduce(summed)
    return summed.to(values.device)


def gather_objects(item: Item) -> list[Item]:
    """Gather every process's item, by process number; tensors inside must be small."""
    if process_count() == 1:
        return [item]
    items: list[Item] = [item] * process_count()
    distributed.all_gather_object(items, item)
    return items


def _device() -> torch.device:
    """Return where this run's collectives work: NCCL moves nothing that is not on a GPU."""
    if "nccl" in str(distributed.get_backend()):
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def leave_processes() -> None:
    """Leave the process group; call it once, when a run ends.

    A process that exits while others still talk to it can make all of them hang or crash.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def is_sharded(model: nn.Module) -> bool:
    """Tell whether no process holds the whole weights (FSDP2)."""
    from torch.distributed.tensor import DTensor

    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def reshard(model: nn.Module) -> None:
    """Give back the whole weights that a pass without gradients leaves in every process."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def gather_weights(model: nn.Module) -> dict[str, Tensor] | None:
    """Return all weights of a model in full where they are sharded, else None.

    Every process must call it: each holds a share of what the others are to see.
    """
    from torch.distributed.tensor import DTensor

    from accordant.models.adapters import base_model_of

    if not is_sharded(model):
        return None
    return {
        name: (weight.full_tensor() if isinstance(weight, DTensor) else weight).detach().cpu()
        for name, weight in base_model_of(model).state_dict().items()
    }
