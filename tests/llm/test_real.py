"""The embedded SmolLM2-135M-Instruct."""

from typing import Iterator

import pytest
import torch

from spacy_ragre.bundled import locate
from spacy_ragre.llm import CausalLM
from spacy_ragre.llm.attention.packing import unshared
from spacy_ragre.llm.attention.tries import TokenTrie

NAME = "smollm2-135m-instruct"
TEXT = "Microsoft was founded by Bill Gates and Paul Allen in Albuquerque. "

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(locate(NAME) is None, reason=f"{NAME} is not installed"),
]


@pytest.fixture(scope="module")
def backbone() -> Iterator[CausalLM]:
    yield CausalLM(NAME, device="cpu", dtype="float32")


def test_likelihoods_equal_separate_prompts(backbone: CausalLM) -> None:
    prompts = [
        ("", TEXT, ["The relation between [Microsoft] and {Bill Gates} is:"]),
        ("", "Paris is located in France. ", ["The relation between [Paris] and {France} is:"]),
    ]
    answers = [" was founded by", " was founded in", " is located in", " no relation"]
    ids = [backbone.tokenize(pieces) for pieces in prompts]
    answer_ids = backbone.encode_answers(answers)
    found = backbone.likelihoods(unshared(ids), [TokenTrie.build(answer_ids)] * 2)
    for prompt, likelihoods in zip(ids, found):
        for answer, total in zip(answer_ids, likelihoods.totals):
            with torch.no_grad():
                logits = backbone.model(input_ids=torch.tensor([[*prompt.ids, *answer]])).logits[0]
            logs = logits[len(prompt) - 1 : -1].float().log_softmax(-1)
            assert total == pytest.approx(sum(logs[i, t].item() for i, t in enumerate(answer)), abs=1e-3)


def test_states_do_not_depend_on_padding(backbone: CausalLM) -> None:
    ids = [backbone.tokenize(("", (), [TEXT * 2])), backbone.tokenize(("", (), ["Hello"]))]
    together = backbone.states(unshared(ids))
    for prompt, state in zip(ids, together):
        torch.testing.assert_close(backbone.states(unshared([prompt]))[0], state, atol=1e-3, rtol=1e-3)


def test_packed_prompts_equal_separate_ones(backbone: CausalLM) -> None:
    names = ["Microsoft", "Bill Gates", "Albuquerque"]
    questions = [f"The relation between {a} and {b}:" for a in names for b in names if a != b]
    prompts = [backbone.tokenize(("Say how two entities are related.\n", (TEXT + "\n",), [q])) for q in questions]
    tries = [TokenTrie.build(backbone.encode_answers([" founded by", " founded in", " no relation"])) for _ in prompts]
    with torch.no_grad():
        for chunk in backbone.pack(prompts):
            assert chunk.shared is not None and chunk.shared.documents
            states = backbone.states(chunk)
            totals = [found.totals for found in backbone.likelihoods(chunk, [tries[i] for i in chunk.indexes])]
            for i, state, total in zip(chunk.indexes, states, totals):
                alone = unshared([prompts[i]])
                torch.testing.assert_close(backbone.states(alone)[0], state, atol=1e-3, rtol=1e-3)
                (expected,) = backbone.likelihoods(alone, [tries[i]])
                assert total == pytest.approx(expected.totals, abs=1e-3)
            chunk.release()


def test_loading_twice_gives_the_same_hash(backbone: CausalLM) -> None:
    backbone.load()
    again = CausalLM(NAME)
    assert again.fingerprint == backbone.fingerprint
    assert not again.is_loaded
