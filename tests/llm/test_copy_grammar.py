"""The grammar of copied lists, token by token: what it allows is always a list of names from the text."""

import random

import pytest

from spacy_ragre.llm.copy_grammar import CopyGrammar, Piece

END, NONE, SEP, KIND_A, KIND_B, BAR, POS, NEG = range(8)
WORDS = "takes zinc and fish oil , zinc helps".split()
IDS = {word: 10 + i for i, word in enumerate(dict.fromkeys(WORDS))}
NAMES = {value: word for word, value in IDS.items()}


def pieces(words=WORDS, size=1):
    """Tokens of a piece: its id, `size` times."""
    return [Piece((IDS[w],) * size, (IDS[w],) * size, w != ",", w != ",") for w in words]


def grammar(fields, words=WORDS, **settings):
    return CopyGrammar(pieces(words), fields, separator=(SEP,), none=(NONE,), end=END, **settings)


ENTITIES = [None, [(KIND_A,), (KIND_B,)]]
TRIPLES = [None, [(BAR, POS, BAR), (BAR, NEG, BAR)], None]


def walk(rules, ids):
    """RETURNS: the tokens allowed at each step, and at the end."""
    states = rules.start()
    steps = [rules.allowed(states)]
    for token in ids:
        assert token in steps[-1], (token, steps[-1])
        states = rules.advance(states, token)
        steps.append(rules.allowed(states))
    return steps


def w(text):
    return [IDS[word] for word in text.split()]


def test_a_list_may_be_empty_or_begin_with_any_word():
    (start,) = walk(grammar(ENTITIES), [])
    assert set(start) == {NONE, *(IDS[word] for word in WORDS if word != ",")}
    assert walk(grammar(ENTITIES), [NONE])[-1] == [END]


def test_names_go_on_as_the_text_does():
    steps = walk(grammar(ENTITIES), w("fish oil"))
    # Both words were read, so that the name may end, or go on with the comma and what is behind it.
    assert set(steps[-1]) == {KIND_A, KIND_B, IDS[","]}
    assert IDS["oil"] in steps[1] and IDS["zinc"] not in steps[1]


def test_a_name_does_not_end_with_a_comma():
    steps = walk(grammar(ENTITIES), w("oil ,"))
    assert steps[-1] == [IDS["zinc"]]


def test_a_word_that_stands_twice_goes_on_in_both_ways():
    steps = walk(grammar(ENTITIES), w("zinc"))
    assert set(steps[-1]) == {KIND_A, KIND_B, IDS["and"], IDS["helps"]}


def test_items_come_in_the_order_of_the_text():
    ids = [*w("fish oil"), KIND_A, SEP]
    assert set(walk(grammar(ENTITIES), ids)[-1]) == {IDS["zinc"], IDS["helps"]}
    # Behind the last word there is nothing left to list.
    assert walk(grammar(ENTITIES), [*w("helps"), KIND_A])[-1] == [END]


def test_the_second_of_two_mentions_can_be_the_next():
    ids = [*w("zinc"), KIND_A, SEP, *w("zinc"), KIND_B]
    assert walk(grammar(ENTITIES), ids)[-1] == [END, SEP]
    assert IDS["zinc"] not in walk(grammar(ENTITIES), [*ids, SEP])[-1]


def test_pieces_of_several_tokens_are_copied_whole():
    rules = CopyGrammar(pieces(["zinc", "helps"], size=3), ENTITIES, separator=(SEP,), none=(NONE,), end=END)
    assert walk(rules, w("zinc zinc"))[1:] == [w("zinc"), w("zinc")]
    assert set(walk(rules, w("zinc zinc zinc"))[-1]) == {KIND_A, KIND_B, IDS["helps"]}


def test_triples_do_not_come_twice():
    first = [*w("zinc"), BAR, POS, BAR, *w("helps")]
    assert walk(grammar(TRIPLES), first)[-1] == [END, SEP]
    # The tail was the last word, so that zinc is done with where it stands first.
    after = set(walk(grammar(TRIPLES), [*first, SEP])[-1])
    assert IDS["takes"] not in after and IDS["fish"] in after


def test_names_are_no_longer_than_the_limit():
    rules = grammar(ENTITIES, max_pieces=2)
    assert set(walk(rules, w("takes zinc"))[-1]) == {KIND_A, KIND_B}
    # "oil ," could not be ended by a third word.
    assert IDS[","] not in walk(rules, w("oil"))[-1]


def test_a_token_that_is_not_allowed_ends_the_response():
    rules = grammar(ENTITIES)
    assert rules.advance(rules.start(), 99) == frozenset()
    assert rules.allowed(frozenset()) == [END]


