"""A language model with a label head, as a Thinc model.

The head answers a prompt in one step: the hidden state that stands for the prompt times a matrix with a row for each
class. The rows start as the mean embedding of the class's words and are trained with the adapter.
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np
from thinc.api import Model

from ..errors import Errors
from ..registry import registry
from ..training.tensors import plain_tensors, read_tensors
from ..training.torch_shim import TorchShim
from .attention.packing import PackedBatch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Prompts = PackedBatch
Output = Tuple[np.ndarray, np.ndarray]


class Encodes(Protocol):
    """What the model needs of a backbone."""

    has_adapter: bool
    shard: bool
    is_split: bool

    def states(self, inputs: Prompts) -> "Tensor": ...
    def set_training(self, value: bool) -> None: ...
    def keep_step(self, passes: int) -> None: ...
    def word_embeddings(self, texts: Sequence[str]) -> "Tensor": ...
    def init_adapter(self) -> None: ...
    def adapter_parameters(self) -> Dict[str, "torch.nn.Parameter"]: ...
    def adapter_state(self) -> Dict[str, "Tensor"]: ...
    def load_adapter_state(self, state: Mapping[str, "Tensor"]) -> None: ...
    def describe(self) -> Dict[str, Any]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def name(self) -> str: ...


@registry.architectures("ragre.LabelModel.v1")
def LabelModel(backbone: Encodes) -> Model[Prompts, Output]:
    """Build the model. It has no head before `init_head` of its shim is called or a trained state is loaded.

    backbone (Encodes): the language model.
    RETURNS (Model[Prompts, Output]): takes a chunk of prompts, and gives the logits, *Shape* (prompts, classes), and
        the hidden states, *Shape* (prompts, width). Its gradient is that of the logits.
    """
    return Model("ragre_label_model", forward, shims=[LabelShim(backbone)])


def forward(model: Model[Any, Any], prompts: Prompts, is_train: bool) -> Tuple[Output, Callable[..., Any]]:
    """The forward pass of a Thinc model whose shim is a `LabelShim`."""
    shim: LabelShim = model.shims[0]  # type: ignore[assignment]
    if is_train:
        return shim.begin_update(prompts)
    return shim.predict(prompts), _no_backprop


def _no_backprop(gradient: Any) -> Any:
    return []


class LabelShim(TorchShim):
    """Holds the torch side: the backbone's adapter and the head's parameters.

    backbone (Encodes): the language model.
    """

    def __init__(self, backbone: Encodes) -> None:
        super().__init__(None)
        self.backbone = backbone
        self.weight: Optional[torch.nn.Parameter] = None
        self.bias: Optional[torch.nn.Parameter] = None

    @property
    def has_head(self) -> bool:
        """RETURNS (bool): whether there is a head to answer with."""
        return self.weight is not None or self._saved is not None

    def init_head(self, words: Sequence[str]) -> None:
        """Make the head and the adapter, ready to be trained.

        words (Sequence[str]): the words of every class.
        """
        import torch

        self.take(None)
        self.backbone.init_adapter()
        self.weight = torch.nn.Parameter(self.backbone.word_embeddings(words))
        self.bias = torch.nn.Parameter(torch.zeros(len(words)))

    # Forward and backward

    def _logits(self, states: "Tensor") -> "Tensor":
        if self.weight is None or self.bias is None:
            raise ValueError(Errors.R503)
        # The head's few numbers follow the states to their device at each step, so that saving needs no move.
        return states @ self.weight.to(states.device).T + self.bias.to(states.device)

    def evaluate(self) -> None:
        """Put a saved state into the model, and turn dropout off."""
        self.restore()
        self.backbone.set_training(False)

    def predict(self, prompts: Prompts) -> Output:
        import torch

        self.evaluate()
        with torch.no_grad():
            states = self.backbone.states(prompts)
            return self._logits(states).cpu().numpy(), states.cpu().numpy()

    def begin_update(self, prompts: Prompts) -> Tuple[Output, Callable[..., Any]]:
        import torch

        self.restore()
        self.backbone.set_training(True)
        with torch.enable_grad():
            states = self.backbone.states(prompts)
            logits = self._logits(states)

        def backprop(gradient: np.ndarray) -> List[Any]:
            logits.backward(torch.as_tensor(gradient, dtype=logits.dtype, device=logits.device))
            return []

        return (logits.detach().cpu().numpy(), states.detach().cpu().numpy()), backprop

    @property
    def shard(self) -> bool:
        return self.backbone.shard

    def keep_step(self, passes: int) -> None:
        """Say how many passes of training come now; see `Backbone.keep_step`."""
        if self.backbone.is_split:
            self.restore()
            self.backbone.set_training(True)
            self.backbone.keep_step(passes)

    def parameters(self) -> "Dict[str, torch.nn.Parameter]":
        """RETURNS (Dict[str, torch.nn.Parameter]): what is trained, by name."""
        self.restore()
        head = {} if self.weight is None or self.bias is None else {"head.weight": self.weight, "head.bias": self.bias}
        return {**self.backbone.adapter_parameters(), **head}

    # Serialisation

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): a safetensors file with the adapter and the head, the base's name and hash in its
        metadata; empty where nothing was trained.
        """
        if self.saved is not None:
            return self.saved
        if self.weight is None:
            return b""
        from safetensors.torch import save

        return save(self.tensors(), metadata={"base": json.dumps(self.describe())})

    def tensors(self) -> "Dict[str, Tensor]":
        """RETURNS (Dict[str, torch.Tensor]): what is saved, by name, on the CPU."""
        tensors = {f"adapter.{n}": t for n, t in self.backbone.adapter_state().items()}
        head = {"head.weight": self.weight, "head.bias": self.bias}
        tensors.update((n, p.detach().cpu().contiguous()) for n, p in head.items() if p is not None)
        return tensors

    def describe(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): what the saved tensors belong to: the base model's name, hash and LoRA settings."""
        return self.backbone.describe()

    def fingerprint(self) -> str:
        """RETURNS (str): hash of the trained tensors in float32, so that it stays the same when tensors that were
        kept in fewer bits are put into the model; of the base model's name where nothing was trained.
        """
        from safetensors.torch import save

        data = self.to_bytes()
        if self.saved is not None:
            data = save(read_tensors(data))
        # The header is left out: it holds the base's name, which may be another path to the same weights.
        body = data[8 + int.from_bytes(data[:8], "little") :] if data else self.backbone.name.encode("utf8")
        return hashlib.sha256(body).hexdigest()

    def from_bytes(self, data: bytes) -> "LabelShim":
        """Keep a saved state; it is put into the model at first use, since a config must load without weights."""
        self.take(bytes(data))
        self.weight = self.bias = None
        if self._saved is not None:
            read_metadata(self._saved)
        elif self.backbone.has_adapter:
            self.backbone.init_adapter()
        return self

    @plain_tensors
    def restore(self) -> None:
        """Put a saved state into the model. Raises a ValueError where it is damaged or of another base model."""
        if self._saved is None:
            return
        import torch
        from safetensors import SafetensorError

        base = read_metadata(self._saved)
        if base.get("hash") != self.backbone.fingerprint:
            raise ValueError(
                Errors.R107.format(
                    trained=base.get("name"),
                    trained_hash=str(base.get("hash"))[:12],
                    base=self.backbone.name,
                    base_hash=self.backbone.fingerprint[:12],
                )
            )
        try:
            tensors = read_tensors(self._saved)
        except SafetensorError as error:
            raise ValueError(Errors.R108.format(problem=f"damaged ({error})")) from error
        if "head.weight" not in tensors or "head.bias" not in tensors:
            raise ValueError(Errors.R108.format(problem="without a label head"))
        self.load_tensors(tensors, base)
        self.weight = torch.nn.Parameter(tensors["head.weight"])
        self.bias = torch.nn.Parameter(tensors["head.bias"])
        self.taken()

    def load_tensors(self, tensors: "Mapping[str, Tensor]", about: Mapping[str, Any]) -> None:
        """Put saved tensors into the model, those of the head left out.

        tensors (Mapping[str, torch.Tensor]): the tensors by name.
        about (Mapping[str, Any]): what they belong to, from `describe`.
        """
        adapter = {n[len("adapter.") :]: t for n, t in tensors.items() if n.startswith("adapter.")}
        self.backbone.load_adapter_state(adapter)


def read_metadata(data: bytes) -> Dict[str, Any]:
    """The base's description from a safetensors file: 8 bytes with the length of a JSON header, then the header."""
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        return dict(json.loads(header["__metadata__"]["base"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(Errors.R108.format(problem="damaged")) from error
