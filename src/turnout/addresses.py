"""Which addresses the service may call when people name them.

Whoever may register a webhook or a model server chooses where the service connects to, from inside
the network it runs in. Ranges are written out, from the special-purpose registries of IANA, because
`ipaddress.is_global` has changed its mind between versions of Python.
"""

import ipaddress
import re
import socket
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Reach(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"
    """Public, and what is inside: loopback and private networks."""


def _networks(kind: str, *ranges: str) -> tuple[tuple[_Network, str], ...]:
    return tuple((ipaddress.ip_network(one), kind) for one in ranges)


_NEVER: Final = (
    *_networks("an unspecified", "0.0.0.0/8", "::/128"),
    *_networks("a link-local", "169.254.0.0/16", "fe80::/10"),
    # Clouds hand out a machine's credentials here, and at 169.254.169.254.
    *_networks("a metadata service's", "100.100.100.200/32", "168.63.129.16/32"),
    *_networks("a metadata service's", "fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128"),
    *_networks("a multicast", "224.0.0.0/4", "ff00::/8"),
    *_networks("a documentation", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
    *_networks("a documentation", "2001:db8::/32", "3fff::/20"),
    *_networks("a tunnel's", "192.88.99.0/24", "2001::/32", "64:ff9b:1::/48"),
    *_networks("a reserved", "192.0.0.0/24", "240.0.0.0/4", "fec0::/10"),
)
_INSIDE: Final = (
    *_networks("a loopback", "127.0.0.0/8", "::1/128"),
    *_networks("a private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    *_networks("a private", "100.64.0.0/10", "198.18.0.0/15"),
)
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
# Each holds an IPv4 address: as its last bits, or for 6to4 behind the prefix.
_TRANSLATED: Final = tuple(
    map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
_6TO4: Final = ipaddress.IPv6Network("2002::/16")


def forbidden(address: IPAddress, reach: Reach) -> str | None:
    """Say what an address is that must not be called, as in `a link-local address`."""
    address = _undisguised(address)
    for network, kind in _NEVER:
        if address in network:
            return f"{kind} address"
    for network, kind in _INSIDE:
        if address in network:
            return None if reach is Reach.PRIVATE else f"{kind} address"
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return "a reserved address"
    return None


def literal(host: str) -> IPAddress | None:
    """Read a host that is an address already, in every form a resolver takes for one.

    `2852039166` and `0xa9.254.169.254` are 169.254.169.254 to getaddrinfo.
    """
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return None


def check_url(url: str, reach: Reach) -> str:
    """Accept an address to call; a ValueError says what else it is.

    A host's name is looked up when it is called, and what it leads to is checked then.
    """
    parts = urlsplit(url)
    try:
        port_is_known = parts.port is None or parts.port > 0
    except ValueError:
        port_is_known = False
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_known:
        raise ValueError("write http:// or https:// and a host, such as https://example.com/hook")
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not belong in a url, which is shown and logged")
    if parts.fragment or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise ValueError("the url of a server has no fragment, no spaces and no backslashes")
    if not _nameable(parts.hostname):
        raise ValueError(f"{parts.hostname} has a part that is empty, or longer than 63 characters")
    address = literal(parts.hostname)
    if address and (kind := forbidden(address, reach)):
        raise ValueError(f"{parts.hostname} is {kind}, which is not called{_way_out(address)}")
    return url


def _nameable(host: str) -> bool:
    """Whether a host could be looked up; of a name that is not ASCII, its letters tell later."""
    try:
        host.encode("idna")
    except UnicodeError:
        return not host.isascii()
    return True


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_secure_url(url: str) -> str:
    """Accept an address whose answers are believed: nobody on the way may have written them."""
    check_url(url, Reach.PRIVATE)
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError(f"{url} must begin with https://, unless it is on this machine")
    return url


def _way_out(address: IPAddress) -> str:
    if forbidden(address, Reach.PRIVATE):
        return ""
    return ": TURNOUT_ALLOW_PRIVATE_NETWORKS would allow it"


def _undisguised(address: IPAddress) -> IPAddress:
    """Take out the IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    bits = int(address)
    if address in _6TO4:
        return ipaddress.IPv4Address(bits >> 80 & 0xFFFFFFFF)
    if bits > 1 and any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(bits & 0xFFFFFFFF)
    return address