@pytest.mark.parametrize("words", [[], [","]])
def test_a_text_without_words_has_nothing_to_list(words):
    rules = CopyGrammar([Piece((3,), (3,), False, False)] * len(words), ENTITIES, separator=(2,), none=(1,), end=0)
    assert walk(rules, [])[-1] == [1]


@pytest.mark.parametrize("fields", [ENTITIES, TRIPLES], ids=["entities", "triples"])
@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_chosen_ends_and_is_a_list_of_names_from_the_text(fields, seed):
    rng = random.Random(seed)
    words = [rng.choice(WORDS) for _ in range(rng.randint(1, 12))]
    rules = grammar(fields, words, max_pieces=rng.randint(1, 4))
    states, ids = rules.start(), []
    while True:
        allowed = rules.allowed(states)
        # Going on as long as possible, to see that there is an end.
        token = rng.choice([t for t in allowed if t != END] or [END])
        if token == END:
            break
        ids.append(token)
        states = rules.advance(states, token)
        assert states, "a dead end"
        assert len(ids) < 3000
    if ids == [NONE]:
        return
    text = " " + " ".join(words) + " "
    items = " ".join(NAMES.get(t, {SEP: ";", KIND_A: "|", KIND_B: "|", BAR: "|"}.get(t, "")) for t in ids).split(";")
    names = [" ".join(name.split()) for item in items for name in item.split("|") if name.strip()]
    assert names and all(f" {name} " in text for name in names)


class Unpruned(CopyGrammar):
    def _widest(self, states):
        return frozenset(states)


@pytest.mark.parametrize("fields", [ENTITIES, TRIPLES])
@pytest.mark.parametrize("seed", range(40))
def test_states_that_allow_no_more_than_others_are_left_out(fields, seed):
    rng = random.Random(seed)
    words = rng.choices(["takes", "zinc", "fish", ","], k=7)
    settings = {"separator": (SEP,), "none": (NONE,), "end": END, "max_pieces": 3}
    pruned, whole = (kind(pieces(words), fields, **settings) for kind in (CopyGrammar, Unpruned))
    states, every = pruned.start(), whole.start()
    for _ in range(60):
        assert pruned.allowed(states) == whole.allowed(every)
        # Lists that go on show what was left out.
        choice = [token for token in pruned.allowed(states) if token != END or rng.random() < 0.1]
        if not choice:
            break
        token = rng.choice(choice)
        states, every = pruned.advance(states, token), whole.advance(every, token)
        assert states <= every


def test_a_text_that_repeats_itself_has_few_states():
    rules = grammar(TRIPLES, ["zinc"] * 60)
    states, most = rules.start(), 0
    for _ in range(12):
        for token in (IDS["zinc"], IDS["zinc"], BAR, POS, BAR, IDS["zinc"], SEP):
            states = rules.advance(states, token)
            most = max(most, len(states))
    assert states and most <= 60 * 60


def guess(rules, ids, most=8):
    states = rules.start()
    for token in ids:
        states = rules.advance(states, token)
    return rules.draft(states, most)


def test_drafts_are_what_must_come_or_ends_a_name():
    rules = CopyGrammar(pieces(size=2), TRIPLES, separator=(SEP,), none=(NONE, NONE), end=END)
    zinc, helps = [IDS["zinc"]] * 2, [IDS["helps"]] * 2
    # Where a name begins, nothing is known.
    assert guess(rules, []) == []
    # The word is read to its end, and then the name ends; which relation follows is not guessed.
    assert guess(rules, zinc[:1]) == [*zinc[1:], BAR]
    assert guess(rules, zinc[:1], most=1) == zinc[1:]
    assert guess(rules, [*zinc, BAR]) == []
    assert guess(rules, [*zinc, BAR, NEG]) == [BAR]
    # After a triple comes the next one, and the end where none is left. An end is not drafted.
    assert guess(rules, [*zinc, BAR, NEG, BAR, *helps[:1]]) == [*helps[1:], SEP]
    assert guess(rules, [NONE]) == [NONE]
    assert guess(rules, [NONE, NONE]) == guess(rules, [NONE, NONE, END]) == []
    assert guess(grammar(ENTITIES), [*w("helps"), KIND_A]) == []


def test_drafts_keep_to_the_grammar():
    rng = random.Random(0)
    for _ in range(50):
        words = [rng.choice(WORDS) for _ in range(rng.randrange(1, 8))]
        rules = grammar(rng.choice([ENTITIES, TRIPLES]), words)
        states = rules.start()
        for _ in range(40):
            after = states
            for token in rules.draft(states, 8):
                assert token in rules.allowed(after) and token != END
                after = rules.advance(after, token)
            token = rng.choice(rules.allowed(states))
            if token == END:
                break
            states = rules.advance(states, token)
