"""What OpenVINO compiles gives what torch gives, and is made anew when the weights change."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import spacy
import torch

from spacy_ragre.components.pair_filter.encoders import HuggingFaceEncoder, PairInput
from spacy_ragre.instances import Instance
from spacy_ragre.llm import CausalLM
from spacy_ragre.llm.attention.packing import TokenPrompt, unshared
from spacy_ragre.llm.attention.tries import TokenTrie
from spacy_ragre.llm.runtime.openvino import ENGINES, Compiler
from spacy_ragre.registry import registry
from spacy_ragre.retrieval import TextEncoder

INSTRUCTION, PARIS, ROME = (5, 9, 33, 7), (12, 80, 41, 60, 7), (90, 14, 6)
PROMPTS = [
    TokenPrompt(INSTRUCTION, PARIS, (30, 31, 8)),
    TokenPrompt(INSTRUCTION, PARIS, (32,)),
    TokenPrompt(INSTRUCTION, ROME, (30, 31, 8, 44, 45)),
    TokenPrompt(INSTRUCTION, ROME, (21, 22)),
    TokenPrompt(INSTRUCTION, (), (50, 51)),
    TokenPrompt((), (), (61, 62, 63, 64)),
]
ANSWERS = [[100, 101, 102], [100, 101], [103], [104, 105, 106, 107]]


def spread_adapter(backbone: CausalLM, scale: float) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in backbone.adapter_parameters().values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)


def states(backbone: CausalLM, prompts: List[TokenPrompt] = PROMPTS) -> torch.Tensor:
    found = torch.zeros(len(prompts), backbone.width)
    with torch.no_grad():
        for chunk in backbone.pack(prompts):
            found[chunk.indexes] = backbone.states(chunk)
            chunk.release()
    return found


@pytest.fixture(scope="module")
def build(tiny_llama: Path) -> Callable[..., CausalLM]:
    def make(engine: str, adapter: bool = True, **options: Any) -> CausalLM:
        backbone = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 4}, engine=engine, **options)
        if adapter:
            backbone.init_adapter()
            spread_adapter(backbone, 0.1)
        return backbone

    return make


@pytest.fixture(scope="module")
def made(build: Callable[..., CausalLM]) -> Callable[[str], CausalLM]:
    """`made("openvino")`: a model with an adapter, compiled once for all tests that leave it as it is."""
    backbones = {engine: build(engine) for engine in ("torch", "openvino")}
    return backbones.__getitem__


@pytest.mark.parametrize("limit", [8, 4096])
@pytest.mark.parametrize("adapter", [False, True])
def test_states_are_those_of_torch(
    build: Callable[..., CausalLM],
    made: Callable[[str], CausalLM],
    monkeypatch: pytest.MonkeyPatch,
    adapter: bool,
    limit: int,
) -> None:
    backbones = [made(engine) if adapter else build(engine, adapter) for engine in ("torch", "openvino")]
    for backbone in backbones:
        monkeypatch.setattr(backbone, "batch_tokens", limit)
    expected, found = map(states, backbones)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    # Otherwise any row would do.
    assert torch.pdist(expected).min() > 1e-2


def test_prompts_that_share_nothing(made: Callable[[str], CausalLM]) -> None:
    with torch.no_grad():
        expected = made("torch").states(unshared(PROMPTS))
        found = made("openvino").states(unshared(PROMPTS))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_states_of_trees_are_those_of_torch(made: Callable[[str], CausalLM], monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [prompt.ids for prompt in PROMPTS]
    responses = [(5, 6), (), (7,)] * len(prompts)
    found = []
    for engine in ("torch", "openvino"):
        backbone = made(engine)
        with torch.no_grad():
            passes = list(backbone.response_states(prompts, responses[: len(prompts)]))
            if engine == "openvino":
                # The graph computes them, and not torch.
                monkeypatch.setattr(type(backbone.decoder), "forward", None)
                again = list(backbone.response_states(prompts, responses[: len(prompts)]))
                assert torch.equal(again[0][1], passes[0][1])
        found.append((sum((numbers for numbers, _ in passes), []), torch.cat([states for _, states in passes])))
    assert found[0][0] == found[1][0]
    torch.testing.assert_close(found[1][1], found[0][1], atol=1e-4, rtol=1e-4)


def test_what_is_read_on_is_that_of_torch(made: Callable[[str], CausalLM], monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for engine in ("torch", "openvino"):
        backbone = made(engine)
        monkeypatch.setattr(backbone, "batch_tokens", 16)
        with torch.no_grad():
            for _ in range(2):
                context, states = backbone.prefill([prompt.ids for prompt in PROMPTS])
                after = backbone.decode_step(context, [(5, 6), (), (7,), (8, 9, 10), (11,), (12,)])
                context.drop_last(torch.tensor([1, 0, 0, 2, 0, 1]))
                last = backbone.decode_step(context.select(torch.tensor([0, 3, 5])), [(13,), (14, 15), (16,)])
                if engine == "openvino":
                    monkeypatch.setattr(type(backbone.decoder), "forward", None)
        found.append(torch.cat([states, after, last]))
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("share", [False, True])
def test_likelihoods_are_those_of_torch(made: Callable[[str], CausalLM], share: bool) -> None:
    trie = TokenTrie.build(ANSWERS)
    totals = []
    for engine in ("torch", "openvino"):
        backbone = made(engine)
        chunks = list(backbone.pack(PROMPTS, extra=lambda i: len(trie))) if share else [unshared(PROMPTS)]
        by_prompt = {}
        for chunk in chunks:
            for index, found in zip(chunk.indexes, backbone.likelihoods(chunk, [trie] * len(chunk))):
                by_prompt[index] = found.totals
        totals.append([by_prompt[i] for i in range(len(PROMPTS))])
    torch.testing.assert_close(torch.tensor(totals[1]), torch.tensor(totals[0]), atol=1e-3, rtol=1e-4)


def test_eight_bits_are_near(build: Callable[..., CausalLM], made: Callable[[str], CausalLM]) -> None:
    expected, found = states(made("torch")), states(build("openvino-int8"))
    assert torch.cosine_similarity(found, expected).min() > 0.99
    # Or it would be computed in 32 bits.
    assert (found - expected).abs().max() > 1e-3


def test_new_weights_make_a_new_graph(build: Callable[..., CausalLM], monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, torch_backbone = build("openvino"), build("torch")
    made: List[Any] = []
    original = Compiler.compiled

    def count(self: Compiler, version: Any, build: Callable[[], Any]) -> Any:
        return original(self, version, lambda: (made.append(version), build())[1])

    monkeypatch.setattr(Compiler, "compiled", count)
    first = states(compiled)
    states(compiled)
    assert len(made) == 1
    for backbone in (compiled, torch_backbone):
        spread_adapter(backbone, 0.3)
    second = states(compiled)
    assert len(made) == 2
    torch.testing.assert_close(second, states(torch_backbone), atol=1e-3, rtol=1e-3)
    assert (first - second).abs().max() > 1e-2


def test_training_is_not_compiled(build: Callable[..., CausalLM]) -> None:
    gradients = []
    for engine in ("torch", "openvino"):
        backbone = build(engine)
        states(backbone)
        for chunk in backbone.pack(PROMPTS):
            backbone.states(chunk).sum().backward()
            chunk.release()
        gradients.append([p.grad for p in backbone.adapter_parameters().values()])
        # The weights that the graph reads outlive the step, in which they are not merged.
        states(backbone)
    for expected, found in zip(*gradients):
        assert expected.abs().max() > 0
        torch.testing.assert_close(found, expected)


def test_copies_compile_their_own(build: Callable[..., CausalLM]) -> None:
    backbone = build("openvino", adapter=False)
    expected = states(backbone)
    torch.testing.assert_close(states(pickle.loads(pickle.dumps(backbone))), expected)


def instances() -> List[Instance]:
    texts = ["Bill founded it.", "A much longer text about Paris and all that.", "Rome."]
    return [Instance(text, (0, 1), (2, 3), id=str(i)) for i, text in enumerate(texts)]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_encoders_give_the_same_keys(tiny_encoder: Path, pooling: Any) -> None:
    keys = [
        TextEncoder(str(tiny_encoder), pooling=pooling, device="cpu", engine=engine).encode_queries(instances())
        for engine in ("torch", "openvino")
    ]
    torch.testing.assert_close(*map(torch.from_numpy, keys), atol=1e-5, rtol=1e-4)


def test_engines_share_a_store(tiny_encoder: Path) -> None:
    fingerprints = {TextEncoder(str(tiny_encoder), engine=engine).fingerprint for engine in ENGINES}
    assert len(fingerprints) == 1


def test_tuned_encoders_are_compiled_anew(tiny_encoder: Path) -> None:
    encoder = TextEncoder(str(tiny_encoder), device="cpu", engine="openvino")
    before = encoder.encode_queries(instances())
    with torch.no_grad():
        for parameter in encoder.model.parameters():
            parameter.mul_(1.5)
    after = encoder.encode_queries(instances())
    expected = TextEncoder(str(tiny_encoder), device="cpu").with_model(encoder.model, text="sentence")
    torch.testing.assert_close(torch.from_numpy(after), torch.from_numpy(expected.encode_queries(instances())))
    assert abs(before - after).max() > 1e-2


@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_filters_read_the_same(tiny_encoder: Path, lora: Any) -> None:
    nlp = spacy.blank("en")
    docs = [nlp("Bill Gates founded Microsoft in Albuquerque , far from Paris ."), nlp("Rome is in Italy .")]
    inputs = [
        PairInput(docs[0], [[(0, 2)], [(3, 4)], [(5, 6), (9, 10)]], ["", "", ""]),
        PairInput(docs[1], [[(0, 1)], [(3, 4)]], ["", ""]),
    ]
    found = []
    for engine in ("torch", "openvino"):
        torch.manual_seed(0)
        encoder = HuggingFaceEncoder(
            str(tiny_encoder), window=24, overlap=8, device="cpu", batch_tokens=60, lora=lora, engine=engine
        )
        with torch.no_grad():
            found.append(encoder.read(inputs, training=False))
    torch.testing.assert_close(found[1].hidden, found[0].hidden, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1].rows, found[0].rows, atol=1e-4, rtol=1e-4)


def test_processes_use_the_graph(tiny_config: Dict[str, Any]) -> None:
    """After a prediction here, so that processes are copies of one that has threads of its own."""
    tiny_config["model"]["backbone"]["engine"] = "openvino"
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "X", "pattern": name} for name in ("Bill", "Apple", "Paris")])
    nlp.add_pipe("rag_relation_extractor", config={**tiny_config, "n_examples": 0, "labels": {"runs": "runs"}})
    texts = ["Bill runs Apple in Paris.", "Apple is in Paris.", "Bill is in Paris with Apple."]
    here, there = ([doc._.relations for doc in nlp.pipe(texts, n_process=count)] for count in (1, 2))
    assert any(here)
    for one, other in zip(here, there):
        assert [r.label for r in one] == [r.label for r in other]
        assert [r.score for r in one] == pytest.approx([r.score for r in other], abs=1e-5)


# Bad input


@pytest.mark.parametrize("make_one", [CausalLM, TextEncoder, HuggingFaceEncoder])
def test_unknown_engines(make_one: Any) -> None:
    with pytest.raises(ValueError, match=r"\[R112\].*'tensorrt'"):
        make_one("smollm2-135m-instruct", engine="tensorrt")


@pytest.mark.parametrize("engine, package", [("openvino", "openvino"), ("openvino-int8", "nncf")])
def test_a_missing_package(
    build: Callable[..., CausalLM], engine: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"\[R113\].*{package}.*spacy-ragre\[openvino\]"):
        states(build(engine))


def test_other_precision_is_refused(build: Callable[..., CausalLM]) -> None:
    with pytest.raises(ValueError, match=r"\[R114\].*bfloat16"):
        states(build("openvino", dtype="bfloat16"))


def test_it_is_set_in_a_config(tiny_llama: Path) -> None:
    block = {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "device": "cpu", "engine": "openvino"}
    backbone = registry.resolve({"backbone": block})["backbone"]
    torch.testing.assert_close(states(backbone), states(CausalLM(str(tiny_llama), device="cpu")), atol=1e-4, rtol=1e-4)


def test_nothing_is_reported_to_a_server(tiny_encoder: Path) -> None:
    """Both packages send reports of their use unless they are told not to; in tests they never do, so that a process of
    its own is asked.
    """
    script = f"""
import os, socket, sys
os.environ.pop("CI", None)

def refuse(*args, **kwargs):
    print("a socket was opened")

socket.socket.connect = socket.getaddrinfo = refuse
from spacy_ragre.instances import Instance
from spacy_ragre.retrieval import TextEncoder

encoder = TextEncoder({str(tiny_encoder)!r}, device="cpu", engine="openvino-int8")
print(encoder.encode_queries([Instance("Rome.", (0, 1), (2, 3))]).shape)
print("openvino" in sys.modules, "nncf" in sys.modules, "openvino_telemetry" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n") == ["(1, 16)", "True True False", ""]
