"""The model of `pair_candidate_filter`: an encoder and localized context pooling, as a Thinc model."""

import json
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from thinc.api import Model

from ...errors import Errors
from ...registry import registry
from ...training.locks import use_own_threads
from ...training.tensors import plain_tensors, read_tensors
from ...training.torch_shim import TorchShim
from .context_pooling import ContextPooling, Encoded, distance_buckets
from .encoders import HuggingFaceEncoder, PairInput
from .transformer_encoder import TransformerEncoder

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PairEncoder = Union[HuggingFaceEncoder, TransformerEncoder]
Inputs = Sequence[PairInput]
Logits = List[np.ndarray]
# The documents, and what a layer of spacy-transformers gave for them.
Batch = Tuple[Inputs, Optional[Sequence[Any]]]


@registry.architectures("ragre.PairFilter.v1")
def PairFilter(
    encoder: Any,
    hidden: int = 384,
    block: int = 64,
    use_types: bool = True,
    use_distance: bool = True,
    head_rate: float = 5.0,
    memory: int = 256,
) -> Model[Inputs, Logits]:
    """Build the model. Nothing is loaded before `init` of its shim or the first use of a saved state.

    encoder (Union[HuggingFaceEncoder, TransformerEncoder]): what reads the documents.
    hidden (int): width of head and tail vectors, a multiple of `block`.
    block (int): width of a group of the bilinear layer.
    use_types (bool): let a score depend on the entity types.
    use_distance (bool): let it depend on the distance between the nearest mentions.
    head_rate (float): the learning rate of all that is not the encoder, as a multiple of the optimizer's.
    memory (int): MiB that the scores of a block of pairs may take. More pairs are computed block by block.
    RETURNS (Model[Inputs, Logits]): gives logits for each document, head by tail, the score and then the labels,
        *Shape* (entities, entities, 1 + labels); the diagonal means nothing. Its gradient has the same shapes.
    """
    if block < 1 or hidden < block or hidden % block or memory < 1:
        raise ValueError(Errors.R154.format(hidden=hidden, block=block, memory=memory))
    layers = [encoder.layer] if isinstance(encoder, TransformerEncoder) else []
    settings = {
        "hidden": hidden,
        "block": block,
        "use_types": use_types,
        "use_distance": use_distance,
        "head_rate": head_rate,
        "memory": memory,
    }
    return Model("ragre_pair_filter", _forward, layers=layers, shims=[PairFilterShim(encoder, settings)])


def _forward(model: Model[Any, Any], inputs: Inputs, is_train: bool) -> Tuple[Logits, Callable[..., Any]]:
    shim: PairFilterShim = model.shims[0]  # type: ignore[assignment]
    use_own_threads()
    datas: Optional[List[Any]] = None
    backprop_layer: Optional[Callable[..., Any]] = None
    if model.layers:
        # Listeners must see the whole batch: they check that it is the one that the encoder saw.
        datas, backprop_layer = model.layers[0]([item.doc for item in inputs], is_train)
    if not is_train:
        return shim.predict((inputs, datas)), lambda gradient: []
    logits, backprop_shim = shim.begin_update((inputs, datas))

    def backprop(gradient: Logits) -> List[Any]:
        states = backprop_shim(gradient)
        if backprop_layer is not None and datas is not None:
            backprop_layer(_gradients(datas, states))
        return []

    return logits, backprop


def _gradients(datas: Sequence[Any], states: Sequence[Optional["Tensor"]]) -> List[Any]:
    """The states' gradients in the form that spacy-transformers takes; zeros where a document had no pairs."""
    from spacy_transformers.data_classes import TransformerData
    from thinc.api import torch2xp
    from transformers.utils.generic import ModelOutput

    result = []
    for data, gradient in zip(datas, states):
        if "last_hidden_state" not in data.model_output:
            continue  # an empty document
        hidden = data.model_output["last_hidden_state"]
        values = hidden * 0 if gradient is None else torch2xp(gradient)
        output = ModelOutput(last_hidden_state=values)
        result.append(TransformerData(model_output=output, wordpieces=data.wordpieces, align=data.align))
    return result


