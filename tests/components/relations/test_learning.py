"""What the answer "auto" trains: the reader of open labels by default, the language model where it is asked for."""

import logging
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import load_config

from spacy_ragre.cli.train import train as train_by_config
from spacy_ragre.components.relations.learning import labels_without_words
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.labels import LabelSet

NAME = "rag_relation_extractor"
LABELS = {"founded_by": "was founded by", "located_in": "is located in"}
CONFIGS = Path(__file__).parents[3] / "configs"
STATES = {"@ragre_retrievers": "ragre.Retriever.v1", "encoder": {"@ragre_encoders": "ragre.BackboneEncoder.v1"}}


@pytest.fixture
def make_default(open_settings):
    """`make_default(...)`: a pipeline as a user makes it, with a small reader in place of the package's."""

    def make(**settings):
        nlp = spacy.blank("en")
        nlp.add_pipe(NAME, config={"labels": LABELS, "weights": open_settings["weights"], **settings})
        return nlp

    return make


def predictor_of(nlp):
    return nlp.get_pipe(NAME).predictor


def scores(nlp, examples):
    pipe = nlp.get_pipe(NAME)
    pairs = [c.instance for example in examples for c in pipe._candidates(copy_input(example.reference))]
    return pipe.predictor.score(pairs).scores


# Which is trained


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("answer", ["auto", "open"])
@pytest.mark.parametrize("labels", [LABELS, {}])
def test_the_reader_is_trained_saved_and_answers_by_default(
    make_default, gold_examples, train, tmp_path, answer, labels, multi_label
):
    nlp = make_default(answer=answer, labels=labels, multi_label=multi_label)
    examples = gold_examples(nlp)
    if labels:
        assert predictor_of(nlp).mode == "open"
        before = scores(nlp, examples)
    train(nlp, examples, steps=3, learn_rate=0.025)
    predictor = predictor_of(nlp)
    assert predictor.learns == predictor.mode == "open" and predictor.trained
    assert not predictor.shim.has_head and not predictor.backbone.is_loaded
    trained = scores(nlp, examples)
    if labels:
        assert abs(trained - before).max() > 1e-2
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    by_bytes = make_default(answer=answer, labels=labels, multi_label=multi_label).from_bytes(nlp.to_bytes())
    for other in (again, by_bytes):
        assert predictor_of(other).learns == predictor_of(other).mode == "open"
        assert (scores(other, examples) == trained).all()
    # Training goes on with the reader.
    train(again, examples, steps=2, learn_rate=0.025, initialize=False)
    assert not predictor_of(again).backbone.is_loaded
    assert abs(scores(again, examples) - trained).max() > 1e-3


@pytest.mark.parametrize("answer", ["auto", "head", "trie"])
def test_a_language_model_that_is_named_is_trained(make_nlp, open_settings, gold_examples, train, tmp_path, answer):
    nlp = make_nlp(answer=answer, weights=open_settings["weights"])
    examples = gold_examples(nlp)
    train(nlp, examples, steps=3)
    predictor = predictor_of(nlp)
    assert predictor.learns == "head" and predictor.shim.has_head and not predictor.open.shim.tuned
    assert predictor.mode == ("trie" if answer == "trie" else "head")
    trained = scores(nlp, examples)
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert predictor_of(again).learns == "head" and predictor_of(again).mode == predictor.mode
    assert scores(again, examples) == pytest.approx(trained, abs=1e-4)


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, "open"),
        ({"n_examples": 0, "multi_label": True, "types": "strict", "threshold": 0.5}, "open"),
        # As `spacy init fill-config` writes it.
        ({"model": {"backbone": {"name": "smollm2-135m-instruct", "quantization": None, "lora": None}}}, "open"),
        ({"model": {"backbone": {"name": "another"}}}, "head"),
        ({"model": {"backbone": {"lora": {"rank": 16}}}}, "head"),
        ({"model": {"backbone": {"device": "cpu"}}}, "head"),
        ({"model": {"backbone": {"engine": "openvino"}}}, "head"),
        ({"model": {"backbone": {"@ragre_backbones": "ragre.Seq2SeqLM.v1", "name": "t5"}}}, "head"),
        ({"prompt": {"instruction": False}}, "head"),
        ({"prompt": {"@ragre_prompts": "ragre.RAG4RE.v1"}}, "head"),
        ({"both_orders": True}, "head"),
        ({"retriever": STATES}, "head"),
        ({"weights": None}, "head"),
        ({"labels": {"founded_by": "was founded by", "P17": ""}}, "head"),
        ({"answer": "head"}, "head"),
        ({"answer": "generate"}, "head"),
        ({"answer": "open", "both_orders": True, "labels": {"P17": ""}}, "open"),
    ],
)
def test_what_is_trained_by_the_settings(make_default, settings, expected):
    assert predictor_of(make_default(**settings)).fresh == expected
    assert predictor_of(make_default(**settings)).learns == expected


def test_labels_with_and_without_words():
    words = {"founded_by": "", "is_a": "", "Cause-Effect": "", "LOC_IN": "", "per:title": "", "by": "", "P1": "wrote"}
    words.update({"R2": {"definition": "The tail wrote the head."}, "成立": "", "в": "", "gegründet von": ""})
    codes = ["P17", "CPR:3", "R12", "1", "a", "e1_e2", "--"]
    assert labels_without_words(LabelSet({**words, **dict.fromkeys(codes, "")})) == codes


