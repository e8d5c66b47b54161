"""Formats of corpora, and the scores that belong to them: R370 to R375, R378 to R389, W370 to W379."""

from .codes import WithCodes


class FormatErrors(metaclass=WithCodes):
    R375 = (
        "Document {id!r} has {count} candidate pair(s), but the score of TACRED asks about exactly one, subject and "
        "object. Convert the corpus with --format tacred and keep gold_ents = true for evaluation, or leave the setting"
        " 'tacred' of ragre.relation_scorer.v1 off."
    )