class PairFilterShim(TorchShim):
    """Holds the torch side: the encoder and the pooling.

    encoder (PairEncoder): the encoder.
    settings (Dict[str, Any]): the settings of `PairFilter`.
    """

    def __init__(self, encoder: PairEncoder, settings: Dict[str, Any]) -> None:
        super().__init__(None)
        self.encoder = encoder
        self.settings = settings
        self.types: List[str] = []
        self._labels: List[str] = []
        self.pooling: Optional[ContextPooling] = None

    @property
    def is_ready(self) -> bool:
        """RETURNS (bool): whether there is something to answer with."""
        return self.pooling is not None or self._saved is not None

    @property
    def labels(self) -> List[str]:
        """RETURNS (List[str]): the labels that are told, in the order of their logits."""
        self.restore()
        return self._labels

    def init(self, types: Sequence[str], width: int, labels: Sequence[str] = ()) -> None:
        """Make a new pooling, ready to be trained.

        types (Sequence[str]): the entity types.
        width (int): width of the encoder's states.
        labels (Sequence[str]): the labels to tell.
        """
        self.take(None)
        self.types = sorted(set(types))
        self._labels = sorted(set(labels))
        self.pooling = self._make_pooling(width)

    def _make_pooling(self, width: int) -> ContextPooling:
        return ContextPooling(
            width,
            self.settings["hidden"],
            self.settings["block"],
            # 0 stands for a type that was not seen in training.
            types=len(self.types) + 1 if self.settings["use_types"] else 0,
            distances=self.settings["use_distance"],
            limit=self.settings["memory"] * (1 << 20) // 32,  # some eight tensors of four bytes are there at once
            labels=len(self._labels),
        )

    # Forward and backward

    def predict(self, fwd_args: Batch) -> Logits:
        import torch

        inputs, datas = fwd_args
        with torch.no_grad():
            logits = self._run(inputs, datas, training=False)[0]
        return [_crop(part, len(item.clusters)).cpu().numpy() for part, item in zip(logits, inputs)]

    def begin_update(self, fwd_args: Batch) -> Tuple[Logits, Callable[..., Any]]:
        import torch

        inputs, datas = fwd_args
        with torch.enable_grad():
            logits, leaves = self._run(inputs, datas, training=True)
            parts = [_crop(part, len(item.clusters)) for part, item in zip(logits, inputs)]

        def backprop(gradient: Logits) -> List[Optional["Tensor"]]:
            # Documents without pairs have no graph.
            pairs = [(p, torch.as_tensor(g, dtype=p.dtype, device=p.device)) for p, g in zip(parts, gradient)]
            pairs = [(p, g) for p, g in pairs if p.requires_grad]
            if pairs:
                torch.autograd.backward([p for p, _ in pairs], [g for _, g in pairs])
            factor = self.encoder.grad_factor if isinstance(self.encoder, TransformerEncoder) else 1.0
            return [None if leaf is None or leaf.grad is None else leaf.grad * factor for leaf in leaves]

        return [part.detach().cpu().numpy() for part in parts], backprop

    def _run(
        self, inputs: Inputs, datas: Optional[Sequence[Any]], training: bool
    ) -> "Tuple[List[Tensor], List[Optional[Tensor]]]":
        """RETURNS (Tuple[List[torch.Tensor], List[Optional[torch.Tensor]]]): logits of each document, and the leaves
        that an encoder outside of this shim gets its gradients from.
        """
        import torch

        self.restore()
        if self.pooling is None:
            raise ValueError(Errors.R521)
        self.pooling.train(training)
        # A single entity has no pairs; its document need not be read.
        rows = [i for i, item in enumerate(inputs) if len(item.clusters) > 1]
        width = 1 + len(self._labels)
        logits: List[Tensor] = [torch.zeros((len(item.clusters), len(item.clusters), width)) for item in inputs]
        leaves: List[Optional[Tensor]] = [None] * len(inputs)
        if not rows:
            return logits, leaves
        chosen = [inputs[i] for i in rows]
        if isinstance(self.encoder, TransformerEncoder):
            encoded, found = self.encoder.read(chosen, [datas[i] for i in rows] if datas else [], training)
            for i, leaf in zip(rows, found):
                leaves[i] = leaf
        else:
            encoded = self.encoder.read(chosen, training)
        for i, part in zip(rows, self._score(chosen, encoded)):
            logits[i] = part
        return logits, leaves

    def _score(self, inputs: Inputs, encoded: Encoded) -> "Tensor":
        import torch

        if self.pooling is None:
            raise ValueError(Errors.R521)
        device = encoded.hidden.device
        self.pooling.to(device)
        most = max(len(item.clusters) for item in inputs)
        index = {name: i for i, name in enumerate(self.types, 1)}
        types = np.zeros((len(inputs), most), dtype="int64")
        distances = np.zeros((len(inputs), most, most), dtype="int64")
        for i, item in enumerate(inputs):
            count = len(item.clusters)
            types[i, :count] = [index.get(name, 0) for name in item.types]
            distances[i, :count, :count] = distance_buckets(item.clusters)
        about = (torch.from_numpy(types).to(device), torch.from_numpy(distances).to(device))
        scores: Tensor = self.pooling(encoded, *about)
        return scores

    def parameters(self) -> "Dict[str, torch.nn.Parameter]":
        """RETURNS (Dict[str, torch.nn.Parameter]): what is trained, by name."""
        self.restore()
        if self.pooling is None:
            return {}
        result = {f"pooling.{name}": value for name, value in self.pooling.named_parameters()}
        if isinstance(self.encoder, HuggingFaceEncoder):
            result.update((f"encoder.{name}", value) for name, value in self.encoder.parameters().items())
        return result

    def rate(self, name: str) -> float:
        return self.settings["head_rate"] if name.startswith("pooling.") else 1.0

    # Serialisation

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): a safetensors file with all that was trained; empty where nothing is there."""
        if self.saved is not None:
            return self.saved
        if self.pooling is None:
            return b""
        from safetensors.torch import save

        tensors = {f"pooling.{name}": t.detach().cpu().contiguous() for name, t in self.pooling.state_dict().items()}
        info = {"types": json.dumps(self.types), "width": str(self.pooling.head_entity.in_features)}
        info["labels"] = json.dumps(self.labels)
        if isinstance(self.encoder, HuggingFaceEncoder):
            state, about = self.encoder.state()
            tensors.update((f"encoder.{name}", tensor) for name, tensor in state.items())
            info.update(about)
        return save(tensors, metadata=info)

    def from_bytes(self, data: bytes) -> "PairFilterShim":
        """Keep a saved state; it is put into the model at first use, since a config must load without weights."""
        self.take(bytes(data))
        self.pooling = None
        if self._saved is not None:
            _read_info(self._saved)
        return self

    @plain_tensors
    def restore(self) -> None:
        """Put a saved state into the model. Raises a ValueError where it is damaged or does not fit."""
        if self._saved is None:
            return
        from safetensors import SafetensorError

        info = _read_info(self._saved)
        try:
            tensors = read_tensors(self._saved)
            self.types, self._labels = json.loads(info["types"]), json.loads(info.get("labels", "[]"))
            pooling = self._make_pooling(int(info["width"]))
            pooling.load_state_dict({n[len("pooling.") :]: t for n, t in tensors.items() if n.startswith("pooling.")})
        except (SafetensorError, KeyError, RuntimeError) as error:
            raise ValueError(Errors.R150.format(problem=f"damaged or of other settings ({error})")) from error
        if isinstance(self.encoder, HuggingFaceEncoder):
            state = {n[len("encoder.") :]: t for n, t in tensors.items() if n.startswith("encoder.")}
            self.encoder.load_state(state, info)
        self.pooling = pooling
        self.taken()


def _crop(logits: "Tensor", count: int) -> "Tensor":
    return logits[:count, :count]


def _read_info(data: bytes) -> Dict[str, str]:
    """Metadata of a safetensors file: 8 bytes with the length of a JSON header, then the header."""
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        end = max((item["data_offsets"][1] for name, item in header.items() if name != "__metadata__"), default=0)
        if len(data) != 8 + length + end:
            raise ValueError("it was cut off")
        return dict(header["__metadata__"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(Errors.R150.format(problem=f"damaged ({error})")) from error
