"""The oracle of benchmarks.teacher errs as often as it is told to, and agreement tells where."""

import random
from typing import Any

import pytest
import spacy

from benchmarks.teacher import answer, teach
from spacy_ragre import doc_from_dict
from spacy_ragre.pair_weights import get_weights
from spacy_ragre.relations import get_relations


@pytest.mark.parametrize("error", [0.0, 0.3])
def test_errors_are_as_many_as_stated(error: float) -> None:
    chance = random.Random(0)
    given = [answer(3, 19, 5, error, chance) for _ in range(2000)]
    assert sum(own != (3,) for answers in given for own in answers) / 10000 == pytest.approx(error, abs=0.02)
    # A sentence's wrong answers all name the same class.
    assert all(len(set(answers)) <= 2 for answers in given)


def test_sentences_are_annotated_as_the_oracle_sees_them() -> None:
    nlp = spacy.blank("en")

    def make(number: int, label: Any) -> Any:
        ents = [{"start": 0, "end": 4, "label": "NOMINAL"}, {"start": 12, "end": 17, "label": "NOMINAL"}]
        relations = [{"head": 1, "tail": 0, "label": label}] if label else []
        return doc_from_dict({"text": f"fire caused smoke {number}", "ents": ents, "relations": relations}, nlp)

    docs = [make(number, "Cause-Effect" if number % 2 else None) for number in range(40)]
    silver, right = teach(docs, 5, 0.0, 0)
    assert right == 1.0 and not any(get_weights(doc) for doc in silver)
    assert [len(get_relations(doc)) for doc in silver] == [number % 2 for number in range(40)]
    silver, right = teach(docs, 5, 0.4, 0)
    assert 0.3 < right < 1
    agreed = [own[0].weight if (own := get_weights(doc)) else 1.0 for doc in silver]
    assert {round(share * 5) for share in agreed} <= {3, 4, 5} and min(agreed) < 1
