from typing import List, Sequence

import numpy as np
import pytest

from spacy_ragre.instances import Instance
from spacy_ragre.retrieval.state_keys import BackboneEncoder, create_backbone_encoder, normalize

PAIRS = [Instance("Ada met Bob", (0, 3), (8, 11)), Instance("Bob met Ada", (0, 3), (8, 11))]


def test_r111_where_no_component_owns_the_encoder() -> None:
    encoder = create_backbone_encoder()
    for use in (lambda: encoder.width, lambda: encoder.fingerprint, lambda: encoder.encode_queries(PAIRS)):
        with pytest.raises(ValueError, match="R111"):
            use()


def test_keys_are_the_states_at_unit_length() -> None:
    asked: List[Sequence[Instance]] = []

    def states(instances: Sequence[Instance]) -> np.ndarray:
        asked.append(instances)
        return np.asarray([[3.0, 4.0], [0.0, 0.0]])

    encoder = BackboneEncoder()
    encoder.bind(states, lambda: "abc", lambda: 2)
    keys = encoder.encode_queries(PAIRS)
    assert keys.dtype == np.float32
    np.testing.assert_allclose(keys, [[0.6, 0.8], [0.0, 0.0]], atol=1e-7)
    np.testing.assert_array_equal(encoder.encode_examples(PAIRS), keys)
    assert asked == [PAIRS, PAIRS] and (encoder.fingerprint, encoder.width) == ("abc", 2)


def test_what_is_bound_is_asked_anew_each_time() -> None:
    # The fingerprint changes when the adapter is trained: a kept value would let old keys pass.
    values = iter(["before", "after"])
    encoder = BackboneEncoder()
    encoder.bind(lambda instances: np.ones((len(instances), 2)), lambda: next(values), lambda: 2)
    assert encoder.fingerprint == "before" and encoder.fingerprint == "after"


def test_normalize_gives_float32_rows_of_unit_length() -> None:
    rows = normalize(np.random.default_rng(0).normal(size=(5, 7)))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    assert rows.dtype == np.float32
