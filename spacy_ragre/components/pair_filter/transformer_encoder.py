"""Encoders for scoring pairs of entities by spacy-transformers: one that the pipeline shares, or one of its own.

The text is read as it is, without markers, and the first piece of a mention's first token stands for it. Gradients flow
into the states and not into the attentions, which spacy-transformers gives as plain arrays.
"""

from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model, chain

from ...errors import Errors
from ...registry import registry
from .context_pooling import SPECIALS, Encoded
from .encoders import PairInput, pad_starts

if TYPE_CHECKING:
    from torch import Tensor


@registry.architectures("ragre.TransformerEncoder.v1")
def create_transformer_encoder(
    name: Optional[str] = None, upstream: str = "*", window: int = 128, stride: int = 96, grad_factor: float = 1.0
) -> "TransformerEncoder":
    """Registered maker of `TransformerEncoder`.

    name (Optional[str]): a folder or hub id for a model of its own. None for the pipeline's `transformer`, which then
        needs `transformer_config = {"output_attentions": true, "attn_implementation": "eager"}`.
    upstream (str): name of the pipeline's transformer; "*" for any.
    window (int): spaCy tokens that its own model reads at once.
    stride (int): tokens from the start of one window to the next.
    grad_factor (float): multiplies the gradients that go into the encoder; 0 keeps it as it is.
    """
    try:
        from spacy_transformers import TransformerModel
        from spacy_transformers.layers import TransformerListener, split_trf_batch
        from spacy_transformers.span_getters import configure_strided_spans
    except ImportError as error:
        raise ImportError(Errors.R153) from error
    if name is None:
        return TransformerEncoder(TransformerListener(upstream_name=upstream), grad_factor)
    # With fused kernels there are no attentions.
    config = {"output_attentions": True, "attn_implementation": "eager", "trust_remote_code": False}
    # No words of a document become control tokens.
    tokenizer = {"use_fast": True, "split_special_tokens": True, "trust_remote_code": False}
    model = TransformerModel(name, configure_strided_spans(window, stride), tokenizer, config)
    return TransformerEncoder(chain(model, split_trf_batch()), grad_factor)


class TransformerEncoder:
    """Reads documents by a layer of spacy-transformers.

    layer (Model[List[Doc], List[TransformerData]]): the layer.
    grad_factor (float): multiplies the gradients that go into it.
    """

    def __init__(self, layer: Model[List[Doc], List[Any]], grad_factor: float = 1.0) -> None:
        self.layer = layer
        self.grad_factor = grad_factor

    @property
    def width(self) -> int:
        """RETURNS (int): width of a state, known once the layer is initialised."""
        return next(int(node.get_dim("nO")) for node in self.layer.walk() if node.has_dim("nO"))

    def read(self, inputs: Sequence[PairInput], datas: Sequence[Any], training: bool) -> "Tuple[Encoded, List[Tensor]]":
        """inputs (Sequence[PairInput]): the documents, each with at least one entity.
        datas (Sequence[TransformerData]): what the layer gave for them.
        training (bool): make the states leaves that gather gradients.
        RETURNS (Tuple[Encoded, List[torch.Tensor]]): states and attentions, and the leaves, each *Shape*
            (windows, pieces, width).
        """
        import torch
        from torch.nn.functional import pad

        length = SPECIALS + max(len(item.doc) for item in inputs)
        views = [_View(item, data, length) for item, data in zip(inputs, datas)]
        for view in views:
            view.hidden.requires_grad_(training)
        longest = max(view.places.shape[1] for view in views)
        rows = [view.attention[view.index(view.window), :, view.index(view.row)] for view in views]
        columns = [view.index(view.places)[view.index(view.window)] for view in views]
        encoded = Encoded(
            hidden=torch.stack([view.pool() for view in views]),
            rows=torch.cat([pad(part, (0, longest - part.shape[2])) for part in rows]),
            columns=torch.cat([pad(part, (0, longest - part.shape[1]), value=length) for part in columns]),
            row_doc=np.repeat(np.arange(len(views)), [len(view.window) for view in views]),
            row_entity=np.concatenate([view.entity for view in views]),
            row_weight=np.concatenate([view.weight for view in views]),
            row_start=np.concatenate([view.first[view.window] for view in views]),
            row_end=np.concatenate([view.last[view.window] for view in views]),
            starts=pad_starts(
                [[[start + SPECIALS for start, _ in cluster] for cluster in item.clusters] for item in inputs]
            ).to(views[0].hidden.device),
        )
        return encoded, [view.hidden for view in views]


