"""Any prompts: packed in any way, they give what separate prompts give."""

from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_ragre.llm import CausalLM
from spacy_ragre.llm.attention.packing import TokenPrompt, batches, pack, unshared
from spacy_ragre.llm.attention.token_trees import MOST_TOKENS, grow_trees, lay_out
from spacy_ragre.llm.attention.tries import TokenTrie, count_common, cut_answers

# Few different tokens, so that prompts share beginnings also where nobody meant them to.
IDS = st.lists(st.integers(3, 6), max_size=12).map(tuple)
OWN = st.lists(st.integers(3, 6), min_size=1, max_size=12).map(tuple)
PROMPTS = st.builds(
    lambda first, documents, rows: [TokenPrompt(first, documents[which % len(documents)], own) for which, own in rows],
    IDS,
    st.lists(IDS, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), OWN), min_size=1, max_size=8),
)
ANSWERS = st.lists(st.lists(st.integers(3, 9), min_size=1, max_size=5), min_size=1, max_size=6)
MANY = settings(max_examples=2 * settings().max_examples)


@pytest.fixture(scope="module")
def backbone(tiny_llama: Path) -> CausalLM:
    return CausalLM(str(tiny_llama), device="cpu")


@MANY
@given(PROMPTS, st.integers(1, 80), st.booleans())
def test_each_prompt_is_packed_once_and_whole(prompts: List[TokenPrompt], limit: int, share: bool) -> None:
    seen = []
    for chunk in pack(prompts, limit, share):
        grid = chunk.grid
        assert len(grid) * max(map(len, grid)) <= limit or sum(map(bool, grid)) <= 1
        for index, row, cell in zip(chunk.indexes, chunk.rows, chunk.cells):
            before: Tuple[int, ...] = ()
            if chunk.shared is not None:
                documents = chunk.shared.documents
                before = chunk.shared.instruction + (documents[cell // chunk.per_document] if documents else ())
            assert before + row == prompts[index].ids and grid[cell] == row
        seen.extend(chunk.indexes)
        chunk.release()
    assert sorted(seen) == list(range(len(prompts)))


@given(prompts=PROMPTS, limit=st.integers(8, 120))
def test_packed_states_are_those_of_separate_prompts(
    backbone: CausalLM, prompts: List[TokenPrompt], limit: int
) -> None:
    with torch.no_grad():
        found = torch.zeros(len(prompts), backbone.width)
        for chunk in pack(prompts, limit):
            found[chunk.indexes] = backbone.states(chunk)
            chunk.release()
        alone = torch.cat([backbone.states(unshared([prompt])) for prompt in prompts])
    torch.testing.assert_close(found, alone, atol=1e-4, rtol=0)


@given(prompts=PROMPTS, answers=ANSWERS, limit=st.integers(8, 120))
def test_likelihoods_are_those_of_answers_one_at_a_time(
    backbone: CausalLM, prompts: List[TokenPrompt], answers: List[List[int]], limit: int
) -> None:
    trie = TokenTrie.build(answers)
    totals: Dict[int, List[float]] = {}
    for chunk in pack(prompts, limit, extra=lambda index: len(trie)):
        for index, scored in zip(chunk.indexes, backbone.likelihoods(chunk, [trie] * len(chunk))):
            totals[index] = scored.totals
        chunk.release()
    index = len(prompts) - 1
    prompt = prompts[index].ids
    for total, answer in zip(totals[index], answers):
        with torch.no_grad():
            logits = backbone.model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(-1)
        rows = range(len(prompt) - 1, len(prompt) + len(answer) - 1)
        assert total == pytest.approx(sum(float(logits[row, token]) for row, token in zip(rows, answer)), abs=1e-3)


@MANY
@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 200))
def test_batches_hold_all_rows_and_keep_to_the_limit(lengths: List[int], limit: int) -> None:
    found = batches(lengths, limit)
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[i] for i in batch) <= limit or len(batch) == 1 for batch in found)


@MANY
@given(ANSWERS)
def test_tries_hold_each_answer_and_no_beginning_twice(answers: List[List[int]]) -> None:
    trie = TokenTrie.build(answers)
    assert trie.answers() == answers
    starts = {tuple(answer[: k + 1]) for answer in answers for k in range(len(answer))}
    assert len(trie) == len(starts)
    for node, parent in enumerate(trie.parents):
        assert parent < node and trie.depths[node] == (0 if parent < 0 else trie.depths[parent] + 1)


@MANY
@given(ANSWERS, st.integers(1, 12))
def test_answers_are_cut_into_tries_that_stay_small(answers: List[List[int]], limit: int) -> None:
    parts = cut_answers(answers, limit)
    assert sorted(i for part in parts for i in part) == list(range(len(answers)))
    assert all(len(TokenTrie.build([answers[i] for i in part])) <= limit or len(part) == 1 for part in parts)


@MANY
@given(st.lists(st.integers(3, 5), max_size=6), st.lists(st.integers(3, 5), max_size=6))
def test_common_beginnings(first: List[int], second: List[int]) -> None:
    common = count_common(first, second)
    assert (
        first[:common] == second[:common]
        and first[: common + 1][common:] != second[: common + 1][common:]
        or (common == len(first) == len(second))
    )


SEQUENCES = st.lists(
    st.builds(lambda start, own: (*range(100, 100 + start), *own), st.integers(0, 40), OWN), min_size=1, max_size=10
)


@MANY
@given(SEQUENCES, st.integers(1, 200))
def test_each_sequence_is_a_path_in_a_tree_that_sees_itself_alone(sequences: Any, limit: int) -> None:
    assert all(len(tree) <= MOST_TOKENS for tree in grow_trees(sequences))
    found = {}
    for layout in lay_out(sequences, limit):
        assert layout.depths.numel() <= limit or len(layout.rows) == 1
        for number, (row, path) in layout.paths.items():
            found[number] = tuple(layout.rows[row][place] for place in path)
            assert layout.depths[row, path].tolist() == list(range(len(path)))
            last = layout.seen[row, path[-1]].nonzero().flatten().tolist()
            assert sorted(last) == sorted(path)
    assert [found[i] for i in range(len(sequences))] == sequences


@given(sequences=SEQUENCES, limit=st.integers(1, 120))
def test_states_of_responses_are_those_of_one_sequence_at_a_time(
    backbone: CausalLM, sequences: Any, limit: int
) -> None:
    whole = [(0, *sequence) for sequence in sequences]
    prompts, responses = [s[: len(s) // 2 or 1] for s in whole], [s[len(s) // 2 or 1 :] for s in whole]
    usual, backbone.batch_tokens = backbone.batch_tokens, limit
    try:
        with torch.no_grad():
            for numbers, states in backbone.response_states(prompts, responses):
                parts = states.split([1 + len(responses[i]) for i in numbers])
                for i, part in zip(numbers, parts):
                    ids = torch.tensor([whole[i]])
                    alone = backbone.decoder(input_ids=ids).last_hidden_state[0, len(prompts[i]) - 1 :]
                    torch.testing.assert_close(part, alone, atol=1e-4, rtol=0)
    finally:
        backbone.batch_tokens = usual
