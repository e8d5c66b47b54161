"""TF-IDF and logistic regression (scikit-learn): words of the sentence, between the nominals, and of the nominals."""

import argparse
from typing import List, Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from .common import Predict, Sentence, make_parser, run


def sentences(items: Sequence[Sentence]) -> List[str]:
    return [item.text for item in items]


def between(items: Sequence[Sentence]) -> List[str]:
    return [item.parts[2] for item in items]


def nominals(items: Sequence[Sentence]) -> List[str]:
    # With their places, since a relation has a direction.
    return [" ".join(f"{place}_{w}" for place, n in zip("ab", (1, 3)) for w in item.parts[n].split()) for item in items]


def build(seed: int) -> Pipeline:
    """RETURNS (Pipeline): the features and the classifier. Nothing of it was chosen on data."""
    kinds = {"sentence": (sentences, (1, 2)), "between": (between, (1, 3)), "nominals": (nominals, (1, 1))}
    features = FeatureUnion(
        [
            (
                name,
                make_pipeline(
                    FunctionTransformer(take), TfidfVectorizer(ngram_range=n, sublinear_tf=True, token_pattern=r"\S+")
                ),
            )
            for name, (take, n) in kinds.items()
        ]
    )
    return make_pipeline(features, LogisticRegression(C=10, max_iter=1000, random_state=seed))


def fit(train: List[Sentence], args: argparse.Namespace) -> Predict:
    model = build(args.seed)
    model.fit(train, [item.label for item in train])
    return lambda test: [str(label) for label in model.predict(test)]


if __name__ == "__main__":
    run(make_parser(__doc__).parse_args(), fit)
