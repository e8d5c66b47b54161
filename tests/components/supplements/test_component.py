"""The component in a pipeline: building, untrained use, batches, failures, and what it never does with a text."""

import logging
import socket
import warnings

import pytest
import spacy
from spacy.tokens import Doc, Span, SpanGroup

from spacy_ragre.components.supplements.predictor import TaskAnswer, TaskPredictor
from spacy_ragre.prompts.supplements import RELATIONS, USAGES

NAME = "supplement_usage_classifier"
TEXTS = [
    "Takes zinc for colds .",
    "",
    "Stopped iron and fish oil due to nausea .",
    "Nothing of the kind here .",
    "zinc",
    "ZINC , Zinc , zinc 🙂 .",
]


@pytest.fixture
def pipe():
    return lambda nlp: nlp.get_pipe(NAME)


# Building


def test_building_loads_no_weights(make_supplements, pipe):
    component = pipe(make_supplements())
    assert not component.predictor.backbone.is_loaded
    assert component.tasks == ("ner", "re", "te", "uc") and component.predictor.mode == "trie"


def test_default_config():
    nlp = spacy.blank("en")
    component = nlp.add_pipe(NAME)
    assert component.tasks == ("uc",) and component.gazetteer is not None
    lora = component.predictor.backbone.lora
    assert (lora.rank, lora.alpha, lora.dropout) == (64, 32, 0.1)
    assert nlp.analyze_pipes()["summary"][NAME]["assigns"] == [
        "doc.ents",
        "doc._.relations",
        "doc._.triples",
        "span._.usage",
        "span._.usage_score",
    ]


@pytest.mark.parametrize(
    "settings, code",
    [
        ({"tasks": []}, "R530"),
        ({"tasks": ["uc", "qa"]}, "R530"),
        ({"tasks": ["uc", "uc"]}, "R530"),
        ({"supplement_label": "X", "event_label": "X"}, "R532"),
        ({"max_tokens": 4}, "R533"),
        ({"max_sentences": 0}, "R533"),
        ({"mixing_temperature": 0.0}, "R533"),
        ({"answer": "generate"}, "R502"),
        ({"triples": "relations"}, "R536"),
        ({"label_smoothing": 1.0}, "R508"),
        (
            {
                "retriever": {
                    "@ragre_retrievers": "ragre.Retriever.v1",
                    "encoder": {"@ragre_encoders": "ragre.BackboneEncoder.v1"},
                }
            },
            "R531",
        ),
    ],
)
def test_wrong_settings(make_supplements, settings, code):
    with pytest.raises(ValueError, match=rf"\[{code}\]"):
        make_supplements(**settings)


def test_head_that_was_not_trained(make_supplements):
    with pytest.raises(ValueError, match=r"\[R503\]"):
        make_supplements(tasks=["uc"], answer="head")("Takes zinc .")


# Without training


def test_usage_on_plain_text_by_the_gazetteer(make_supplements):
    doc = make_supplements(tasks=["uc"])("Stopped FISH OIL, takes vitamin D.")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("FISH OIL", "SUPPLEMENT"), ("vitamin D.", "SUPPLEMENT")]
    assert all(ent._.usage in USAGES and 0.25 <= ent._.usage_score <= 1 for ent in doc.ents)


def test_mentions_of_another_pipe_come_before_the_gazetteer(make_supplements):
    nlp = make_supplements(tasks=["uc"])
    nlp.add_pipe("entity_ruler", first=True).add_patterns([{"label": "SUPPLEMENT", "pattern": "snake oil"}])
    doc = nlp("Takes snake oil and zinc .")
    assert [ent.text for ent in doc.ents] == ["snake oil"] and doc.ents[0]._.usage in USAGES


def test_without_gazetteer_and_mentions_nothing_is_found(make_supplements):
    doc = make_supplements(tasks=["uc"], gazetteer=None)("Takes zinc .")
    assert doc.ents == () and not doc.user_data


