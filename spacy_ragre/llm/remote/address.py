"""Where a server is, and the key that opens it. The key stands in the environment, and nowhere else."""

import ipaddress
import os
import re
from typing import Optional
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ...errors import Errors

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_HIDDEN = "***"


class Address:
    """A server's address, and the name of its key.

    url (str): up to the version, such as "http://localhost:8000/v1".
    key_variable (Optional[str]): the environment variable that holds the key; None for a server without one.
    """

    def __init__(self, url: str, key_variable: Optional[str]) -> None:
        self.url = check_url(url)
        if key_variable is not None and not _VARIABLE.fullmatch(str(key_variable)):
            raise ValueError(Errors.R704)
        self.key_variable = key_variable

    @property
    def host(self) -> str:
        """RETURNS (str): the name or number of the machine."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_local(self) -> bool:
        """RETURNS (bool): whether it is this machine, which no proxy stands before."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def exposes_key(self) -> bool:
        """RETURNS (bool): whether a key would cross the network without encryption."""
        return self.key_variable is not None and not self.is_local and self.url.startswith("http:")

    def key(self) -> Optional[str]:
        """RETURNS (Optional[str]): the key, as the environment has it now. Raises a ValueError where it is missing."""
        if self.key_variable is None:
            return None
        key = os.environ.get(self.key_variable, "").strip()
        if not key:
            raise ValueError(Errors.R705.format(url=self.url, variable=self.key_variable))
        return key

    def hide(self, text: object) -> str:
        """RETURNS (str): a text of others for a message, on one line and not long, the key taken out."""
        line = " ".join(str(text).split())
        key = "" if self.key_variable is None else os.environ.get(self.key_variable, "").strip()
        line = line.replace(key, _HIDDEN) if key else line
        return line if len(line) <= 300 else f"{line[:300]} …"

    def proxy(self) -> Optional[str]:
        """RETURNS (Optional[str]): the variable that names a proxy for this address. Not the proxy, whose address may
        hold a password.
        """
        if self.is_local or proxy_bypass(self.host):
            return None
        known = getproxies()
        scheme = next((name for name in (urlsplit(self.url).scheme, "all") if name in known), None)
        return f"{scheme.upper()}_PROXY" if scheme else None


def check_url(url: str) -> str:
    """url (str): as a user gave it.
    RETURNS (str): the same without a slash at its end. A ValueError is raised for what is no plain address; it does not
        show what may be secret.
    """
    try:
        parts = urlsplit(str(url))
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(Errors.R703.format(problem="does not begin with http:// or https:// and a host"))
    if parts.username is not None or parts.password is not None:
        raise ValueError(Errors.R703.format(problem="holds a name or a password before an @"))
    if parts.query or parts.fragment:
        raise ValueError(Errors.R703.format(problem="goes on with ? or #"))
    return str(url).rstrip("/")
