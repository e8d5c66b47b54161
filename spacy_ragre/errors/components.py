"""Components and their training: R5xx, R630, R631, R633, W5xx, W667."""

from .codes import WithCodes


class ComponentErrors(metaclass=WithCodes):
    R501 = (
        "Component {name!r} has no labels. Give them in its config, as in labels={{'founded_by': 'was founded by'}}, "
        "or call add_label(), add_examples() or nlp.initialize() with annotated documents first."
    )
    R502 = "The way to answer {value!r} is not known. Use one of: {known}."
    R503 = (
        "The component is set to answer with its label head, but it was not trained. Train it, or set answer to 'auto' "
        "or 'trie'."
    )
    R504 = (
        "The model {model!r} gave scores that are not numbers. Use dtype 'float32' or 'bfloat16' for a language model; "
        "where it comes up in training or with weights that were trained, train them with a lower learning rate."
    )
    R505 = (
        "Can't add label {label!r} to component {name!r}: its label head is there already. Give all labels before "
        "initialize() or the first update()."
    )
    R506 = (
        "Can't calibrate component {name!r}: {annotated} of {total} document(s) have doc._.relations set, and their "
        "candidates give no pair of entities. Give annotated development documents, or candidates that reach further."
    )
    R507 = (
        "Can't tune an encoder of type {encoder}: only a sentence encoder can be tuned. Use 'ragre.TextEncoder.v1' in "
        "the retriever, or leave 'tune' out of the [initialize] settings."
    )
    R508 = "The label smoothing {value!r} is not a share. Give a number from 0 to less than 1."
    R521 = "The filter was not trained. Call nlp.initialize() and train it, or load a trained pipeline."
    R522 = "The setting {setting}={value!r} of the filter is not valid: {expected}."
    R523 = "Can't calibrate the filter: no pair of the examples has a relation. Give annotated development documents."
    R524 = (
        "The filter gave scores that are not numbers. Where it comes up in training, lower the learning rate; else "
        "train it again."
    )
    R530 = "The tasks {value} are not valid. Give one or more of: {known}, each once."
    R531 = (
        "The retriever's encoder is 'ragre.BackboneEncoder.v1', whose keys are states of one question, but the stores "
        "of several tasks need keys of texts. Use 'ragre.TextEncoder.v1' or another sentence encoder."
    )
    R532 = (
        "The entity labels {supplement!r} and {event!r} can't be told apart. Give supplement_label and event_label two "
        "different names."
    )
    R533 = "{setting} is {value!r}, but at least {least} is needed. Change it in the component's settings."
    R534 = (
        "Component {name!r} is set to the tasks {tasks}, but what was saved knows {known} only. Leave these tasks out, "
        "or train a pipeline with them."
    )
    R535 = "swap_mentions is {value!r}, but it is a share. Give a number from 0 to 1."
    R536 = "The setting triples={value!r} is not valid. Use one of: {known}."
    R537 = "The usage {value!r} of a supplement is unknown. Use one of: {known}."
    R538 = (
        "Component {name!r} can't be trained on the task(s) {tasks}: the training documents have no annotation for "
        "them. Annotate them, or leave these tasks out of its settings."
    )
    R540 = "The setting {setting}={value!r} of the extractor is not valid: {expected} is needed."
    R541 = (
        "Can't choose k={k} neighbours among {count} candidates. Lower k, or raise the number of preselected instances "
        "(preselect), which must be at least k."
    )
    R542 = (
        "{count} of {total} similarities of queries and instances are not numbers. Where it comes up in training, "
        "lower the learning rate; else check the encoder's weights."
    )
    R543 = (
        "Component {name!r} is set to k={k} neighbours, but its store has {count} instance(s). Lower k, or give more "
        "annotated documents to initialize() or add_examples()."
    )
    R544 = (
        "Component {name!r} has no instances to retrieve. Call nlp.initialize() with annotated documents, or set k to "
        "0 to answer without retrieval."
    )
    R545 = (
        "The encoder {name!r} is not the one that this pipeline was trained with (fingerprint {found}, expected "
        "{expected}). Give the encoder that it was trained with."
    )
    R546 = (
        "Can't train all weights of the language model {model!r}: {problem}. Set tuning to 'lora', or the backbone's "
        "quantization to none and its dtype to 'float32'."
    )
    R547 = "Component {name!r} was not trained. Call nlp.initialize() and train it, or load a trained pipeline."
    R548 = (
        "Can't calibrate the filter: none of the {count} document(s) with a relation was annotated for all labels "
        "({labels}), so that nothing says which pairs hold none. Annotate some completely, and leave "
        "doc._.annotated_labels out of them, or give it all labels."
    )
    R549 = (
        "The threshold of component {name!r} names {unknown}, which it has no label for (its labels: {known}). Correct "
        "the name, or add the label; '*' stands for all others."
    )
    R550 = (
        "Component {name!r} can't learn from these documents: none of the {total} has a relation ({annotated} have "
        "doc._.relations set). Relations of another package are in another attribute, and a DocBin keeps them with "
        "store_user_data=True only. Set doc._.relations, or convert the annotations with: python -m spacy ragre convert"
    )
    R551 = (
        "Can't calibrate component {name!r}: its candidates give {count} pair(s) of entities in these documents, but "
        "head_types and tail_types of its labels allow none of them (types that were found: {types}). Correct the "
        "types of the labels, or the labels of the entities."
    )
    R630 = "The setting {setting}={value!r} of component {name!r} is not valid: {expected} is needed."
    R631 = (
        "Component {name!r} takes documents with annotated relations as examples, a list of Docs, and got {value}. "
        "Make one with nlp.make_doc(text), set its doc.ents and doc._.relations, and pass [doc]."
    )
    R633 = (
        "The {setting} of the examples that component {name!r} is to remove are a list of strings, and not {value!r}. "
        "Put them in brackets, as in {setting}=['...']."
    )


