"""Numbers before messages."""

from typing import Any


class WithCodes(type):
    """Prefixes each message with its code when it is read, so that the code is written once, as the name."""

    def __getattribute__(cls, code: str) -> Any:
        value = super().__getattribute__(code)
        if isinstance(value, str) and not code.startswith("__"):
            return f"[{code}] {value}"
        return value
