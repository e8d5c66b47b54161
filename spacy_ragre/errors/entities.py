"""Entity phrases and clusters: R64x, W63x and W64x."""

from .codes import WithCodes


class EntityErrors(metaclass=WithCodes):
    R640 = "The setting rules of component {name!r} names {unknown}, which it does not have. Its rules are {known}."
    R641 = (
        "Component {name!r} needs {missing}, which this document does not have ({text!r}). Put a tagger and a parser "
        "before it, as en_core_web_sm has them, or leave out the rule 'terms', which is the only one that needs DEP."
    )
    R642 = "The setting types={value!r} of component {name!r} is not valid: 'auto', 'near' or 'strict' is needed."
    R663 = (
        "The setting types of component {name!r} maps {type!r} to {value!r}. An entity type maps to the one that is "
        "written in its place, or to null, which leaves such entities out."
    )
    R643 = (
        "The setting types of component {name!r} is {types!r}. Give the entity types to find, such as "
        "['PERSON', 'DRUG'], or types with words that say what is meant, such as {{'VULN': 'software vulnerability'}}."
    )
    R645 = (
        "The type(s) {types} of component {name!r} can't be kept in a config: names such as 'a:b', 'a=b' or '#1' in a "
        "table, and '$' in words or in a list, are read as something else. Give such names in a list, without words, "
        "or choose others."
    )
    R646 = "The setting {setting} of component {name!r} is {value!r}. {wanted}"
    R644 = (
        "Component {name!r} finds no weights in {folder}, which has no {missing}. Set weights to 'open' for those that "
        "come with the package, or to a folder that `python -m benchmarks.open_entities.export` wrote."
    )


class EntityWarnings(metaclass=WithCodes):
    W630 = (
        "doc._.{attr} holds {value!r}, which is no list of coreference clusters, so that it is not read. Where another "
        "package keeps something else under this name, set doc._.entity_clusters of the documents."
    )
    W631 = (
        "Component {name!r} reads names alone, no pronouns and noun phrases: {reason}. Set pronouns and noun_phrases "
        "to false to silence this."
    )
    W640 = (
        "The rules of component {name!r} are for English, and the pipeline's language is {lang!r}. What they find may "
        "be of no use: measure it, or leave the component out."
    )
    W641 = (
        "No component before {name!r} finds entities of type {types}, which its labels ask for (types that are found: "
        "{known}). {consequence} Add what finds them ('open_entities' with these types, 'entity_phrases', "
        "'entity_ruler', a recogniser of your own), "
        "or ask for types that are found."
    )
    W642 = (
        "Component {name!r} is to find types that have the same words ({types}), which it can't tell apart. Give each "
        'words of its own: types = {{"NAME": "words that say what is meant"}}.'
    )
    W643 = (
        "The weights of component {name!r} were trained on English, and the pipeline's language is {lang!r}. What it "
        "finds may be of no use: measure it, or use a recogniser for that language."
    )
    W644 = (
        "It is not known which components come before {name!r}: its pipeline is gone, or documents have the vocabulary "
        "of another one, as after add_pipe(..., source=...). So entities are taken for those of a recogniser with the "
        "types of OntoNotes, which may stand for the types of labels. Save the pipeline and load it again; or set "
        "types = 'strict' for entities of your own."
    )
    W645 = (
        "The words of {types} are more than component {name!r} reads, which is {limit} tokens: the last ones are left "
        "out. Say in fewer words what the type is."
    )
