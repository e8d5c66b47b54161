"""What a model without quantisation needs to get an adapter."""

import subprocess
import sys
from pathlib import Path

ADAPT = """
import sys
from spacy_ragre.llm import CausalLM
from spacy_ragre.llm.attention.packing import unshared

plain = CausalLM(sys.argv[1], device="cpu", lora={"rank": 2})
plain.init_adapter()
assert len(plain.adapter_parameters()) == 28 and "bitsandbytes" not in sys.modules, "imported before it is asked for"
for kind, layer in (("nf4", "Linear4bit"), ("int8", "Linear8bitLt")):
    low = CausalLM(sys.argv[1], device="cpu", lora={"rank": 2}, quantization=kind)
    low.init_adapter()
    kinds = {type(module).__name__ for module in low.model.modules()}
    assert "bitsandbytes" in sys.modules and layer in kinds, kinds
    low.states(unshared([low.tokenize(("", (), ["a"]))]))
"""


def test_bitsandbytes_is_imported_by_quantised_models_only(tiny_llama: Path) -> None:
    command = [sys.executable, "-c", ADAPT, str(tiny_llama)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
