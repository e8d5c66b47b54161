"""What computes a forward pass on a CPU: torch, or a graph that OpenVINO compiled of the same model.

A graph is for predictions only, has no gradients and holds the weights as they were when it was compiled.
"""

import sys
import warnings
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING, Any, Callable, Dict, Hashable, Optional, Sequence, Tuple, TypeVar, Union

from ...errors import Errors
from .quiet import quiet

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers.modeling_utils import PreTrainedModel

TORCH = "torch"
INT8 = "openvino-int8"
ENGINES = (TORCH, "openvino", INT8)

# A scale for so many neighbouring inputs of a product. Its size must divide the layers' widths, which are multiples of
# 64 in all models of note.
_GROUP = "64"

_Compiled = TypeVar("_Compiled")


class Compiler:
    """Keeps what was compiled of a model for as long as the weights are the same.

    engine (str): one of `ENGINES`. A ValueError is raised where it is none.
    """

    def __init__(self, engine: str) -> None:
        if engine not in ENGINES:
            raise ValueError(Errors.R112.format(value=engine, known=", ".join(map(repr, ENGINES))))
        self.engine = engine
        self._kept: Optional[Tuple[Hashable, Any]] = None

    def __getstate__(self) -> Dict[str, Any]:
        # Graphs can't be pickled: a copy compiles its own.
        return {"engine": self.engine, "_kept": None}

    def applies(self) -> bool:
        """RETURNS (bool): whether a graph computes what is asked for now: torch does where gradients are enabled."""
        if self.engine == TORCH:
            return False
        import torch

        return not torch.is_grad_enabled()

    def compiled(self, version: Hashable, make: Callable[[], _Compiled]) -> _Compiled:
        """version (Hashable): equal as long as the weights are the same.
        make (Callable): compiles them.
        RETURNS (_Compiled): what it gave, now or before.
        """
        if self._kept is None or self._kept[0] != version:
            self._kept = None
            self._kept = (version, make())
        graph: _Compiled = self._kept[1]
        return graph

    def encoder(self, model: "PreTrainedModel", name: str, attentions: bool = False) -> "Graph":
        """Compile an encoder, which takes the ids of word pieces and the mask, *Shape* (batch, length).

        model (transformers.PreTrainedModel): the encoder.
        name (str): what it is called in the settings, for messages.
        attentions (bool): give the last layer's attentions after the hidden states.
        RETURNS (Graph): the graph of the weights as they are.
        """
        import torch

        class Reader(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, ids: "Tensor", mask: "Tensor") -> Any:
                out = self.model(input_ids=ids, attention_mask=mask, output_attentions=attentions)
                return (out.last_hidden_state, out.attentions[-1]) if attentions else out.last_hidden_state

        def make() -> Graph:
            weight = next(model.parameters())
            check_place(self.engine, name, weight.device, weight.dtype)
            ids = torch.arange(12).reshape(3, 4) % 3
            return Graph(Reader().eval(), (ids, torch.ones_like(ids)), self.engine)

        version = (id(model), *(parameter._version for parameter in model.parameters()))
        return self.compiled(version, make)


def check_place(engine: str, name: str, device: "torch.device", dtype: "Union[torch.dtype, str]") -> None:
    """Raise a ValueError where a model can't be compiled.

    engine (str): the engine.
    name (str): the model's name, for the message.
    device (torch.device): where it computes.
    dtype (Union[torch.dtype, str]): in what.
    """
    kind = str(dtype).split(".")[-1]
    if device.type != "cpu" or kind != "float32":
        raise ValueError(Errors.R114.format(engine=engine, model=name, device=device, dtype=kind))


class Graph:
    """A module that OpenVINO compiled. Sizes are free: the example only shows what the module does.

    module (torch.nn.Module): takes and gives tensors, in float32 and on the CPU.
    example (Sequence[torch.Tensor]): one input for each argument.
    engine (str): "openvino" computes in 32 bits, as torch does. "openvino-int8" holds the weights of all matrix
        products in 8 bits, with a scale for each row, and rounds what they are multiplied with to 8 bits too.
    """

    def __init__(self, module: "torch.nn.Module", example: "Sequence[Tensor]", engine: str) -> None:
        openvino = _load("openvino", engine)
        import torch

        # The graph reads the weights from where they are, so that they must stay.
        self._weights = [parameter.data for parameter in module.parameters()]
        shapes = [openvino.PartialShape([-1] * tensor.dim()) for tensor in example]
        with torch.no_grad(), warnings.catch_warnings():
            # Of branches that are the same for all sizes.
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            model = openvino.convert_model(module, example_input=tuple(example), input=shapes)
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        if engine == INT8:
            model = _in_8_bits(model)
            settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = _GROUP
        self._compiled = openvino.Core().compile_model(model, "CPU", settings)

    def __call__(self, *inputs: "Tensor") -> "Tuple[Tensor, ...]":
        """inputs (torch.Tensor): one for each argument of the module.
        RETURNS (Tuple[torch.Tensor, ...]): what the module gives.
        """
        import torch

        outputs = self._compiled([tensor.numpy() for tensor in inputs])
        return tuple(torch.from_numpy(outputs[i]) for i in range(len(outputs)))


def _in_8_bits(model: Any) -> Any:
    nncf = _load("nncf", INT8)
    # It reports every step, and draws a bar.
    with quiet("nncf"), redirect_stdout(StringIO()):
        return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)


def _load(package: str, engine: str) -> Any:
    """Import a package without letting it report its use to a server, which both would do once this is installed."""
    reporter = "openvino_telemetry"
    known = sys.modules.get(reporter)
    sys.modules[reporter] = None  # type: ignore[assignment]
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(Errors.R113.format(engine=engine, package=package)) from error
    finally:
        del sys.modules[reporter]
        if known is not None:
            sys.modules[reporter] = known
