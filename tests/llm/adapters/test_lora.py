"""What a model without quantisation needs to get an adapter."""

import subprocess
import sys
from pathlib import Path

ADAPT = """
import sys
from spacy_ragre.llm import CausalLM

plain = CausalLM(sys.argv[1], device="cpu", lora={"rank": 2})
plain.init_adapter()
assert len(plain.adapter_parameters()) == 28 and "bitsandbytes" not in sys.modules, "imported before it is asked for"
low = CausalLM(sys.argv[1], device="cpu", lora={"rank": 2}, quantization=sys.argv[2])
low.init_adapter()
kinds = {type(module).__name__ for module in low.model.modules()}
assert "bitsandbytes" in sys.modules and {"Linear4bit", "Linear8bitLt"} & kinds, kinds
low.states(__import__("spacy_ragre.llm.attention.packing", fromlist=["x"]).unshared([low.tokenize(("", (), ["a"]))]))
"""


def test_bitsandbytes_is_imported_by_quantised_models_only(tiny_llama: Path) -> None:
    for kind in ("nf4", "int8"):
        command = [sys.executable, "-c", ADAPT, str(tiny_llama), kind]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