@pytest.mark.parametrize(
    "config, expected",
    [
        ("rag_relations", "head"),
        ("rag_semeval", "head"),
        ("lmrc_redocred", "head"),
        ("open_relations", "open"),
        ("open_semeval", "open"),
        ("pipelines/en_ragre_open_sm", "open"),
        ("tacred", "head"),
        ("corpora", "open"),
    ],
)
def test_configs_of_the_project_say_what_they_train(config, expected):
    settings = load_config(CONFIGS / f"{config}.cfg", interpolate=True)["components"][NAME]
    assert settings["answer"] == expected
    nlp = spacy.blank("en")
    nlp.add_pipe(settings.pop("factory"), config=settings)
    assert predictor_of(nlp).fresh == expected


def test_every_config_of_the_project_is_among_those():
    found = {path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.rglob("*.cfg")}
    settings = {name: load_config(CONFIGS / f"{name}.cfg")["components"].get(NAME, {}) for name in found}
    with_component = {name for name, own in settings.items() if "factory" in own}  # not one of a trained pipeline
    (mark,) = test_configs_of_the_project_say_what_they_train.pytestmark
    assert with_component == {name for name, _ in mark.args[1]}


# One of both


def test_training_anew_leaves_one_of_both(make_nlp, make_default, gold_examples, train, tmp_path, open_settings):
    nlp = make_nlp(answer="head")
    examples = gold_examples(nlp)
    train(nlp, examples, steps=2)
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path, config={f"components.{NAME}": open_settings})
    train(again, examples, steps=2, learn_rate=0.025)
    predictor = predictor_of(again)
    assert predictor.open.shim.tuned and not predictor.shim.has_head
    again.to_disk(tmp_path / "second")
    third = spacy.load(tmp_path / "second", config={f"components.{NAME}.answer": "head"})
    train(third, examples, steps=2)
    predictor = predictor_of(third)
    assert predictor.shim.has_head and not predictor.open.shim.tuned


def test_without_weights_a_trained_reader_still_answers_and_the_language_model_is_next(
    make_default, gold_examples, train, tmp_path
):
    nlp = make_default()
    examples = gold_examples(nlp)
    train(nlp, examples, steps=2, learn_rate=0.025)
    trained = scores(nlp, examples)
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path, config={f"components.{NAME}.weights": None})
    predictor = predictor_of(again)
    assert predictor.mode == predictor.learns == "open" and predictor.fresh == "head"
    assert (scores(again, examples) == trained).all()
    again.to_disk(tmp_path / "second")
    assert (scores(spacy.load(tmp_path / "second"), examples) == trained).all()


def test_frozen_labels_of_a_reader_that_is_given_up_are_read_again(make_nlp, open_settings, gold_examples, train):
    nlp = make_nlp(**open_settings)
    examples = gold_examples(nlp)
    untrained = scores(nlp, examples)
    train(nlp, examples, steps=2, learn_rate=0.025)
    nlp.get_pipe(NAME).freeze_labels()
    predictor = predictor_of(nlp)
    predictor.open.stop()
    assert not predictor.open.frozen and scores(nlp, examples) == pytest.approx(untrained, abs=1e-6)


# What is told, and `spacy train`


def test_the_log_says_what_is_trained_and_why(make_default, make_nlp, open_settings, gold_examples, caplog):
    def told(nlp):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="spacy"):
            nlp.initialize(lambda: gold_examples(nlp))
        (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith(NAME)]
        return line

    weights = open_settings["weights"]
    assert told(make_default()) == f"{NAME}: trains the reader of open labels, from the weights {weights!r}"
    assert told(make_nlp(weights=weights)).endswith("since model, prompt, both_orders or keys of its states are set")
    assert told(make_nlp()).endswith("since the setting weights is null")
    assert told(make_nlp(answer="trie")).endswith("since the setting answer is 'trie'")
    coded = make_nlp(labels={**LABELS, "P17": ""}, weights=weights)
    predictor_of(coded).is_plain = True  # the small model in place of the default one
    assert told(coded).endswith("since labels have no words that the reader of open labels could read: P17")


def test_pairs_of_training_are_those_of_prediction(make_default, make_doc, train):
    """Those across sentences, too, for the reader."""
    nlp = make_default(labels={})
    nlp.add_pipe("sentencizer", first=True)
    ents = [("Acme", "ORG"), ("Ann", "PERSON")]
    doc = make_doc(nlp, "Acme is old . Ann founded it .", ents, [(0, "founded_by", 1)])
    doc = nlp.get_pipe("sentencizer")(doc)
    examples = [Example(copy_input(doc), doc)]
    train(nlp, examples, steps=1, learn_rate=0.025)
    assert len(predictor_of(nlp).pending) == 1 and len(nlp.get_pipe(NAME)._candidates(doc)) == 1


def test_spacy_train_with_no_setting_but_the_factory(make_default, gold_docs, tmp_path, caplog):
    nlp = spacy.blank("en")
    docs = gold_docs(nlp)
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "corpus.spacy")
    config = make_default(labels={}).config.copy()
    for name in ("train", "dev"):
        config["corpora"][name] = {"@readers": "ragre.Corpus.v1", "path": str(tmp_path / "corpus.spacy")}
    config["training"].update(max_steps=6, eval_frequency=3, logger={"@loggers": "spacy.ConsoleLogger.v3"})
    config.to_disk(tmp_path / "config.cfg")
    train_by_config(tmp_path / "config.cfg", tmp_path / "out", epochs=3, patience=0)
    again = spacy.load(tmp_path / "out" / "model-best")
    assert predictor_of(again).mode == "open" and predictor_of(again).open.shim.tuned
    assert f"{NAME}: trains the reader of open labels" in caplog.text
