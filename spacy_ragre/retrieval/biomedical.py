"""The retrievers of RAMIE (arXiv 2411.15700) by name: encoders with the pooling and prefixes they were trained with.

All three were trained on inner products of vectors of any length, or on cosines; here all keys have unit length. The
models are read from the Hugging Face hub, or from a local folder that is given instead of the name.
"""

from ..registry import registry
from .encoders import DualEncoder, TextEncoder, TextKind, create_dual_encoder

TASK = "Given a clinical sentence, retrieve sentences in which dietary supplements are used in the same way"


@registry.ragre_encoders("ragre.MedCPT.v1")
def create_medcpt(
    query: str = "ncbi/MedCPT-Query-Encoder",
    article: str = "ncbi/MedCPT-Article-Encoder",
    text: TextKind = "response",
    query_max_length: int = 64,
    article_max_length: int = 512,
    batch_size: int = 64,
    device: str = "auto",
) -> DualEncoder:
    """MedCPT (Jin et al. 2023, arXiv 2307.00589): one encoder for queries, one for articles, first token pooled.

    query (str): the query encoder.
    article (str): the article encoder, which encodes the examples.
    text (str): what is read of an instance, as in `TextEncoder`.
    query_max_length (int): word pieces read of a query. It was trained with 64.
    article_max_length (int): word pieces read of an example.
    batch_size (int): texts in one forward pass.
    device (str): torch's name of a device, or `auto`.
    RETURNS (DualEncoder): the encoder.
    """
    return create_dual_encoder(
        query=query,
        passage=article,
        pooling="cls",
        text=text,
        query_max_length=query_max_length,
        passage_max_length=article_max_length,
        batch_size=batch_size,
        device=device,
    )


@registry.ragre_encoders("ragre.Contriever.v1")
def create_contriever(
    name: str = "facebook/contriever",
    text: TextKind = "response",
    max_length: int = 256,
    batch_size: int = 64,
    device: str = "auto",
) -> TextEncoder:
    """Contriever (Izacard et al. 2022, arXiv 2112.09118): mean of all tokens, no prefix.

    name (str): the model.

    The other arguments are those of `TextEncoder`.
    RETURNS (TextEncoder): the encoder.
    """
    return TextEncoder(
        name,
        pooling="mean",
        text=text,
        query_prefix="",
        passage_prefix="",
        max_length=max_length,
        batch_size=batch_size,
        device=device,
    )


@registry.ragre_encoders("ragre.BMRetriever.v1")
def create_bmretriever(
    name: str = "BMRetriever/BMRetriever-410M",
    task: str = TASK,
    text: TextKind = "response",
    max_length: int = 512,
    batch_size: int = 16,
    device: str = "auto",
) -> TextEncoder:
    """BMRetriever (Xu et al. 2024, arXiv 2404.18443): a decoder whose end token's state is the key. Queries begin with
    an instruction.

    name (str): the model.
    task (str): one sentence that says what is looked for.

    The other arguments are those of `TextEncoder`.
    RETURNS (TextEncoder): the encoder.
    """
    return TextEncoder(
        name,
        pooling="last",
        text=text,
        query_prefix=f"{task}\nQuery: ",
        passage_prefix="Represent this passage\npassage: ",
        max_length=max_length,
        batch_size=batch_size,
        device=device,
        end_token=True,
    )
