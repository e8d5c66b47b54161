"""Encoders are pooled, and texts begin, as the model's own files say."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Sequence

import numpy as np
import pytest

from spacy_ragre.instances import Instance
from spacy_ragre.retrieval import TextEncoder

TEXTS = ["ann founded acme", "the great firm was sued by ann and bob", "acme"]
MODES = {"cls": "cls", "max": "max", "mean": "mean", "mean_sqrt_len_tokens": "mean", "lasttoken": "last"}
OLD = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "lasttoken": "pooling_mode_lasttoken"}
Make = Callable[..., str]


@pytest.fixture
def make(bert: str, tmp_path: Path) -> Make:
    """`make(pooling, modules, prompts)`: the tiny BERT with files as sentence-transformers writes them."""

    def build(
        pooling: Dict[str, Any], modules: Sequence[str] = ("Normalize",), prompts: Optional[Dict[str, Any]] = None
    ) -> str:
        folder = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(bert, folder)
        kinds = ["Transformer", "Pooling", *modules]
        paths = ["", *(f"{i}_{kind}" for i, kind in enumerate(kinds) if i)]
        rows = [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(zip(paths, kinds))
        ]
        (folder / "modules.json").write_text(json.dumps(rows), encoding="utf8")
        (folder / "1_Pooling").mkdir()
        content = {"word_embedding_dimension": 32, **pooling}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(content), encoding="utf8")
        if prompts is not None:
            (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf8")
        return str(folder)

    return build


def keys(encoder: TextEncoder, what: str = "queries") -> np.ndarray:
    return getattr(encoder, f"encode_{what}")([Instance(text, (0, 1), (1, 2)) for text in TEXTS])


@pytest.mark.parametrize("mode", MODES)
def test_pooling_is_that_of_the_model(bert: str, make: Make, mode: str) -> None:
    expected = keys(TextEncoder(bert, pooling=MODES[mode]))
    assert np.array_equal(keys(TextEncoder(make({"pooling_mode": mode}))), expected)
    if mode in OLD:
        old = {key: kind == mode for kind, key in OLD.items()}
        assert np.array_equal(keys(TextEncoder(make(old))), expected)
    # What the settings say goes first.
    assert np.array_equal(
        keys(TextEncoder(make({"pooling_mode": mode}), pooling="cls"))[0], keys(TextEncoder(bert, pooling="cls"))[0]
    )


@pytest.mark.parametrize("mode", ["cls", "mean", "max", "mean_sqrt_len_tokens"])
def test_vectors_are_those_of_sentence_transformers(make: Make, mode: str) -> None:
    library = pytest.importorskip("sentence_transformers")
    prompts = {"prompts": {"query": "query : ", "document": "passage "}}
    folder = make(
        {f"pooling_mode_{mode}" + ("_token" if mode == "cls" else "" if "len" in mode else "_tokens"): True},
        prompts=prompts,
    )
    model = library.SentenceTransformer(folder, device="cpu")
    assert np.abs(keys(TextEncoder(folder)) - model.encode(TEXTS, prompt_name="query")).max() < 1e-5
    assert np.abs(keys(TextEncoder(folder), "examples") - model.encode(TEXTS, prompt_name="document")).max() < 1e-5


def test_prefixes_are_those_of_the_model(bert: str, make: Make) -> None:
    folder = make({"pooling_mode": "mean"}, prompts={"prompts": {"query": "query ", "passage": "passage "}})
    encoder = TextEncoder(folder)
    given = TextEncoder(bert, query_prefix="query ", passage_prefix="passage ")
    assert encoder.settings == given.settings
    assert np.array_equal(keys(encoder), keys(given))
    assert np.array_equal(keys(encoder, "examples"), keys(given, "examples"))
    assert np.array_equal(keys(TextEncoder(folder, query_prefix="")), keys(TextEncoder(bert)))
    default = make({}, prompts={"prompts": {"task": "the "}, "default_prompt_name": "task"})
    assert TextEncoder(default).settings["query_prefix"] == TextEncoder(default).settings["passage_prefix"] == "the "


def test_keys_of_models_that_are_pooled_by_the_mean_stay_what_they_were(bert: str, make: Make) -> None:
    # Stores of older versions know their encoder by this.
    fingerprint = TextEncoder(bert, pooling="mean", query_prefix="", passage_prefix="").fingerprint
    assert TextEncoder(bert).fingerprint == TextEncoder(make({"pooling_mode": "mean"})).fingerprint == fingerprint
    assert TextEncoder(make({"pooling_mode": "cls"})).fingerprint == TextEncoder(bert, pooling="cls").fingerprint


def test_nothing_is_read_before_it_is_needed() -> None:
    assert TextEncoder("no/such-model").pooling == "auto"


@pytest.mark.parametrize(
    "pooling, named",
    [
        ({"pooling_mode": "weightedmean"}, "weightedmean"),
        ({"pooling_mode": ["cls", "mean"]}, "cls and mean"),
    ],
)
def test_r130_pooling_that_is_not_known(make: Make, pooling: Dict[str, Any], named: str) -> None:
    folder = make(pooling)
    with pytest.raises(ValueError, match=rf"\[R130\].*{named}.*Set pooling"):
        keys(TextEncoder(folder))
    assert keys(TextEncoder(folder, pooling="mean")).shape == (3, 32)


def test_r130_pooling_without_the_prompt(make: Make) -> None:
    pooling = {"pooling_mode": "mean", "include_prompt": False}
    with pytest.raises(ValueError, match=r"\[R130\].*without the prompt"):
        keys(TextEncoder(make(pooling, prompts={"prompts": {"query": "query "}})))
    assert keys(TextEncoder(make(pooling))).shape == (3, 32)


def test_w130_layers_that_are_left_out(make: Make) -> None:
    folder = make({"pooling_mode": "mean"}, modules=("Dense", "Normalize"))
    with pytest.warns(UserWarning, match=r"\[W130\].*Dense"):
        keys(TextEncoder(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keys(TextEncoder(folder, pooling="mean"))


@pytest.mark.parametrize("file", ["modules.json", "1_Pooling/config.json", "config_sentence_transformers.json"])
@pytest.mark.parametrize("content", ["{", "[1]", '"cls"'])
def test_r201_damaged_files(make: Make, file: str, content: str) -> None:
    folder = make({"pooling_mode": "mean"})
    (Path(folder) / file).write_text(content, encoding="utf8")
    with pytest.raises(OSError, match=r"\[R201\].*damaged"):
        keys(TextEncoder(folder))