def test_other_entities_stay(make_supplements):
    nlp = make_supplements(tasks=["uc"])
    nlp.add_pipe("entity_ruler", first=True).add_patterns(
        [{"label": "PERSON", "pattern": "Ann"}, {"label": "ORG", "pattern": "Zinc Corp"}]
    )
    doc = nlp("Ann of Zinc Corp takes zinc .")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [
        ("Ann", "PERSON"),
        ("Zinc Corp", "ORG"),
        ("zinc", "SUPPLEMENT"),
    ]


def test_relations_between_supplements_and_events(make_supplements, gold):
    nlp = make_supplements(tasks=["re"])
    doc = gold(nlp)[4]
    doc._.relations = [{"head": (0, 1), "tail": (1, 2), "label": "other"}]
    relations = nlp(doc)._.relations
    assert [r for r in relations if r.label == "other"] and len(relations) == 3
    own = [r for r in relations if r.label in RELATIONS]
    assert {(r.head.text, r.tail.text) for r in own} == {("fish oil", "rash"), ("zinc", "rash")}
    assert all(r.evidence["text"] == doc.text for r in own)


def test_annotations_of_other_extractors_stay(make_supplements, gold, monkeypatch):
    respond(
        monkeypatch, {"te": "fish oil | positive | rash"}, {("fish", "rash"): "negative", ("zinc", "rash"): "negative"}
    )
    nlp = make_supplements(tasks=["re", "te"], triples="generate")
    doc = gold(nlp)[4]
    # As another extractor, and a former run, left it.
    doc._.relations = [
        {"head": (0, 1), "tail": (1, 2), "label": "other", "evidence": {"text": "t"}},
        {"head": (1, 3), "tail": (5, 6), "label": "positive"},
    ]
    doc._.triples = [("Ann", "takes", "zinc"), ("zinc", "negative", "rash")]
    for _ in range(2):
        doc = nlp(doc)
        assert sorted(r.label for r in doc._.relations) == ["negative", "negative", "other"]
        assert next(r for r in doc._.relations if r.label == "other").evidence == {"text": "t"}
        assert doc._.triples == [("Ann", "takes", "zinc"), ("fish oil", "positive", "rash")]


def test_retrieved_examples_are_kept_as_evidence(make_supplements, gold, pipe):
    nlp = make_supplements(tasks=["re", "uc"], n_examples=1)
    assert pipe(nlp).add_examples(gold(nlp)) == 5 + 7
    assert pipe(nlp).add_examples(gold(nlp)) == 0
    doc = nlp(gold(nlp)[0])
    (example,) = doc._.relations[0].evidence["examples"]
    assert example["text"] != doc.text and example["labels"][0]["label"] in RELATIONS


def test_span_groups_may_overlap(make_supplements):
    nlp = make_supplements(tasks=["re", "uc"], spans_key="sc")
    doc = nlp.make_doc("Takes fish oil for dry eyes .")
    doc.spans["sc"] = [Span(doc, 1, 3, "SUPPLEMENT"), Span(doc, 2, 3, "SUPPLEMENT"), Span(doc, 4, 6, "EVENT")]
    doc = nlp(doc)
    assert doc.ents == () and len(doc._.relations) == 2
    assert [bool(span._.usage) for span in doc.spans["sc"]] == [True, True, False]


# Generation


def respond(monkeypatch, responses, labels=None):
    """The same response to every question of a task; a label for each pair of names."""

    whole = TaskPredictor.predict

    def answer(task, item):
        if task in responses:
            return TaskAnswer(responses[task])
        return TaskAnswer(labels[item.first_text.split()[0], item.second_text], 0.9)

    def predict(self, questions, documents=None):
        if labels is None and not questions.keys() <= responses.keys():
            return whole(self, questions)
        return {task: [answer(task, item) for item in items] for task, items in questions.items()}

    monkeypatch.setattr(TaskPredictor, "predict", predict)


@pytest.mark.parametrize(
    "response",
    [
        "I am sorry, but I can't.",
        "aspirin (supplement); headache (event)",
        "zinc (supplement); " * 500,
        "zinc",
        "",
        "\n\n",
        "🙂 (supplement); \ud7ff (event)",
        "zin (supplement)",
    ],
)
def test_nothing_invented_reaches_the_document(make_supplements, monkeypatch, response):
    respond(monkeypatch, {"ner": response, "te": response})
    nlp = make_supplements(tasks=["ner", "te"])
    doc = nlp("Takes zinc for colds .")
    assert all(ent.text == "zinc" for ent in doc.ents) and len(doc.ents) <= 1
    assert doc._.triples == []


