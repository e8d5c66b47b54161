"""What prompts share is computed once, and the answers are those of separate prompts."""

import itertools
import random
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
import torch

from spacy_ragre.llm import CausalLM, Seq2SeqLM
from spacy_ragre.llm.attention.packing import PackedBatch, TokenPrompt, batches, pack, unshared
from spacy_ragre.llm.attention.prefix_attention import attention, can_share
from spacy_ragre.llm.attention.tries import TokenTrie, cut_answers

Shape = List[Tuple[int, List[int]]]
# Documents by their length and the lengths of their pairs: many pairs, few, one, none shared.
DOCUMENTS: Shape = [(9, [4, 6, 2, 5, 4, 4]), (5, [3]), (12, [5, 2, 6]), (7, [1, 1]), (3, [2, 8])]


def make_prompts(documents: Shape = DOCUMENTS, instruction: int = 7, seed: int = 0) -> List[TokenPrompt]:
    rng = random.Random(seed)

    def ids(count: int) -> Tuple[int, ...]:
        return tuple(rng.randrange(3, 400) for _ in range(count))

    first = ids(instruction)
    prompts = []
    for length, pairs in documents:
        document = ids(length)
        prompts.extend(TokenPrompt(first, document, ids(pair)) for pair in pairs)
    rng.shuffle(prompts)
    return prompts


def states(backbone: Any, prompts: List[TokenPrompt]) -> torch.Tensor:
    found = torch.zeros(len(prompts), backbone.width)
    for chunk in backbone.pack(prompts):
        found[chunk.indexes] = backbone.states(chunk)
        chunk.release()
    return found


def separate(backbone: Any, prompts: List[TokenPrompt]) -> torch.Tensor:
    return torch.cat([backbone.states(unshared([prompt])) for prompt in prompts])


def spread_adapter(backbone: Any) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in backbone.adapter_parameters().values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)


@pytest.fixture
def make(tiny_llama: Path) -> Callable[..., CausalLM]:
    def build(adapter: bool = False, **options: Any) -> CausalLM:
        backbone = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 4}, **options)
        if adapter:
            backbone.init_adapter()
            spread_adapter(backbone)
        return backbone

    return build


# Chunks


