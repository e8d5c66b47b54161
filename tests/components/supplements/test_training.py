"""Training of all tasks and of some, saving and loading."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import spacy
from spacy.lang.en import English as Language
from spacy.tokens import DocBin, Span
from spacy.training import Example

from spacy_ragre.components.supplements.questions import EntityLabels
from spacy_ragre.llm.attention.packing import unshared
from spacy_ragre.prompts.supplements import TASKS
from spacy_ragre.relations import TRIPLES_KEY, relations_key
from spacy_ragre.training import parallel

from .conftest import E, S

NAME = "supplement_usage_classifier"


@pytest.fixture
def pipe():
    return lambda nlp: nlp.get_pipe(NAME)


def evaluate(nlp, gold):
    """Scores end to end, from texts."""
    return nlp.evaluate([Example(nlp.make_doc(doc.text), doc) for doc in gold(nlp)])


@pytest.mark.parametrize("triples", ["auto", "generate"])
def test_all_tasks_are_learned_by_one_adapter(trained_supplements, gold, triples):
    config = {"components": {NAME: {"triples": triples}}}
    scores = evaluate(spacy.load(trained_supplements, config=config), gold)
    assert scores["ner_strict_f"] > 0.9 and scores["te_strict_f"] > 0.9
    assert scores["re_micro_f"] > 0.9 and scores["uc_macro_f"] > 0.9
    assert scores["uc_confusion"]["started"] == {"started": 1}


@pytest.mark.parametrize("task", TASKS)
def test_one_task_alone(make_supplements, gold_examples_of, train_supplements, task):
    nlp = make_supplements(tasks=[task], n_examples=1)
    examples = gold_examples_of(nlp)
    losses = train_supplements(nlp, examples, steps=40)
    assert losses[-1] < losses[0] / 2
    scores = nlp.evaluate(examples)
    own = {"ner": "ner_strict_f", "re": "re_micro_f", "te": "te_strict_f", "uc": "uc_macro_f"}
    assert scores[own[task]] > 0.5
    assert not [key for key in scores if key[:3] in {f"{other}_" for other in TASKS if other != task}]


def test_stores_hold_the_training_examples_of_each_task(make_supplements, gold_examples_of, pipe):
    nlp = make_supplements(n_examples=2)
    examples = gold_examples_of(nlp)
    nlp.initialize(lambda: examples)
    sizes = {task: len(store) for task, store in pipe(nlp).predictor.stores.items()}
    assert sizes == {"ner": 7, "re": 5, "te": 7, "uc": 7}
    # An example never finds its own text.
    for task, store in pipe(nlp).predictor.stores.items():
        instances = store.store.instances
        for instance, found in zip(instances, pipe(nlp).predictor.found(task, instances)):
            assert len(found) == 2 and all(neighbour.instance.text != instance.text for neighbour in found)


@pytest.mark.parametrize("n_examples", [0, 2])
def test_questions_about_one_text_share_their_examples(make_supplements, gold_examples_of, pipe, n_examples):
    nlp = make_supplements(tasks=["uc"], n_examples=n_examples)
    examples = gold_examples_of(nlp)
    nlp.initialize(lambda: examples)
    component, predictor = pipe(nlp), pipe(nlp).predictor
    items = component._gold(example.reference for example in examples)["uc"]
    found = predictor.found("uc", items)
    prompts = predictor._prompts("uc", items, found)
    texts = {}
    for item, near, prompt in zip(items, found, prompts):
        texts.setdefault(item.text, []).append(prompt.document)
        # What is shared changes no token.
        shown = [neighbour.instance for neighbour in near][::-1]
        whole = predictor.prompt.segments("uc", item, shown).pieces()
        assert prompt.ids == predictor.backbone.tokenize(("", (), whole)).ids
    assert max(map(len, texts.values())) > 1
    assert all(len(set(documents)) == 1 and bool(documents[0]) == bool(n_examples) for documents in texts.values())
    assert any(chunk.shared is not None for chunk in predictor.backbone.pack(prompts)) == bool(n_examples)
    # Nor does it change an answer.
    together = predictor.predict({"uc": items})["uc"]
    alone = [predictor.predict({"uc": [item]})["uc"][0] for item in items]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    assert [answer.score for answer in together] == pytest.approx([answer.score for answer in alone], abs=1e-4)


def test_answers_of_both_tasks_together_are_those_of_each(make_supplements, gold_examples_of, train_supplements, pipe):
    nlp = make_supplements(tasks=["re", "uc"])
    examples = gold_examples_of(nlp)
    train_supplements(nlp, examples, steps=3)
    gold = pipe(nlp)._gold(example.reference for example in examples)
    predictor = pipe(nlp).predictor
    together = predictor.predict(gold)
    for task, items in gold.items():
        alone = predictor.predict({task: items})[task]
        assert len(items) == len(alone) and [a.text for a in together[task]] == [a.text for a in alone]
        assert [a.score for a in together[task]] == pytest.approx([a.score for a in alone], abs=1e-4)
    # Read off the model prompt by prompt, without trees.
    prompts = predictor._prompts("re", gold["re"], predictor.found("re", gold["re"]))
    expected = pipe(nlp).model.predict(unshared(prompts))[0]
    assert np.allclose(predictor.shim.label_logits([prompt.ids for prompt in prompts]), expected, atol=1e-4)
    assert predictor.predict({"re": [], "uc": []}) == {"re": [], "uc": []}


@pytest.mark.parametrize("text, calls", [("response", 1), ("marked", 4)])
def test_a_text_is_encoded_once_for_all_tasks(make_supplements, gold_examples_of, pipe, monkeypatch, text, calls):
    """With keys that depend on the mentions, once for each task."""
    nlp = make_supplements(n_examples=1)
    predictor = pipe(nlp).predictor
    encoder = predictor.stores["uc"].encoder
    encoder.text = text
    docs = [example.reference for example in gold_examples_of(nlp)]
    pipe(nlp).add_examples(docs)
    encoded, encode = [], encoder.encode_queries
    monkeypatch.setattr(encoder, "encode_queries", lambda items: encoded.append(len(items)) or encode(items))
    asked = pipe(nlp)._gold(docs)
    found = {task: predictor.found(task, items) for task, items in asked.items()}
    assert len(encoded) == calls
    for task, items in asked.items():
        assert found[task] == predictor.stores[task].retrieve(items, k=1)
    # Other texts, and other examples, are not taken for those.
    shorter = [replace(item, text=item.text + " Seen.") for item in asked["ner"][:2]]
    assert predictor.found("ner", shorter) == predictor.stores["ner"].retrieve(shorter, k=1)
    pipe(nlp).add_examples(docs[:1])
    assert predictor.found("ner", asked["ner"]) == predictor.stores["ner"].retrieve(asked["ner"], k=1)


def test_mixing_weights_come_from_the_training_data(make_supplements, gold_examples_of, pipe):
    nlp = make_supplements(tasks=["re", "te"], mixing_temperature=1e6)
    examples = gold_examples_of(nlp)
    nlp.initialize(lambda: examples)
    weights = pipe(nlp).weights
    assert weights["re"] * 5 == pytest.approx(weights["te"] * 7, rel=1e-3)


def test_every_token_of_the_responses_weighs_the_same(make_supplements, gold_examples_of, pipe):
    # Empty and short lists must not outweigh long ones, or nothing is listed.
    from spacy_ragre.components.supplements.model import Trained

    nlp = make_supplements(tasks=["te"])
    examples = gold_examples_of(nlp)
    nlp.initialize(lambda: examples)
    predictor = pipe(nlp).predictor
    items = pipe(nlp)._gold(example.reference for example in examples)["te"]
    assert "none" in {item.response for item in items} and len({item.response for item in items}) > 2
    prompts = [prompt.ids for prompt in predictor._prompts("te", items, predictor.found("te", items))]
    responses = [predictor._response_ids(f" {item.response}") for item in items]
    tokens = sum(len(response) + 1 for response in responses)
    loss = predictor.shim.train([Trained(p, 1 / tokens, response=r) for p, r in zip(prompts, responses)])
    assert pipe(nlp).update(examples)[NAME] == pytest.approx(loss, rel=1e-4)


def test_gradients_add_up_until_the_step(make_supplements, gold_examples_of, pipe):
    nlp = make_supplements(tasks=["uc"])
    examples = gold_examples_of(nlp)
    optimizer = nlp.initialize(lambda: examples)
    before = pipe(nlp).model.to_bytes()
    # Without an optimizer; `nlp.update` would make one.
    pipe(nlp).update(examples)
    assert pipe(nlp).model.to_bytes() == before and not pipe(nlp).predictor.trained
    pipe(nlp).finish_update(optimizer)
    assert pipe(nlp).model.to_bytes() != before and pipe(nlp).predictor.trained


def test_nothing_to_learn(make_supplements, pipe):
    nlp = make_supplements(tasks=["uc"])
    examples = [Example(nlp.make_doc("Sleeps well ."), nlp.make_doc("Sleeps well ."))]
    nlp.initialize(lambda: examples)
    assert not pipe(nlp).predictor.shim.has_head
    assert nlp.update(examples)[NAME] == 0.0


def test_saved_and_loaded(trained_supplements, all_of, tmp_path):
    texts = ["Takes zinc for colds .", "Stopped iron due to nausea .", ""]
    nlp = spacy.load(trained_supplements)
    expected = all_of(nlp.pipe(texts))
    nlp.to_disk(tmp_path / "again")
    assert all_of(spacy.load(tmp_path / "again").pipe(texts)) == expected
    copy = Language.from_config(nlp.config).from_bytes(nlp.to_bytes())
    assert all_of(copy.pipe(texts)) == expected
    assert all_of(pickle.loads(pickle.dumps(nlp)).pipe(texts)) == expected


def test_stores_are_saved(make_supplements, gold_examples_of, tmp_path, pipe):
    nlp = make_supplements(n_examples=1)
    examples = gold_examples_of(nlp)
    nlp.initialize(lambda: examples)
    nlp.to_disk(tmp_path)
    for task, store in pipe(spacy.load(tmp_path)).predictor.stores.items():
        assert store.store.instances == pipe(nlp).predictor.stores[task].store.instances


def test_some_tasks_of_a_trained_pipeline(trained_supplements, gold):
    nlp = spacy.load(trained_supplements, config={f"components.{NAME}.tasks": ["uc"]})
    component = nlp.get_pipe(NAME)
    assert component.tasks == ("uc",) and component.predictor.mode == "head"
    doc = nlp(gold(nlp)[0])
    assert doc.ents[0]._.usage == "continuing" and doc._.triples == gold(nlp)[0]._.triples


def test_tasks_that_were_not_trained_are_refused(make_supplements, gold_examples_of, tmp_path):
    nlp = make_supplements(tasks=["uc"])
    examples = gold_examples_of(nlp)
    nlp.initialize(lambda: examples)
    nlp.to_disk(tmp_path)
    with pytest.raises(ValueError, match=r"\[R534\].*ner"):
        spacy.load(tmp_path, config={f"components.{NAME}.tasks": ["ner", "uc"]})


@pytest.mark.parametrize("damage, code", [("delete", "R121"), ("cut", "R120"), ("store", "R121")])
def test_damaged_pipelines(trained_supplements, tmp_path, damage, code):
    nlp = spacy.load(trained_supplements)
    nlp.to_disk(tmp_path)
    model = tmp_path / NAME / "model"
    if damage == "delete":
        model.unlink()
    elif damage == "cut":
        model.write_bytes(model.read_bytes()[:300])
    else:
        (tmp_path / NAME / "store_uc" / "store" / "meta.json").unlink()
    with pytest.raises((OSError, ValueError), match=rf"\[{code}\]"):
        spacy.load(tmp_path)


def test_annotations_survive_a_docbin(trained_supplements, all_of):
    nlp = spacy.load(trained_supplements)
    docs = list(nlp.pipe(["Takes zinc for colds .", "Start biotin today ."]))
    doc_bin = DocBin(docs=docs, store_user_data=True)
    assert all_of(DocBin().from_bytes(doc_bin.to_bytes()).get_docs(nlp.vocab)) == all_of(docs)


def test_entity_labels_are_free(make_supplements, gold, pipe):
    nlp = make_supplements(tasks=["uc"], supplement_label="DRUG", event_label="SIGN")
    assert pipe(nlp).entity_labels == EntityLabels("DRUG", "SIGN")
    assert [ent.label_ for ent in nlp("Takes zinc .").ents] == ["DRUG"]
    doc = nlp(gold(nlp)[0])
    # That of the gazetteer takes the place of an entity with the same words and another label.
    assert {ent.label_ for ent in doc.ents} == {"DRUG", "EVENT"}


def test_an_encoder_decoder_model(make_supplements, gold_examples_of, train_supplements, tiny_t5):
    model = {
        "@architectures": "ragre.MultiTaskModel.v1",
        "backbone": {
            "@ragre_backbones": "ragre.Seq2SeqLM.v1",
            "name": str(tiny_t5),
            "device": "cpu",
            "lora": {"rank": 8},
        },
    }
    nlp = make_supplements(model=model)
    examples = gold_examples_of(nlp)
    losses = train_supplements(nlp, examples, steps=40)
    assert losses[-1] < losses[0]
    for doc in nlp.pipe(["Takes zinc for colds .", ""]):
        assert all(head in doc.text and tail in doc.text for head, _, tail in doc._.triples)


def test_documents_without_annotated_entities_teach_no_empty_list(make_supplements, gold_examples_of, pipe, gold):
    nlp = make_supplements(n_examples=1)
    assert pipe(nlp).add_examples([nlp.make_doc("Takes zinc and fish oil for colds .")]) == 0
    nlp.initialize()
    assert not any(len(store) for store in pipe(nlp).predictor.stores.values())
    plain = nlp.make_doc("Takes zinc daily , sleeps well on most nights , no pain .")
    nlp.initialize(lambda: [*gold_examples_of(nlp), Example(plain.copy(), plain)])
    texts = [instance.text for instance in pipe(nlp).predictor.stores["ner"].store.instances]
    assert len(texts) == len(gold(nlp)) and plain.text not in texts


def test_initialize_starts_anew(make_supplements, gold_examples_of, pipe):
    nlp = make_supplements(n_examples=1, swap_mentions=0.5)
    examples = gold_examples_of(nlp)
    nlp.initialize(lambda: examples[:3] + examples[4:5])
    nlp.initialize(lambda: examples[:2])
    texts = {instance.text for instance in pipe(nlp).predictor.stores["uc"].store.instances}
    assert texts == {example.reference.text for example in examples[:2]}
    assert set(pipe(nlp).swapper._names["SUPPLEMENT"]) == {"zinc", "iron"}


def test_a_task_without_annotation_is_refused(make_supplements, gold_examples_of):
    nlp = make_supplements()
    examples = gold_examples_of(nlp)
    for example in examples:
        del example.reference.user_data[relations_key()]
    with pytest.raises(ValueError, match="R538.*supplement_usage_classifier.*task.s. re:"):
        nlp.initialize(lambda: examples)
    nlp = make_supplements()
    examples = gold_examples_of(nlp)
    for example in examples:
        del example.reference.user_data[TRIPLES_KEY]
    # With relations, triples are read off them.
    nlp.initialize(lambda: examples)
    with pytest.raises(ValueError, match="R538.*te:"):
        make_supplements(triples="generate").initialize(lambda: examples)


def test_the_scorer_looks_where_the_component_does(make_supplements, gold):
    for settings in ({"spans_key": "sc"}, {"supplement_label": "DRUG", "event_label": "SIGN"}):
        nlp = make_supplements(tasks=["ner", "uc"], **settings)
        names = {"SUPPLEMENT": settings.get("supplement_label", S), "EVENT": settings.get("event_label", E)}
        docs = gold(nlp)
        for doc in docs:
            spans = [Span(doc, ent.start, ent.end, names[ent.label_]) for ent in doc.ents]
            if "spans_key" in settings:
                doc.spans["sc"] = spans
                doc.ents = []
            else:
                doc.ents = spans
        for pipeline in (nlp, make_supplements(tasks=["ner", "uc"], **settings).from_bytes(nlp.to_bytes())):
            scores = pipeline.get_pipe(NAME).score([Example(doc, doc) for doc in docs])
            assert scores["ner_strict_f"] == scores["uc_macro_f"] == 1.0


def test_only_the_tasks_that_were_loaded_are_scored(trained_supplements, gold):
    nlp = spacy.load(trained_supplements, config={f"components.{NAME}.tasks": ["uc"]})
    scores = nlp.get_pipe(NAME).score([Example(doc, doc) for doc in gold(nlp)])
    assert "uc_macro_f" in scores and not any(key.startswith(("ner", "re", "te")) for key in scores)


def test_examples_that_were_loaded_are_shown(make_supplements, gold_examples_of, pipe):
    """What was found for a text before is not that of the new store."""
    nlp, other = (make_supplements(tasks=["uc"], n_examples=1) for _ in range(2))
    examples = gold_examples_of(nlp)
    for pipeline, own in ((nlp, examples[:2]), (other, examples[2:])):
        pipeline.update(examples, sgd=pipeline.initialize(lambda own=own: own))
    nlp.from_bytes(other.to_bytes())
    predictor = pipe(nlp).predictor
    gold = pipe(nlp)._gold([example.reference for example in examples[:2]])["uc"]
    shown = [n.instance.text for found in predictor._found_once("uc", gold) for n in found]
    assert shown and not {example.reference.text for example in examples[:2]} & set(shown)


def test_a_killed_training_goes_on(check_resuming, make_supplements, gold):
    nlp = make_supplements(tasks=["re", "uc"], n_examples=1, dropout=0.2)
    check_resuming(nlp, gold(nlp), NAME)


def test_a_process_may_have_no_share_of_a_batch(make_supplements, gold_examples_of, pipe, monkeypatch):
    nlp = make_supplements()
    examples = gold_examples_of(nlp)
    nlp.initialize(lambda: examples)
    monkeypatch.setattr(parallel._group, "size", 100)
    assert pipe(nlp)._learn(examples[:1]) == 0


@pytest.mark.cuda
def test_all_tasks_are_learned_on_a_gpu(on_gpu, make_supplements, gold_examples_of, train_supplements):
    nlp = on_gpu(make_supplements(n_examples=1))
    examples = gold_examples_of(nlp)
    losses = train_supplements(nlp, examples, steps=20)
    assert losses[-1] < losses[0] / 2
    scores = nlp.evaluate(examples)
    assert {"ner_strict_f", "re_micro_f", "te_strict_f", "uc_macro_f"} <= set(scores)