def test_what_was_dropped_is_counted_and_logged_without_the_text(make_supplements, monkeypatch, pipe, caplog):
    respond(monkeypatch, {"ner": "zinc (supplement); opium (event); nonsense", "te": "zinc | positive | gout"})
    nlp = make_supplements(tasks=["ner", "te"])
    with caplog.at_level(logging.DEBUG, "spacy_ragre"):
        doc = nlp("Takes zinc for colds .")
    assert [ent.text for ent in doc.ents] == ["zinc"] and pipe(nlp).dropped == 3
    assert len(caplog.records) == 2
    for word in ("zinc", "opium", "gout", "nonsense", "colds"):
        assert word not in caplog.text


def test_triples_are_written_as_they_stand_in_the_text(make_supplements, monkeypatch):
    respond(monkeypatch, {"te": "FISH OIL | Positive | dry eyes; fish oil | positive | dry eyes"})
    doc = make_supplements(tasks=["te"])("Takes fish\noil for dry eyes .")
    assert doc._.triples == [("fish oil", "positive", "dry eyes")]


@pytest.fixture
def pair_doc(make_supplements):
    """A pipeline that is asked for relations and triples, and a document with mentions."""

    def make(**settings):
        nlp = make_supplements(tasks=["re", "te"], **settings)
        doc = nlp.make_doc("Takes fish\noil and zinc for dry eyes , no rash .")
        doc.ents = [
            Span(doc, 1, 4, "SUPPLEMENT"),
            Span(doc, 5, 6, "SUPPLEMENT"),
            Span(doc, 7, 9, "EVENT"),
            Span(doc, 11, 12, "EVENT"),
        ]
        return nlp, doc

    return make


LABELS = {
    ("fish", "dry eyes"): "positive",
    ("fish", "rash"): "not_related",
    ("zinc", "dry eyes"): "positive",
    ("zinc", "rash"): "negative",
}


def test_triples_are_read_off_the_relations(pair_doc, monkeypatch):
    respond(monkeypatch, {"te": "zinc | negative | dry eyes"}, LABELS)
    nlp, doc = pair_doc()
    assert len(nlp(doc)._.relations) == 4
    assert doc._.triples == [
        ("fish oil", "positive", "dry eyes"),
        ("zinc", "positive", "dry eyes"),
        ("zinc", "negative", "rash"),
    ]
    nlp, doc = pair_doc(triples="generate")
    assert nlp(doc)._.triples == [("zinc", "negative", "dry eyes")] and len(doc._.relations) == 4


def test_triples_alone_set_no_relations(pair_doc, pipe, monkeypatch):
    respond(monkeypatch, {}, LABELS)
    nlp, doc = pair_doc()
    pipe(nlp).set_annotations([doc], pipe(nlp).predict([doc], tasks=["te"]))
    assert len(doc._.triples) == 3 and not doc._.relations


def test_repeated_mentions_get_their_own_places(make_supplements, monkeypatch):
    respond(monkeypatch, {"ner": "zinc (supplement); zinc (supplement)"})
    doc = make_supplements(tasks=["ner"])("zinc helps , so more zinc .")
    assert [(ent.start, ent.label_) for ent in doc.ents] == [(0, "SUPPLEMENT"), (5, "SUPPLEMENT")]


def test_generated_mentions_replace_those_of_both_labels_and_keep_others(make_supplements, monkeypatch):
    respond(monkeypatch, {"ner": "zinc (supplement)"})
    nlp = make_supplements(tasks=["ner"])
    doc = nlp.make_doc("Ann takes iron and zinc .")
    doc.ents = [Span(doc, 0, 1, "PERSON"), Span(doc, 2, 3, "SUPPLEMENT")]
    assert [(ent.text, ent.label_) for ent in nlp(doc).ents] == [("Ann", "PERSON"), ("zinc", "SUPPLEMENT")]


