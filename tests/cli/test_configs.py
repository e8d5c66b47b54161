"""The training configs, together with spaCy's default config, which they share, say what they said."""

import json
from pathlib import Path

import pytest
from spacy.language import DEFAULT_CONFIG
from spacy.util import load_config

ROOT = Path(__file__).parents[2]
# Made when each config had all of it.
EXPECTED = json.loads((ROOT / "tests" / "golden" / "configs.json").read_text(encoding="utf8"))


def test_all_configs_are_there() -> None:
    assert sorted(EXPECTED) == sorted(path.stem for path in (ROOT / "configs").glob("*.cfg"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_values_are_those_of_the_whole_config(name: str) -> None:
    config = DEFAULT_CONFIG.merge(load_config(ROOT / "configs" / f"{name}.cfg")).interpolate()
    # The default of the logger's own argument.
    config["training"]["logger"].setdefault("progress_bar", False)
    assert json.loads(json.dumps(config)) == EXPECTED[name]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_nothing_is_said_that_the_default_says(name: str) -> None:
    own = load_config(ROOT / "configs" / f"{name}.cfg", interpolate=False)["training"]
    shared = {key: value for key, value in DEFAULT_CONFIG["training"].items() if not isinstance(value, dict)}
    # spaCy looks for these two before it fills in what is missing.
    needed = {"seed", "gpu_allocator"}
    assert not {key for key in shared if key in own and own[key] == shared[key]} - needed
