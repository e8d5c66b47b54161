from spacy_ragre.llm.attention.tries import TokenTrie


def test_shared_prefixes_are_stored_once() -> None:
    trie = TokenTrie.build([[5, 6, 7], [5, 6, 8], [5, 9], [4]])
    assert trie.tokens == [5, 6, 7, 8, 9, 4]
    assert trie.parents == [-1, 0, 1, 1, 0, -1]
    assert trie.depths == [0, 1, 2, 2, 1, 0]
    assert trie.paths == [[0, 1, 2], [0, 1, 3], [0, 4], [5]]
    assert len(trie) == 6
    assert trie.inner() == [-1, 0, 1]


def test_paths_spell_the_answers() -> None:
    answers = [[1, 2], [1, 2, 3], [2, 1], [1, 2], [2, 2, 2, 2]]
    trie = TokenTrie.build(answers)
    assert [[trie.tokens[node] for node in path] for path in trie.paths] == answers
    assert all(parent < node for node, parent in enumerate(trie.parents))
    assert all(
        trie.depths[node] == (0 if parent < 0 else trie.depths[parent] + 1) for node, parent in enumerate(trie.parents)
    )


def test_the_same_token_after_other_tokens_is_another_node() -> None:
    assert TokenTrie.build([[1, 7], [2, 7]]).tokens == [1, 7, 2, 7]


def test_an_answer_that_is_a_prefix_of_another_ends_at_an_inner_node() -> None:
    trie = TokenTrie.build([[1, 2], [1]])
    assert trie.paths == [[0, 1], [0]] and trie.inner() == [-1, 0]


def test_empty_answers() -> None:
    assert TokenTrie.build([[]]).paths == [[]]
    assert len(TokenTrie.build([])) == 0 and TokenTrie.build([]).inner() == []
