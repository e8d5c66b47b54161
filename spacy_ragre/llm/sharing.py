"""Base models whose weights several language models of one process use.

Each language model has modules of its own, with its own adapter, hooks and merged weights; what they share is the
memory of the frozen weights:

    weights of the base ----+---- modules of language model 1 (adapter A, maybe merged into copies of weights)
                            +---- modules of language model 2 (no adapter)

Nothing here keeps weights alive: they go with the last language model that uses them.
"""

import copy
import gc
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Hashable, Optional, Tuple

if TYPE_CHECKING:
    from transformers.modeling_utils import PreTrainedModel

# Models as they were loaded, which nobody computes with.
_loaded: "weakref.WeakValueDictionary[Hashable, PreTrainedModel]" = weakref.WeakValueDictionary()


def file_key(folder: Path) -> Hashable:
    """RETURNS (Hashable): equal as long as the model's files in a folder are the same: path, size and time of the last
    change of its weights and its configuration.
    """
    files = sorted(path for pattern in ("*.safetensors", "*.bin", "config.json") for path in folder.glob(pattern))
    about = [(path, path.stat()) for path in files]
    return tuple((str(path.resolve()), known.st_size, known.st_mtime_ns) for path, known in about)


def shared_model(
    key: Optional[Hashable], load: Callable[[], "PreTrainedModel"]
) -> Tuple["PreTrainedModel", "PreTrainedModel"]:
    """A model with modules of its own, over weights that are in memory once.

    key (Optional[Hashable]): what the weights depend on: files, number type, device. None for a model whose weights
        are not to be shared.
    load (Callable[[], PreTrainedModel]): loads the model.
    RETURNS (Tuple[PreTrainedModel, PreTrainedModel]): the model, and what has to be kept as long as it is used.
    """
    # Pipelines that are no longer used hang in circles of references: a component and its predictor, among others. The
    # collector of rubbish counts objects, and a model of gigabytes is a few thousand of them.
    gc.collect()
    base = None if key is None else _loaded.get(key)
    if base is None:
        base = load()
        base.eval()
        base.requires_grad_(False)
        if key is None:
            return base, base
        _loaded[key] = base
    return _with_own_modules(base), base


def _with_own_modules(base: "PreTrainedModel") -> "PreTrainedModel":
    import torch

    # Tied weights, such as those of the embeddings and of the head, are one parameter here and stay one. Buffers are
    # small, and some are written to.
    own: Dict[int, Any] = {
        id(parameter): torch.nn.Parameter(parameter.data, requires_grad=False) for parameter in base.parameters()
    }
    return copy.deepcopy(base, own)
