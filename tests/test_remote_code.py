"""No way to load a model runs code that comes with it, or asks whether it may."""

import ast
import importlib.util
import io
import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
import spacy

import spacy_ragre
from spacy_ragre.components.pair_filter.encoders import HuggingFaceEncoder, _rebuild
from spacy_ragre.instances import Instance
from spacy_ragre.llm import CausalLM, Seq2SeqLM
from spacy_ragre.retrieval import TextEncoder

PACKAGE = Path(spacy_ragre.__file__).parent
# What builds models, tokenizers and configurations of transformers from files or from a configuration.
LOADERS = ("from_pretrained", "from_config", "AutoModel", "pipeline", "SentenceTransformer", "TransformerModel")


def loading_calls() -> Iterator[Tuple[str, ast.Call]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                # `LoraSettings.from_config` reads plain settings.
                own = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "LoraSettings"
                if name in LOADERS and not own:
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno} {name}", node


def test_every_loading_call_says_that_no_code_is_trusted() -> None:
    calls = dict(loading_calls())
    assert len(calls) > 8
    for place, call in calls.items():
        if place.endswith("TransformerModel"):  # takes two tables of settings, see below
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        value = given.get("trust_remote_code")
        assert isinstance(value, ast.Constant) and value.value is False, place
    # Nothing says otherwise anywhere.
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf8").replace('"', "").replace(" ", "")
        assert "trust_remote_code=True" not in text and "trust_remote_code:True" not in text, path


def loading_ways(folder: Path, plain: Path) -> Dict[str, Callable[[], Any]]:
    """Every way to load the model in a folder; `plain` is one without code of its own."""
    state = HuggingFaceEncoder(str(plain)).state()[1]
    state["config"] = (folder / "config.json").read_text(encoding="utf8")
    name, text = str(folder), Instance("a", (0, 1), (0, 1))
    ways: Dict[str, Callable[[], Any]] = {
        "causal": lambda: CausalLM(name, device="cpu").load(),
        "seq2seq": lambda: Seq2SeqLM(name, device="cpu").load(),
        "width": lambda: TextEncoder(name).width,
        "encoder": lambda: TextEncoder(name).encode_queries([text]),
        "saved encoder": lambda: TextEncoder(str(plain)).from_disk(folder),
        "filter": lambda: HuggingFaceEncoder(name).model,
        "saved filter": lambda: _rebuild(state),
    }
    if importlib.util.find_spec("spacy_transformers"):
        from spacy_ragre.components.pair_filter.transformer_encoder import create_transformer_encoder

        doc = spacy.blank("en")("a b")
        ways["transformer"] = lambda: create_transformer_encoder(name).layer.initialize(X=[doc])  # type: ignore
    return ways


@pytest.mark.parametrize("kind", ["of its own", "known"])
def test_a_model_with_code_of_its_own_is_refused_though_standard_input_agrees(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder, ran = tmp_path / "with-code", tmp_path / "ran"
    shutil.copytree(tiny_encoder, folder)
    names = {name: "own.Own" for name in ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoModelForSeq2SeqLM")}
    for file in ("config.json", "tokenizer_config.json"):
        content = json.loads((folder / file).read_text(encoding="utf8"))
        content["auto_map"] = {**names, "AutoTokenizer": ["own.Own", None]}
        if kind == "of its own":
            content["model_type"] = "own"
            content["tokenizer_class"] = "Own"
        (folder / file).write_text(json.dumps(content), encoding="utf8")
    (folder / "encoder.json").write_text(json.dumps({}), encoding="utf8")
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')\n", encoding="utf8")
    asked: List[str] = []
    monkeypatch.setattr("builtins.input", lambda prompt="": asked.append(prompt) or "y")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 50))
    ways, raised = loading_ways(folder, tiny_encoder), []
    for name, load in ways.items():
        try:
            load()
        except (OSError, ValueError):
            raised.append(name)
    assert not ran.exists() and not asked
    if kind == "of its own":
        assert raised == list(ways)
