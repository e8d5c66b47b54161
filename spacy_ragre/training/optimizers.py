"""What a Thinc optimizer knows of each parameter, as plain data. It knows them by numbers that another process gives to
other parameters: here they have places, which are the same wherever the same pipeline is built.
"""

from typing import Any, Dict, Iterator, Mapping, Tuple, Union

from spacy.pipeline.trainable_pipe import TrainablePipe
from thinc.api import Model, Optimizer, Shim, get_current_ops
from thinc.backends import get_array_ops

from .torch_shim import TorchShim, as_array

_ARRAYS = ("mom1", "mom2", "averages")
_COUNTS = ("nr_update", "last_seen")

Owner = Union["Model[Any, Any]", Shim]
# Models and shims are numbered apart: only those of models say which parameters they have.
Key = Tuple[int, str]


def optimizer_state(optimizer: Optimizer, pipes: Mapping[str, TrainablePipe]) -> Dict[str, Dict[str, Any]]:
    """Schedules are left out: they follow from the number of steps.

    optimizer (Optimizer): the optimizer.
    pipes (Mapping[str, TrainablePipe]): the components that it trains, by name.
    RETURNS (Dict[str, Dict[str, Any]]): averages, moments and counts of steps, each by the parameter's place.
    """
    state: Dict[str, Dict[str, Any]] = {}
    models = {owner.id: (place, owner) for place, owner in _owners(pipes) if isinstance(owner, Model)}
    shims = {owner.id: place for place, owner in _owners(pipes) if isinstance(owner, Shim)}

    def place_of(key: Key) -> str:
        number, name = key
        place, model = models.get(number, ("", None))
        return f"{place if model is not None and name in model.param_names else shims[number]} {name}"

    for kind in _ARRAYS:
        known = getattr(optimizer, kind) or {}
        ops: Any = get_current_ops()
        state[kind] = {place_of(key): ops.to_numpy(value) for key, value in known.items()}
    for kind in _COUNTS:
        state[kind] = {place_of(key): int(value) for key, value in getattr(optimizer, kind).items()}
    return state


def restore_optimizer(
    optimizer: Optimizer, state: Mapping[str, Mapping[str, Any]], pipes: Mapping[str, TrainablePipe]
) -> None:
    """Put back what `optimizer_state` gave.

    optimizer (Optimizer): an optimizer of the same settings.
    state (Mapping[str, Mapping[str, Any]]): what is known of each parameter.
    pipes (Mapping[str, TrainablePipe]): the components, by name, with their weights.
    """
    owners = dict(_owners(pipes))
    for kind in (*_ARRAYS, *_COUNTS):
        known = getattr(optimizer, kind)
        if known is None:  # no averages are kept
            continue
        for text, value in state[kind].items():
            place, _, name = text.partition(" ")
            owner = owners[place]
            known[owner.id, name] = _near_parameter(owner, name, value) if kind in _ARRAYS else value


def _owners(pipes: Mapping[str, TrainablePipe]) -> Iterator[Tuple[str, Owner]]:
    """YIELDS (Tuple[str, Owner]): every model and shim of components, and its place."""
    for name, pipe in pipes.items():
        for number, model in enumerate(pipe.model.walk()):
            yield f"{name}/{number}", model
            for shim_number, shim in enumerate(model.shims):
                yield f"{name}/{number}/{shim_number}", shim


def _near_parameter(owner: Owner, name: str, value: Any) -> Any:
    """RETURNS (Any): an array as an optimizer has it beside a parameter: on a GPU where that is."""
    if isinstance(owner, Model):
        ops = owner.ops
    elif isinstance(owner, TorchShim):
        import torch

        array = as_array(torch.atleast_1d(owner.parameters()[name].detach()))
        ops = get_array_ops(array)  # type: ignore[no-untyped-call]
    else:
        ops = get_current_ops()
    return ops.asarray(value.copy())
