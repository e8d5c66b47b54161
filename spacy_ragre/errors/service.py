"""The service: R62x, W62x."""

from .codes import WithCodes


class ServiceErrors(metaclass=WithCodes):
    R620 = (
        "The service needs the package {package!r}, which is not installed. Install it with: "
        "pip install 'spacy-ragre[serve]'"
    )
    R621 = "Can't listen on {host}, port {port}: {problem}. Give another --port or --host; port 0 takes a free one."
    R622 = "Can't read the request: {problem}. Its form is in /openapi.json."
    R623 = (
        "The request is too large: {what} is {value}, and {limit} is the most. Send less at once, or start the service "
        "with a higher {option}."
    )
    R624 = "{what} took longer than {seconds:g} s. Send less at once, or start the service with a higher --timeout."
    R625 = "The service can't take the request now: {problem}. Try it again in a moment."
    R626 = (
        "The request is refused: {problem}. Only pages of the service itself, and programs that name it by its own "
        "address, may use it."
    )
    R627 = (
        "The labels of component {name!r} are those that it was trained on ({labels}): no others can be asked "
        "about. Leave the labels out, or use a component that answers by 'open'."
    )
    R628 = "The pipeline can't answer: {problem}. What happened stands in the log of the service."
    R629 = "The service has nothing under this address and method. It answers {known}."


class ServiceWarnings(metaclass=WithCodes):
    W620 = (
        "The service listens on {host}, where other machines may reach it: it asks for no password, and who reaches it "
        "may read from the pipeline what it likes. Use --host 127.0.0.1 for this machine alone."
    )