class _View:
    """One document's output of the layer, with its tokens as positions.

    item (PairInput): the document.
    data (TransformerData): the output.
    length (int): the number of positions; also stands for what is no position.
    """

    def __init__(self, item: PairInput, data: Any, length: int) -> None:
        from thinc.api import xp2torch

        attentions = data.model_output.get("attentions")
        if not attentions:
            raise ValueError(Errors.R152)
        self.length = length
        self.hidden = xp2torch(data.model_output["last_hidden_state"]).float().detach().clone()
        self.attention = xp2torch(attentions[-1]).float()
        windows, pieces = self.hidden.shape[:2]
        align = np.asarray(_to_numpy(data.align.dataXd)).ravel().astype("int64")
        tokens = np.repeat(np.arange(len(item.doc)), _to_numpy(data.align.lengths))
        real = np.asarray(_to_numpy(data.wordpieces.attention_mask)).reshape(windows, pieces) > 0
        self.places = _places(align, tokens, real, length)
        text = (self.places >= SPECIALS) & (self.places < length)
        self.first = np.where(text, self.places, length).min(axis=1)
        self.last = np.where(text, self.places, -1).max(axis=1) + 1
        # The first piece of each token in each window: of several, the one that is assigned last.
        pieces_of = np.full((windows, len(item.doc)), -1)
        order = np.argsort(-align, kind="stable")
        pieces_of[align[order] // pieces, tokens[order]] = align[order] % pieces
        starts = np.array([start for cluster in item.clusters for start, _ in cluster])
        sizes = np.array([len(cluster) for cluster in item.clusters])
        found = pieces_of[:, starts]
        self.window, mention = np.nonzero(found >= 0)
        self.row = found[self.window, mention]
        self.entity = np.repeat(np.arange(len(sizes)), sizes)[mention]
        self.weight = 1 / np.maximum((found >= 0).sum(axis=0), 1)[mention] / sizes[self.entity]

    def index(self, values: np.ndarray) -> "Tensor":
        """RETURNS (torch.Tensor): the values, int64, where the states are."""
        import torch

        return torch.as_tensor(values, dtype=torch.long, device=self.hidden.device)

    def pool(self) -> "Tensor":
        """RETURNS (torch.Tensor): mean state at each position, *Shape* (positions, width)."""
        places = self.index(self.places).flatten()
        total = self.hidden.new_zeros((self.length + 1, self.hidden.shape[2]))
        counts = self.hidden.new_zeros(self.length + 1).index_add(0, places, self.hidden.new_ones(len(places)))
        total = total.index_add(0, places, self.hidden.flatten(0, 1))
        return (total / counts.clamp(min=1).unsqueeze(1))[: self.length]


def _places(align: np.ndarray, tokens: np.ndarray, real: np.ndarray, length: int) -> np.ndarray:
    """The position of each piece, *Shape* (windows, pieces). What stands before and after a window's text are its
    special pieces; other pieces without a token, such as those of spaces, have no position.
    """
    flat = np.full(real.size, length)
    flat[align] = tokens + SPECIALS
    places = flat.reshape(real.shape)
    aligned = places < length
    before = np.cumsum(aligned, axis=1) == 0
    after = np.cumsum(aligned[:, ::-1], axis=1)[:, ::-1] == 0
    places[before & real] = 0
    places[after & ~before & real] = 1
    return places


def _to_numpy(values: Any) -> Any:
    return values.get() if hasattr(values, "get") else values