def test_usage_alone_keeps_the_mentions_that_are_there(make_supplements, pipe):
    nlp = make_supplements(tasks=["ner", "uc"])
    doc = nlp.make_doc("zinc helps against rash .")
    doc.ents = [Span(doc, 3, 4, "EVENT")]
    pipe(nlp).set_annotations([doc], pipe(nlp).predict([doc], tasks=["uc"]))
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("zinc", "SUPPLEMENT"), ("rash", "EVENT")]


@pytest.mark.parametrize("triples", ["auto", "generate"])
@pytest.mark.parametrize("constrained", [True, False])
def test_an_untrained_model_names_only_what_is_in_the_text(make_supplements, constrained, triples):
    nlp = make_supplements(constrained=constrained, triples=triples)
    for doc in nlp.pipe(TEXTS):
        for head, relation, tail in doc._.triples:
            assert head in doc.text and tail in doc.text and relation in RELATIONS[:2]


# Documents


@pytest.mark.parametrize("state", ["untrained", "trained"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_pipe_equals_call(make_supplements, trained_supplements, all_of, state, batch_size):
    nlp = spacy.load(trained_supplements) if state == "trained" else make_supplements()
    docs = list(nlp.pipe(TEXTS, batch_size=batch_size))
    assert [doc.text for doc in docs] == TEXTS
    assert all_of(docs) == all_of([nlp(text) for text in TEXTS])


def test_processes(trained_supplements, all_of):
    nlp = spacy.load(trained_supplements)
    docs = list(nlp.pipe(TEXTS, n_process=2, batch_size=2))
    assert all_of(docs) == all_of(nlp.pipe(TEXTS))


def test_a_failing_document_goes_to_the_error_handler_and_the_others_go_on(make_supplements, monkeypatch):
    nlp = make_supplements(tasks=["uc"])
    nlp.get_pipe(NAME)
    whole = TaskPredictor.predict

    def predict(self, questions, documents=None):
        if any("fish" in instance.text for instance in questions["uc"]):
            raise ValueError("no fish")
        return whole(self, questions)

    monkeypatch.setattr(TaskPredictor, "predict", predict)
    failed = []
    nlp.set_error_handler(lambda name, proc, docs, error: failed.append((name, [doc.text for doc in docs], str(error))))
    docs = list(nlp.pipe(TEXTS, batch_size=6))
    assert [doc.text for doc in docs] == [text for text in TEXTS if "fish" not in text]
    assert failed == [(NAME, [TEXTS[2]], "no fish")]
    nlp = make_supplements(tasks=["uc"])
    with pytest.raises(ValueError, match="no fish"):
        nlp(TEXTS[2])


def test_scores_that_are_not_numbers(make_supplements, trained_supplements):
    nlp = spacy.load(trained_supplements)
    shim = nlp.get_pipe(NAME).predictor.shim
    shim.restore()
    shim.bias.data.fill_(float("nan"))
    doc = nlp.make_doc("Takes zinc .")
    doc.ents = [Span(doc, 1, 2, "SUPPLEMENT")]
    component = nlp.get_pipe(NAME)
    with pytest.raises(ValueError, match=r"\[R504\]"):
        component.predict([doc], tasks=["uc"])


def test_a_note_of_ten_thousand_characters(trained_supplements):
    nlp = spacy.load(trained_supplements)
    note = "Takes zinc for colds . No pain since .\n" * 257
    assert len(note) > 10_000
    doc = nlp(note[:10_000])
    assert doc.ents and all(triple[0] in note and triple[2] in note for triple in doc._.triples)
    for relation in doc._.relations:
        assert abs(relation.head.start - relation.tail.start) < 64


def test_no_tokens(make_supplements):
    nlp = make_supplements()
    doc = nlp(Doc(nlp.vocab))
    assert (doc.ents, doc._.relations, doc._.triples) == ((), [], [])


# Safety


def test_no_socket_is_opened(make_supplements, gold, monkeypatch, pipe):
    nlp = make_supplements(n_examples=1)

    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    pipe(nlp).add_examples(gold(nlp))
    docs = list(nlp.pipe(TEXTS))
    assert len(docs) == len(TEXTS) and any(doc.ents for doc in docs)


def test_nothing_of_the_text_is_logged_or_printed(trained_supplements, caplog, capfd, recwarn):
    with caplog.at_level(logging.DEBUG):
        nlp = spacy.load(trained_supplements)
        list(nlp.pipe(["Takes xylophonol for glumness ."] * 3))
    out = capfd.readouterr()
    shown = caplog.text + out.out + out.err + " ".join(str(item.message) for item in recwarn)
    assert "xylophon" not in shown and "glum" not in shown


def test_the_gazetteer_takes_the_place_of_entities_that_are_no_more_than_its_names(make_supplements):
    nlp = make_supplements(tasks=["uc"])
    patterns = [("PERSON", "B6"), ("PRODUCT", "D3"), ("ORG", "Zinc Corp"), ("EVENT", "iron")]
    ruler = nlp.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": label, "pattern": pattern} for label, pattern in patterns])
    doc = nlp("Takes B6 and vitamin D3 from Zinc Corp , low iron .")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [
        ("B6", "SUPPLEMENT"),
        ("vitamin D3", "SUPPLEMENT"),
        ("Zinc Corp", "ORG"),
        ("iron", "EVENT"),
    ]


def test_blocked_tokens_stay_blocked(make_supplements, monkeypatch):
    for settings in ({"tasks": ["uc"]}, {"tasks": ["ner"]}):
        nlp = make_supplements(**settings)
        respond(monkeypatch, {"ner": " zinc (supplement); iron (supplement)"})
        doc = nlp.make_doc("Takes zinc and iron .")
        doc.set_ents([], blocked=[doc[1:2]], default="missing")
        assert [ent.text for ent in nlp(doc).ents] == ["iron"]
        assert doc[1].ent_iob_ == "B" and doc[1].ent_type_ == ""


def test_annotations_of_mentions_that_are_gone_go_with_them(make_supplements, monkeypatch, gold):
    nlp = make_supplements(tasks=["ner"])
    respond(monkeypatch, {"ner": " rash (event); zinc (supplement)"})
    doc = gold(nlp)[4]
    doc._.relations = [*doc._.relations, {"head": (0, 1), "tail": (1, 3), "label": "other"}]
    doc = nlp(doc)
    assert [(ent.text, ent._.usage) for ent in doc.ents] == [("rash", ""), ("zinc", "discontinued")]
    assert doc[1:3]._.usage == ""
    assert [(r.head.text, r.label) for r in doc._.relations] == [("zinc", "not_related"), ("Takes", "other")]


def test_span_groups_keep_their_attributes(make_supplements):
    nlp = make_supplements(tasks=["uc"], spans_key="sc")
    doc = nlp.make_doc("Takes zinc .")
    doc.spans["sc"] = SpanGroup(doc, name="sc", attrs={"scores": [1]}, spans=[doc[0:1]])
    doc = nlp(doc)
    assert doc.spans["sc"].attrs == {"scores": [1]} and [span.text for span in doc.spans["sc"]] == ["Takes", "zinc"]


def test_pieces_that_the_tokenizer_leaves_out_are_in_no_name(make_supplements, monkeypatch, pipe):
    predictor = pipe(make_supplements(tasks=["ner"])).predictor
    ids = predictor._response_ids
    monkeypatch.setattr(predictor, "_response_ids", lambda text: () if "\u200b" in text else ids(text))
    grammar = predictor._grammar("ner", "Takes zinc\u200b and vitamin_d .")
    assert [(piece.begins, piece.ends) for piece in grammar.pieces] == [(True, True)] * 4 + [(False, False)]
    assert grammar.allowed(grammar.start())


@pytest.mark.parametrize(
    "tasks, settings, warned",
    [
        (["re"], {}, True),
        (["uc"], {"gazetteer": None}, True),
        (["uc"], {}, False),
        (["te"], {"gazetteer": None}, False),
        (["ner", "re"], {}, False),
    ],
)
def test_documents_without_mentions_are_noticed_once(make_supplements, tasks, settings, warned):
    nlp = make_supplements(tasks=tasks, **settings)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        list(nlp.pipe(["Takes zinc .", "Takes iron ."], batch_size=1))
    assert len([item for item in found if "W530" in str(item.message)]) == warned