class ComponentWarnings(metaclass=WithCodes):
    W501 = (
        "The retrieval keys of component {name!r} are older than its weights, so that neighbours are left out. Make "
        "them again with: python -m spacy ragre calibrate"
    )
    W502 = (
        "All instances in the store of component {name!r} have the same answer ({answer}), so that what is retrieved "
        "tells nothing. Give documents with several labels, or set k to 0."
    )
    W510 = (
        "{count} gold relation(s) can't be learned by component {name!r}, the first of them in document {id!r}: "
        "{head!r} {label} {tail!r} ({problem}). Their pairs are left out. Mark the mentions as entities, or choose "
        "candidates that reach further."
    )
    W511 = (
        "All {count} example(s) of component {name!r} {what}. A model that was not trained repeats the answer that all "
        "examples before a question have, so that none is shown. Add documents that also have pairs {missing}, or "
        "train the component."
    )
    W512 = (
        "Component {name!r} got a document in which no component has looked for entities, so that no relation is found "
        "({text!r}). Add one that sets doc.ents before it, such as 'ner' or 'entity_ruler', or move {name!r} behind it."
    )
    W513 = (
        "Component {name!r} reads entities from doc.spans[{key!r}], which its documents do not have (they have: "
        "{known}), so that no relation is found. Set spans_key to the key that the component before it writes to."
    )
    W514 = (
        "Component {name!r} asks about the pairs in doc._.candidate_pairs, which its documents do not have, so that no "
        "relation is found. Add a 'pair_candidate_filter' before it, or choose other candidates than ragre.Proposed.v1."
    )
    W515 = (
        "The setting k = {k} of the retriever has no effect in component {name!r}: n_examples = {n_examples} says how "
        "many examples a prompt shows, and calibration chooses how many neighbours vote. Leave out k."
    )
    W530 = (
        "Component {name!r} finds nothing: no component before it sets doc.ents, and its documents come without "
        "entities. Put one before it, such as 'ner' or 'entity_ruler', or set doc.ents of the documents."
    )
    W531 = (
        "Component {name!r} finds nothing: it reads mentions from doc.spans[{key!r}], and no document has this key "
        "(keys that they have: {known}). Set spans_key to the key that a component before it sets, or "
        "to null for doc.ents."
    )
    W532 = (
        "Component {name!r} comes after {readers}, which read(s) the pairs that it proposes. Put it before: "
        "nlp.add_pipe({factory!r}, before={first!r})."
    )
    W667 = (
        "None of the {count} document(s) given to component {name!r} as examples is annotated, so that nothing is "
        "learned of them (the first: {text!r}). Set doc._.relations of each: a list of Relations, or [] where it holds "
        "none."
    )
