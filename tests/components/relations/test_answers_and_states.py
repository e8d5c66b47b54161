"""Every way to answer in every state: trained or not, saved and loaded or not, in one order or both, with examples or
without.
"""

import pytest
import spacy

from spacy_ragre.corpora.reader import copy_input

NAME = "rag_relation_extractor"
ANSWERS = ["auto", "trie", "generate", "head", "open"]


def scores(nlp, docs):
    """The scores of all pairs, whatever is chosen of them."""
    pipe = nlp.get_pipe(NAME)
    pairs = [c.instance for doc in docs for c in pipe._candidates(copy_input(doc))]
    return pipe.predictor.score(pairs).scores


@pytest.mark.filterwarnings("ignore:.*W(501|161)")
@pytest.mark.parametrize("n_examples", [0, 2])
@pytest.mark.parametrize("both_orders", [False, True])
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_the_same_again_and_after_loading(
    make_nlp,
    tiny_llama,
    text_retriever,
    open_settings,
    gold_docs,
    gold_examples,
    train,
    tmp_path,
    answer,
    trained,
    both_orders,
    n_examples,
):
    if answer == "head" and not trained:
        pytest.skip("a head answers once it is trained")
    backbone = {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "device": "cpu"}
    # Dropout, so that two calls differ wherever it is left on.
    lora = {"rank": 8, "alpha": 16, "dropout": 0.3}
    settings = {"model": {"@architectures": "ragre.LabelModel.v1", "backbone": {**backbone, "lora": lora}}}
    # Keys by states or of a text encoder: each of them with every pair of the others.
    if (ANSWERS.index(answer) + trained + both_orders + n_examples // 2) % 2:
        settings["retriever"] = text_retriever
    if answer == "open":
        settings["weights"] = open_settings["weights"]
    nlp = make_nlp(answer=answer, both_orders=both_orders, n_examples=n_examples, **settings)
    docs = gold_docs(nlp)
    # One relation in each order of the text: generation takes its time for each pair.
    asked = docs[1:3]
    untrained = None if answer == "head" else scores(nlp, asked)
    if trained:
        train(nlp, gold_examples(nlp), steps=3, learn_rate=0.05)
    else:
        nlp.get_pipe(NAME).add_examples(docs)
    first = scores(nlp, asked)
    assert scores(nlp, asked) == pytest.approx(first, abs=1e-5)
    if trained and answer in ("trie", "head", "open"):
        # It answers with its adapter, or with weights of its own.
        assert answer == "head" or abs(first - untrained).max() > 1e-3
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert scores(again, asked) == pytest.approx(first, abs=1e-4)
    assert scores(again, asked) == pytest.approx(first, abs=1e-4)


@pytest.mark.parametrize("n_examples", [0, 1, 3])
def test_examples_in_prompts_do_not_spoil_keys_by_states(make_nlp, gold_examples, train, n_examples):
    """Prompts of prediction are those of training."""
    nlp = make_nlp(n_examples=n_examples)
    examples = gold_examples(nlp)
    train(nlp, examples, steps=15)
    nlp.get_pipe(NAME).predictor.refresh()
    assert nlp.evaluate(examples)["rels_micro_f"] == 1.0
