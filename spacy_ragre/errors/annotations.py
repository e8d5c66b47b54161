"""Annotations of documents and spans: R0xx, R632, W40x."""

from .codes import WithCodes


class AnnotationErrors(metaclass=WithCodes):
    R001 = (
        "Can't set doc._.{attr}: {what} has start={start} and end={end}, but a span of this document needs "
        "0 <= start < end <= {length} (token indexes, end exclusive). Check where the offsets come from: "
        "character offsets must be converted with doc.char_span() first."
    )
    R002 = (
        "Can't set doc._.{attr}: {what} is {value!r}, but {expected} is expected. "
        "Pass {expected}, as documented for doc._.{attr}."
    )
    R003 = (
        "Can't set doc._.{attr}: cluster index {cluster} does not exist, the document has {count} entity "
        "cluster(s). Set doc._.entity_clusters first, or use indexes from 0 to {last}."
    )
    R004 = (
        "Can't set doc._.{attr}: a span belongs to another document. Spans must be made from the document "
        "they are set on, for example with doc[start:end]."
    )
    R005 = (
        "Label {label!r} is reserved for pairs that hold no relation. Leave it out of the labels: a pair "
        "without relations is one that appears in no relation."
    )
    R006 = (
        "Settings of label {label!r} are not valid: {problem}. A label maps to its text ('was founded by') or to "
        "a table with the keys text (or a list of texts), definition, symmetric, head_types and tail_types."
    )
    R007 = (
        "Label {label!r} is unknown. Known labels: {known}. Add it with add_label() before initialisation, or "
        "remove it from the data."
    )
    R008 = (
        "Can't set span._.{attr}: it shows the relations of the document that the span takes part in. Set doc._.{attr} "
        "instead."
    )
    R009 = (
        "The label(s) {labels} can't be kept in a config: names such as 'per:title', 'a=b' or '#1' in a table, and '$' "
        "in texts or in a list, are read as something else. Leave them out of the component's settings, and add them "
        "with add_label(), or give them to nlp.initialize() or to the training data."
    )
    R010 = (
        "Can't read an annotation from character {start} to {end} of a document with {length} characters: it is that "
        "of another text. Don't copy doc.user_data between documents with different texts."
    )
    R011 = "Can't set doc._.annotated_labels to {value!r}: a list of labels is expected, or None for all labels."
    R012 = "Can't set doc._.{attr} to {value!r}: a list is expected, which may be empty."
    R013 = (
        "Can't keep {what}: it holds {value!r} ({type}), and only numbers (whole ones below 2**63), strings (without "
        "halves of surrogate pairs), lists and tables, nested 64 deep at most, can be saved. Convert it first."
    )
    R014 = (
        "Another package has registered {names}, which this package needs for itself. Where it is "
        "'relations', spacy_ragre.register_extensions(relations='ragre_relations') or the environment variable "
        "RAGRE_RELATIONS=ragre_relations gives this package's attribute another name; "
        "spacy_ragre.register_extensions(force=True) replaces any."
    )
    R015 = (
        "Relations can't be kept in doc._.{value}: give register_extensions(relations=...), or the environment "
        "variable {variable}, a name that can be an attribute and that no other annotation has, such as "
        "'ragre_relations'."
    )
    R016 = (
        "Can't read doc._.{attr}: it holds {value!r}, which another package has written. Give this package's attribute "
        "another name with spacy_ragre.register_extensions(relations='ragre_relations'), or remove what is there."
    )
    R632 = (
        "A relation needs a head and a tail that are Spans, and a label that is text: got head={head!r}, "
        "tail={tail!r}, label={label!r}. Write Relation(head, tail, 'founded_by'), with spans such as doc.ents[0]."
    )


class AnnotationWarnings(metaclass=WithCodes):
    W400 = (
        "Another package has registered {names}, so the components of this package can't be used. Where it is "
        "'relations', spacy_ragre.register_extensions(relations='ragre_relations') or the environment variable "
        "RAGRE_RELATIONS=ragre_relations gives this package's attribute another name; "
        "spacy_ragre.register_extensions(force=True) replaces any."
    )
    W401 = "Replaced {names} of another package: its components may no longer work in this process."
