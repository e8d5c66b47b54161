"""Weights of a language model that are split among the processes of a training: FSDP2 (`fully_shard` of torch).

Each process keeps a part of every decoder layer, and a layer is put together while it is computed:

    process 1   layer 1: rows 1-2   layer 2: rows 1-2  |  embeddings, last norm, adapter, heads: whole
    process 2   layer 1: rows 3-4   layer 2: rows 3-4  |  the same

So all processes have to go through the same layers equally often, forward and backward.
"""

from typing import TYPE_CHECKING, Any, List

from ..errors import Errors
from ..training.parallel import processes

if TYPE_CHECKING:
    import torch
    from torch.nn import Module
    from transformers.modeling_utils import PreTrainedModel

# The first with `ignored_params`.
_TORCH = (2, 7)


def decoder_of(model: "PreTrainedModel") -> Any:
    """RETURNS (transformers.PreTrainedModel): the part of a language model that gives hidden states and no logits."""
    # GPT-2 and GPT-NeoX name their decoder by the older attribute only.
    whole: Any = model
    return whole.get_decoder() if hasattr(whole, "get_decoder") else whole.base_model


def split_weights(model: "PreTrainedModel", device: "torch.device") -> None:
    """Split the weights of a model's layers among the processes. They are frozen from then on.

    model (transformers.PreTrainedModel): the model, on the CPU. Its weights are moved one layer at a time, so that no
        device holds all of them.
    device (torch.device): where this process computes.
    """
    import torch

    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < _TORCH:
        raise ValueError(Errors.R117.format(version=torch.__version__))
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    decoder = decoder_of(model)
    layers = _layers(decoder)
    model.requires_grad_(False)
    inner = {id(module) for layer in layers for module in layer.modules()}
    for module in model.modules():
        if id(module) not in inner:
            _move(module, device)
    split = {id(parameter) for layer in layers for parameter in layer.parameters()}
    whole = {parameter for parameter in decoder.parameters() if id(parameter) not in split}
    mesh = init_device_mesh(device.type, (processes(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    # It holds nothing itself, and lets the next layer come while one is computed.
    fully_shard(decoder, mesh=mesh, reshard_after_forward=True, ignored_params=whole)


def _layers(decoder: "Module") -> List["Module"]:
    from torch.nn import ModuleList

    config: Any = decoder.config
    count = config.num_hidden_layers
    for child in decoder.children():
        if isinstance(child, ModuleList) and len(child) == count:
            return list(child)
    raise ValueError(Errors.R118.format(kind=type(decoder).__name__))


def _move(module: "Module", device: "torch.device") -> None:
    """Move what a module holds itself, and not its parts."""
    for parameter in module.parameters(recurse=False):
        parameter.data = parameter.data.to(device)
    for name, buffer in module.named_buffers(recurse=False):
        setattr(module, name, buffer.to(device))
