"""Layers of annotations of INCEpTION and WebAnno: which of them matter for relations, and which feature says what."""

from typing import Any, Dict, Mapping, Tuple

TOKEN = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type.Token"
SENTENCE = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type.Sentence"
METADATA = "de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData"
# The layers that are written: INCEpTION's own of entities, and one of relations, as a user would add it there.
ENTITIES = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
RELATIONS = "webanno.custom.Relation"
# Layers that describe words and not what a text says: tokens, lemmas, parts of speech, syntax.
_LINGUISTIC = (".api.segmentation.", ".api.lexmorph.", ".api.syntax.", ".api.transform.", ".api.metadata.")
# Features that say what an annotation is, the first that has a value.
_LABELS = ("value", "label", "relation", "role", "type", "kind", "category", "tag", "name")
_CONCEPTS = ("identifier", "kb_id")


def is_linguistic(layer: str) -> bool:
    """RETURNS (bool): whether a layer is one of those that come with every document."""
    return any(part in layer for part in _LINGUISTIC)


def short_name(layer: str) -> str:
    """RETURNS (str): a layer's name without its package: "NamedEntity"."""
    return layer.rsplit(".", 1)[-1]


def choose_label(features: Mapping[str, str], layer: str) -> Tuple[str, str, Dict[str, Any]]:
    """What an annotation is.

    features (Mapping[str, str]): its features that have a value, by name.
    layer (str): its layer, whose name is the label where no feature says one.
    RETURNS (Tuple[str, str, Dict[str, Any]]): its label, the identifier of its concept or "", and the other features.
    """
    concept = next((name for name in _CONCEPTS if name in features), "")
    others = {name: value for name, value in features.items() if name != concept}
    known = [name for name in _LABELS if name in others] or list(others)
    label = others.pop(known[0]) if known else short_name(layer)
    return label, features.get(concept, ""), others
