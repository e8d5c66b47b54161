"""From annotations to a pipeline (init config, debug data, suggest): R670 to R689, W670 to W679."""

from .codes import WithCodes


class StartingErrors(metaclass=WithCodes):
    R670 = (
        "None of the {count} document(s) in {path} holds a relation, so that there are no labels to train. Set "
        "doc._.relations of the training documents, or check what `ragre convert` said of them."
    )
    R672 = (
        "The pipeline {name!r} can't say how sure it is of relations, which the order {order!r} needs: none of its "
        "components ({components}) is a rag_relation_extractor or an etrag_extractor. Use --order diverse, or another "
        "pipeline."
    )
    R673 = "Give either CONFIG or --train, and not {what}."
    R674 = (
        "The config {path} has no rag_relation_extractor and no etrag_extractor (its components: {components}), so "
        "that it does not say which pairs are asked about. Look at the documents alone with --train and --dev."
    )
    R671 = "{path} is there already. Name another file, or replace it with --force."


class StartingWarnings(metaclass=WithCodes):
    W670 = (
        "{name} finds {places} of {entities} annotated entities, {types} of them with their type. The trained pipeline "
        "asks about the entities that {name} finds, so that it will miss most relations of new texts. Train an entity "
        "recogniser on your entities first (python -m spacy init config --pipeline ner), and give that pipeline as "
        "--base."
    )
    W671 = (
        "The candidates reach {share}% of the relations; the others can't be found. `ragre debug data {config}` shows "
        "some of them."
    )
    W672 = (
        "The labels {labels} are codes that no reader of labels understands. Give them words: --labels "
        "{first}='was founded by', or in the config."
    )
