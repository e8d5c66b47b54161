"""Knowledge graphs: R616 to R619, W61x."""

from .codes import WithCodes


class GraphErrors(metaclass=WithCodes):
    R616 = (
        "Knowledge graphs need the package {package!r}, which is not installed. Install it with: "
        "pip install 'spacy-ragre[graph]'"
    )
    R617 = "The setting {setting}={value!r} of a graph is not valid: {expected} is needed."
    R618 = "Can't make a graph of {value}: {expected} is needed."
    R619 = "The format {format!r} has no use for {option}, which is for {known}. Leave it out, or choose one of these."


class GraphWarnings(metaclass=WithCodes):
    W610 = (
        "Graphs that are joined were made with {settings}: relations that this left out of one of them are missing "
        "from the joined graph. Make the graphs without it, and give it to merge."
    )
