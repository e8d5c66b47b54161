"""Language models on servers: R70x, R71x, W70x, and what they teach: R75x, R76x, W75x."""

from .codes import WithCodes


class RemoteErrors(metaclass=WithCodes):
    R700 = (
        "A language model on a server needs the package {package!r}, which is not installed. Install it with: "
        "pip install 'spacy-ragre[remote]'"
    )
    R701 = (
        "The language model {name!r} is on a server ({url}), which gives texts and nothing else: there are no weights "
        "here for {what}. It is for rag_relation_extractor, with answer 'auto', 'generate' or 'open', and for "
        "supplement_usage_classifier, with 'auto', and learns from add_examples() alone. For all else, load a model "
        "here, by 'ragre.CausalLM.v1'."
    )
    R702 = "The setting {setting}={value!r} of 'ragre.OpenAI.v1' is not valid: {expected} is needed."
    R703 = (
        "The address of the server is not valid: it {problem}. Give it up to the version, as in "
        "'http://localhost:11434/v1', and nothing secret in it: a key comes from the variable that key_variable names."
    )
    R704 = (
        "The setting key_variable is no name of an environment variable, in capital letters, such "
        "as OPENAI_API_KEY. Its value is not shown, since it may be the key itself: a pipeline must not hold that."
    )
    R705 = "The key of the server {url} is not there: the environment variable {variable} is not set, or is empty."
    R706 = (
        "The server {url} refuses the key (status {status}): {variable}. Check that the key is valid there and may use "
        "the model {name!r}."
    )
    R707 = "Can't reach the server {url}: {problem}.{proxy} Check that it runs, and that the address is right."
    R708 = (
        "The server {url} fails (status {status}), tried {tries} times: {problem}. Try again later, or ask it for less "
        "at once, by a lower concurrency."
    )
    R709 = (
        "The server {url} did not answer for a document within {seconds:g} s. Raise the setting deadline, or lower the "
        "concurrency if it is overloaded."
    )
    R710 = (
        "The server {url} is not asked for the next {seconds:.0f} s, since it failed {count} times in a row. The last "
        "time: {problem}"
    )
    R711 = "The server {url} knows no chat completions of a model {name!r} (status 404): {problem}. {known}"
    R712 = (
        "The server {url} speaks another language than that of OpenAI's chat completions: {problem}. Give the address "
        "of its OpenAI-compatible service, which mostly ends in '/v1'."
    )
    R713 = "The server {url} refuses the request (status {status}): {problem}. The model is {name!r}; {settings}."
    R714 = (
        "The answer of the model {name!r} was cut off after {tokens} tokens, before it was whole. Use request = "
        "'pair', which asks for shorter answers, or a model that does not reason at length."
    )
    R715 = "The model {name!r} declines to answer about a document: {problem}"
    R716 = (
        "The model {name!r} does not answer in the form that it was asked for: {problem}. Use a server that takes a "
        "JSON schema or a grammar (setting constrain), or a larger model."
    )
    R717 = (
        "A question has about {length} tokens without any context of its mentions, but max_length of {name!r} is "
        "{limit}. Ask for fewer labels at a time, or raise max_length if the model's window is longer."
    )
    R718 = "The proxy that the environment names ({variables}) can't be used: {problem}. Mend or unset these variables."
    R755 = "The weight {value!r} of a pair is not valid: a number from 0 to 1 is needed."
    R756 = (
        "Answers can't be sampled with samples={samples!r}, temperature={temperature!r} and seed={seed!r}: one sample "
        "or more, a temperature above 0 and up to 10, and a seed from 0 on are needed."
    )
    R757 = (
        "The language model {model!r} writes the likeliest answer (answer = 'generate'), so that all samples would be "
        "the same. Teach with answer = 'auto' or 'trie', whose probabilities can be drawn from, or with a model on a "
        "server."
    )
    R758 = (
        "{name!r} can't teach: it has no component that finds relations and can be asked several times (components: "
        "{components}). Add 'rag_relation_extractor' to it, or give a teacher by a config with the section [teacher]."
    )
    R759 = (
        "The config {path} is no teacher: {problem}. It needs a section [teacher] with settings of "
        "'rag_relation_extractor', such as [teacher.model.backbone]."
    )


class RemoteWarnings(metaclass=WithCodes):
    W700 = (
        "The server {url} tells no probabilities of its answers: every relation that the model {name!r} names has the "
        "score 1."
    )
    W701 = (
        "The server {url} does not take {what}: it is left out. The answers of {name!r} are checked all the same, and "
        "what names no label counts as no relation."
    )
    W702 = (
        "Of {total} pairs, the model {name!r} left out {missing} and answered {unknown} with what is none of the "
        "labels: these count as without relation. {invented} answers to pairs that are not in the text were dropped."
    )
    W703 = (
        "The key of variable {variable} goes to {url} without encryption, where others on the way can read it. Use an "
        "address with https."
    )
    W704 = (
        "A text of about {length} tokens is longer than max_length of {name!r} ({limit}): such texts are cut around "
        "the mentions. Raise max_length if the model's window is longer."
    )
    W705 = "Can't keep answers in the cache {folder}: {problem}. The server is asked again next time."
    W755 = (
        "Of {total} items that the model {name!r} listed, {unknown} lack a field or have an unknown kind, and "
        "{invented} name what is not in the text: these were dropped. It gave no list for {missing} texts, and {other} "
        "for texts that nobody asked about."
    )
    W756 = (
        "Of {total} questions about supplements, the model {name!r} left out {missing} and answered {unknown} with "
        "what is none of the labels: these supplements have no relation and no usage. {invented} answers to questions "
        "that nobody asked were dropped."
    )
    W757 = (
        "Of {total} answers that were sampled for pairs, the model {name!r} left out {missing}, and {unknown} are none "
        "of the labels: these agree with no other. {invented} answers to pairs that are not in the text were dropped."
    )