@pytest.mark.parametrize("limit", [1, 20, 60, 4096])
@pytest.mark.parametrize("instruction", [0, 7])
def test_every_prompt_is_in_one_chunk_and_whole(limit: int, instruction: int) -> None:
    prompts = make_prompts(instruction=instruction)
    seen = []
    for chunk in pack(prompts, limit):
        seen.extend(chunk.indexes)
        assert chunk.prompts == [prompts[i] for i in chunk.indexes]
        grid = chunk.grid
        longest = max(map(len, grid))
        assert len(grid) * longest <= limit or len([row for row in grid if row]) == 1
        for prompt, row, cell in zip(chunk.prompts, chunk.rows, chunk.cells):
            before: Tuple[int, ...] = ()
            if chunk.shared is not None:
                documents = chunk.shared.documents
                before = chunk.shared.instruction + (documents[cell // chunk.per_document] if documents else ())
            assert before + row == prompt.ids and grid[cell] == row
        chunk.release()
    assert sorted(seen) == list(range(len(prompts)))


def test_documents_with_several_pairs_are_shared_and_others_are_not() -> None:
    prompts = make_prompts()
    by_document: Dict[Any, int] = {}
    for chunk in pack(prompts, 4096):
        assert chunk.shared is not None
        for prompt, row in zip(chunk.prompts, chunk.rows):
            shared = bool(chunk.shared.documents)
            by_document[prompt.document] = shared
            assert row == (prompt.pair if shared else prompt.document + prompt.pair)
    assert sorted((len(document), shared) for document, shared in by_document.items()) == [
        (3, True),
        (5, False),
        (7, True),
        (9, True),
        (12, True),
    ]


def test_few_documents_are_held_at_a_time() -> None:
    prompts = make_prompts([(10, [4] * 30)] * 6)
    held: List[Any] = []
    most = 0
    for chunk in pack(prompts, 60):
        assert chunk.shared is not None
        if chunk.shared not in held:
            held.append(chunk.shared)
        chunk.shared.context = chunk.shared.context or _Held()
        chunk.release()
        most = max(most, sum(s.context is not None for s in held))
    assert len(held) == 6 and most == 1
    assert all(shared.context is None for shared in held)


class _Held:
    def backward(self) -> None:
        pass


def test_without_sharing_there_are_plain_batches() -> None:
    prompts = make_prompts()
    chunks = list(pack(prompts, 60, share=False))
    assert all(chunk.shared is None for chunk in chunks)
    assert sorted(i for chunk in chunks for i in chunk.indexes) == list(range(len(prompts)))
    assert all(row == prompt.ids for chunk in chunks for row, prompt in zip(chunk.rows, chunk.prompts))


def test_no_prompts() -> None:
    assert list(pack([], 60)) == []


@pytest.mark.parametrize("seed", range(5))
def test_batches_keep_every_row_and_the_limit(seed: int) -> None:
    lengths = torch.randint(1, 900, (200,), generator=torch.Generator().manual_seed(seed)).tolist()
    found = batches(lengths, 2000)
    assert sorted(itertools.chain.from_iterable(found)) == list(range(200))
    for batch in found:
        longest = max(lengths[i] for i in batch)
        assert len(batch) * longest <= 2000
        # Little padding, where there is enough to do anyhow.
        assert len(batch) * longest <= 1000 or min(lengths[i] for i in batch) >= 0.5 * longest
    firsts = [lengths[batch[0]] for batch in found]
    assert firsts == sorted(firsts, reverse=True)


def test_batches_take_as_much_padding_as_they_are_allowed() -> None:
    lengths = [100] * 6 + [70] * 8 + [10] * 6
    assert [len(batch) for batch in batches(lengths, 2000)] == [6, 8, 6]
    assert [len(batch) for batch in batches(lengths, 2000, fill=0.6)] == [14, 6]
    assert [len(batch) for batch in batches(lengths, 2000, fill=0.0)] == [20]


def test_a_row_over_the_limit_is_a_batch_of_its_own() -> None:
    assert batches([50, 3, 40, 3], 10) == [[0], [2], [1, 3]]
    assert batches([], 10) == []


# States


@pytest.mark.parametrize("limit", [10, 60, 4096])
@pytest.mark.parametrize("instruction", [0, 7])
@pytest.mark.parametrize("adapter", [False, True])
def test_states_are_those_of_separate_prompts(
    make: Callable[..., CausalLM], limit: int, instruction: int, adapter: bool
) -> None:
    backbone = make(adapter, batch_tokens=limit)
    prompts = make_prompts(instruction=instruction)
    with torch.no_grad():
        expected = separate(backbone, prompts)
        torch.testing.assert_close(states(backbone, prompts), expected, atol=1e-5, rtol=1e-5)
    # Otherwise any row would do.
    assert torch.pdist(expected).min() > 1e-2


def test_an_empty_pair_of_a_shared_document(make: Callable[..., CausalLM]) -> None:
    backbone = make()
    (prompt,) = [p for p in make_prompts([(5, [3])])]
    with torch.no_grad():
        torch.testing.assert_close(
            states(backbone, [prompt, prompt]), separate(backbone, [prompt, prompt]), atol=1e-5, rtol=1e-5
        )


def test_the_instruction_is_computed_once(make: Callable[..., CausalLM], monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = make(adapter=True)
    read: List[int] = []
    original = backbone._read
    monkeypatch.setattr(
        backbone, "_read", lambda before, rows, trained: (read.append(len(rows)), original(before, rows, trained))[1]
    )
    with torch.no_grad():
        for seed in range(3):
            # Of one instruction, with other documents.
            first = make_prompts()[0].instruction
            prompts = [TokenPrompt(first, p.document, p.pair) for p in make_prompts([(4, [3])], seed=seed)]
            states(backbone, prompts)
        assert read == [1]
        states(backbone, make_prompts([(4, [3])], seed=9))
        assert read == [1, 1]


def test_a_changed_adapter_makes_the_instruction_new(make: Callable[..., CausalLM]) -> None:
    backbone = make(adapter=True)
    prompts = make_prompts()
    with torch.no_grad():
        before = states(backbone, prompts)
        for parameter in backbone.adapter_parameters().values():
            parameter.mul_(2)
        after = states(backbone, prompts)
        torch.testing.assert_close(after, separate(backbone, prompts), atol=1e-5, rtol=1e-5)
    assert (after - before).abs().max() > 1e-2


# Gradients


@pytest.mark.parametrize("limit", [10, 60, 4096])
@pytest.mark.parametrize("instruction", [0, 7])
def test_gradients_are_those_of_separate_prompts(make: Callable[..., CausalLM], limit: int, instruction: int) -> None:
    backbone = make(adapter=True, batch_tokens=limit)
    prompts = make_prompts(instruction=instruction)
    weights = torch.randn(len(prompts), backbone.width, generator=torch.Generator().manual_seed(2))
    (separate(backbone, prompts) * weights).sum().backward()
    expected = {name: p.grad.clone() for name, p in backbone.adapter_parameters().items()}
    for parameter in backbone.adapter_parameters().values():
        parameter.grad = None
    for chunk in backbone.pack(prompts):
        (backbone.states(chunk) * weights[chunk.indexes]).sum().backward()
        chunk.release()
    for name, parameter in backbone.adapter_parameters().items():
        assert expected[name].norm() > 0
        difference = (parameter.grad - expected[name]).norm() / expected[name].norm()
        assert difference < 1e-4, name


def test_predictions_between_steps_leave_no_trace(make: Callable[..., CausalLM]) -> None:
    backbone = make(adapter=True)
    prompts = make_prompts()
    with torch.no_grad():
        states(backbone, prompts)
    for chunk in backbone.pack(prompts):
        backbone.states(chunk).sum().backward()
        chunk.release()
    # The instruction's own tokens learn, though its keys were known from the prediction.
    name, parameter = next(iter(backbone.adapter_parameters().items()))
    found = parameter.grad.clone()
    parameter.grad = None
    separate(backbone, prompts).sum().backward()
    torch.testing.assert_close(found, parameter.grad, atol=1e-3, rtol=1e-3)


# Likelihoods


def answers_for(prompts: List[TokenPrompt]) -> List[List[List[int]]]:
    rng = random.Random(3)
    result = []
    for _ in prompts:
        stem = [rng.randrange(3, 400) for _ in range(3)]
        result.append([stem, stem + [9], stem[:1] + [11, 12], [13], stem[:2] + [14, 15, 16]])
    return result


@pytest.mark.parametrize("limit", [10, 60, 4096])
@pytest.mark.parametrize("instruction", [0, 7])
def test_likelihoods_are_those_of_separate_prompts(make: Callable[..., CausalLM], limit: int, instruction: int) -> None:
    backbone = make(batch_tokens=limit)
    prompts = make_prompts(instruction=instruction)
    tries = [TokenTrie.build(options) for options in answers_for(prompts)]
    found: Dict[int, List[float]] = {}
    for chunk in backbone.pack(prompts, extra=lambda i: len(tries[i])):
        for index, one in zip(chunk.indexes, backbone.likelihoods(chunk, [tries[i] for i in chunk.indexes])):
            found[index] = one.totals
        chunk.release()
    for i, prompt in enumerate(prompts):
        (alone,) = backbone.likelihoods(unshared([prompt]), [tries[i]])
        assert found[i] == pytest.approx(alone.totals, abs=1e-4)


def test_cut_answers_are_small_and_complete() -> None:
    rng = random.Random(0)
    answers = [[rng.randrange(6) for _ in range(rng.randrange(1, 9))] for _ in range(300)]
    parts = cut_answers(answers, 40)
    assert sorted(i for part in parts for i in part) == list(range(300))
    sizes = [len(TokenTrie.build([answers[i] for i in part])) for part in parts]
    assert max(sizes) <= 40 and len(parts) < 60
    assert cut_answers([[1] * 50, [2]], 40) == [[0], [1]]
    assert cut_answers([], 40) == []


# Models


def test_models_of_another_attention_compute_each_prompt(tiny_llama: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        initializer_range=0.2,
        attn_logit_softcapping=5.0,
    )
    Gemma2ForCausalLM(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(tmp_path)
    backbone = CausalLM(str(tmp_path), device="cpu")
    prompts = make_prompts()
    with pytest.warns(UserWarning, match="W101") as caught:
        with torch.no_grad():
            first, second = states(backbone, prompts), states(backbone, prompts)
            torch.testing.assert_close(first, separate(backbone, prompts), atol=1e-4, rtol=1e-4)
    assert torch.equal(first, second)
    assert len([w for w in caught if "W101" in str(w.message)]) == 1


FAMILIES: Dict[str, Dict[str, Any]] = {
    "Qwen2": {"num_key_value_heads": 2},
    "Qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "Mistral": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": None},
    "Granite": {"num_key_value_heads": 2, "attention_multiplier": 0.3},
    "GPTNeoX": {},
    "Phi": {},
    "Olmo2": {"num_key_value_heads": 2},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_share_or_say_that_they_do_not(family: str, tiny_llama: Path, tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        initializer_range=0.2,
        pad_token_id=2,
        **FAMILIES[family],
    )
    getattr(transformers, f"{family}ForCausalLM")(config).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(tmp_path)
    backbone = CausalLM(str(tmp_path), device="cpu")
    prompts = make_prompts()
    assert backbone.shares
    with torch.no_grad():
        torch.testing.assert_close(states(backbone, prompts), separate(backbone, prompts), atol=1e-4, rtol=1e-4)


def test_windows_are_no_hindrance_where_prompts_are_shorter(tiny_llama: Path) -> None:
    model = CausalLM(str(tiny_llama), device="cpu").model
    model.config.sliding_window = 100
    assert can_share(model, 100) and not can_share(model, 101)


def test_the_usual_attention_is_put_back(make: Callable[..., CausalLM]) -> None:
    backbone = make()
    usual = backbone.model.config._attn_implementation
    with torch.no_grad():
        states(backbone, make_prompts())
    assert backbone.model.config._attn_implementation == usual


def test_attention_outside_a_pass_is_an_error() -> None:
    with pytest.raises(IndexError):
        attention(None, torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), None)


def test_encoder_decoders_read_a_distinct_input_once(tiny_t5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Seq2SeqLM(str(tiny_t5), device="cpu")
    prompts = make_prompts([(4, [3]), (5, [2])])
    chunk: PackedBatch = unshared([prompts[0], prompts[1], prompts[0]])
    read: List[int] = []
    original = backbone._encode
    monkeypatch.setattr(backbone, "_encode", lambda inputs: (read.append(len(inputs)), original(inputs))[1])
    with torch.no_grad():
        found = backbone.states(chunk)
    assert read == [2] and torch.equal(found[0], found[2]) and not torch.equal(found[0], found[1])
    tries = [TokenTrie.build(options) for options in answers_for(chunk.prompts)]
    together = backbone.likelihoods(chunk, tries)
    assert read == [2, 2]
    for prompt, trie, likelihoods in zip(chunk.prompts, tries, together):
        (alone,) = backbone.likelihoods(unshared([prompt]), [trie])
        assert likelihoods.totals == pytest.approx(alone.totals, abs=1e-4)
