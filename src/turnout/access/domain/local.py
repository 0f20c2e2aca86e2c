"""Whose request it is while nobody is asked for credentials."""

from typing import Final
from urllib.parse import urlsplit

from turnout.addresses import is_loopback
from turnout.callers import Headers
from turnout.errors import Forbidden

_BEFORE: Final = {b"host": "//", b"origin": ""}


class NotLocal(Forbidden):
    def __init__(self, header: str, said: str) -> None:
        super().__init__(
            f"in development mode only this machine's own programs are answered, and {header} says"
            f" {said!r}: call localhost or 127.0.0.1, or make an API key"
            " (`turnout keys create --name admin --role admin`), which ends development mode",
            header=header,
            value=said,
        )


def check_local(headers: Headers) -> None:
    """Refuse the web pages of others that a browser on this machine shows.

    A page may call under a name of its own that leads here (then `Host` has that name), or call
    `localhost` across origins (then `Origin` has the page's).
    """
    for name, value in headers:
        before = _BEFORE.get(name)
        if before is None:
            continue
        said = value.decode("latin-1")
        try:
            host = urlsplit(before + said).hostname
        except ValueError:
            host = None
        if host is None or not is_loopback(host):
            raise NotLocal(name.decode().title(), said)
