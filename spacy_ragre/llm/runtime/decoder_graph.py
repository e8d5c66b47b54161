"""A decoder as a compiled graph, in which keys and values that rows share are inputs and the rows' own are outputs."""

from typing import TYPE_CHECKING, Any, Optional, Tuple

from ..attention.prefix_attention import KeysValues, PrefixCache, shared_pass
from .openvino import Graph

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers.modeling_utils import PreTrainedModel


class DecoderGraph:
    """Computes what a decoder computes in a pass of `shared_attention`.

    decoder (transformers.PreTrainedModel): the decoder, with its adapter merged, in float32 and on the CPU.
    engine (str): see `engines`.
    """

    def __init__(self, decoder: "PreTrainedModel", engine: str) -> None:
        module = _module(decoder)
        config = decoder.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._nothing = (config.num_hidden_layers, 1, heads, 1, width)
        self._graph = Graph(module, self._example(rows=4, length=6, documents=2, shared=5), engine)

    def _example(self, rows: int, length: int, documents: int, shared: int) -> Tuple["Tensor", ...]:
        import torch

        layers, _, heads, _, width = self._nothing
        # The example may be of any values; it must not be of sizes that a trace takes to be fixed, such as 1.
        ids = torch.arange(rows * length).reshape(rows, length) % 7
        own = torch.ones(rows, length, length, dtype=torch.bool).tril()
        keys = torch.zeros(layers, documents, heads, shared, width)
        return ids, ids, own, keys, keys.clone(), torch.zeros(documents, shared, dtype=torch.bool)

    def __call__(
        self, ids: "Tensor", positions: "Tensor", context: Optional[PrefixCache], own: Optional["Tensor"] = None
    ) -> Tuple["Tensor", KeysValues]:
        """ids (torch.Tensor): own tokens of the rows, *Shape* (rows, length).
        positions (torch.Tensor): *Shape* (rows, length).
        context (Optional[PrefixCache]): what the rows see first.
        own (Optional[torch.Tensor]): bool, whether an own token sees another, *Shape* (rows, length, length); causal
            where None.
        RETURNS (Tuple[torch.Tensor, Dict[int, Tuple[torch.Tensor, torch.Tensor]]]): hidden states, *Shape* (rows,
            length, width), and the rows' own keys and values by layer, *Shape* (rows, key heads, length, head width).
        """
        import torch

        rows, length = ids.shape
        if own is None:
            own = torch.ones(length, length, dtype=torch.bool).tril().expand(rows, -1, -1)
        if context is None:
            # One token that no row sees.
            keys = values = torch.zeros(self._nothing)
            hidden = torch.ones(1, 1, dtype=torch.bool)
        else:
            keys, values = (torch.stack([pair[i] for _, pair in sorted(context.layers.items())]) for i in (0, 1))
            nothing_hidden = torch.zeros(keys.shape[1], keys.shape[3], dtype=torch.bool)
            hidden = nothing_hidden if context.padded is None else context.padded
        states, keys, values = self._graph(
            ids.contiguous(), positions.contiguous(), own.contiguous(), keys, values, hidden
        )
        return states, {layer: (keys[layer], values[layer]) for layer in range(len(keys))}


def _module(decoder: "PreTrainedModel") -> "torch.nn.Module":
    import torch

    class Pass(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = decoder

        def forward(
            self, ids: "Tensor", positions: "Tensor", own: "Tensor", keys: "Tensor", values: "Tensor", padded: "Tensor"
        ) -> Any:
            count = decoder.config.num_hidden_layers
            context = PrefixCache({i: (keys[i], values[i]) for i in range(count)}, lengths=padded, padded=padded)
            with shared_pass(decoder, context, own, keep=True) as layers:
                out = decoder(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
            return (out, *(torch.stack([layers[i][side] for i in range(count)]) for side in (0, 1)))

    return Pass().eval()
