"""Where pairs of mentions come from: generators, text windows, gold labels and type constraints."""

from .base import Candidate, CandidateGenerator
from .generators import (
    make_near_sentences,
    make_passage,
    make_proposed,
    make_same_sentence,
    make_token_distance,
    make_whole_document,
    needs_proposals,
)
from .gold import filter_by_types, is_near, label_candidates, unreached

__all__ = [
    "Candidate",
    "CandidateGenerator",
    "filter_by_types",
    "is_near",
    "label_candidates",
    "make_near_sentences",
    "make_passage",
    "make_proposed",
    "make_same_sentence",
    "make_token_distance",
    "make_whole_document",
    "needs_proposals",
    "unreached",
]
