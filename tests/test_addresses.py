"""Which addresses are called: the same table for webhooks, gates and model servers."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.addresses import Reach, check_secure_url, check_url, forbidden, literal

NEVER = [
    pytest.param("169.254.169.254", "link-local", id="the metadata service of most clouds"),
    pytest.param("2852039166", "link-local", id="the same as one number"),
    pytest.param("0xA9FEA9FE", "link-local", id="the same in hexadecimal"),
    pytest.param("0xa9.254.169.254", "link-local", id="the same with a hexadecimal part"),
    pytest.param("0251.0376.0251.0376", "link-local", id="the same in octal"),
    pytest.param("169.254.43518", "link-local", id="the same in three parts"),
    pytest.param("[::ffff:169.254.169.254]", "link-local", id="the same mapped into IPv6"),
    pytest.param("[::ffff:a9fe:a9fe]", "link-local", id="the same mapped, in hexadecimal"),
    pytest.param("[::169.254.169.254]", "link-local", id="the same, IPv4-compatible"),
    pytest.param("[::ffff:0:169.254.169.254]", "link-local", id="the same, translated"),
    pytest.param("[64:ff9b::169.254.169.254]", "link-local", id="the same through NAT64"),
    pytest.param("[2002:a9fe:a9fe::1]", "link-local", id="the same through 6to4"),
    pytest.param("[64:ff9b:1::a9fe:a9fe]", "a tunnel's", id="through a NAT64 of one's own"),
    pytest.param("[2001:0:a9fe:a9fe::1]", "a tunnel's", id="through Teredo"),
    pytest.param("192.88.99.1", "a tunnel's", id="the relay of 6to4"),
    pytest.param("[fe80::1]", "link-local", id="link-local IPv6"),
    pytest.param("[fe80::1%25eth0]", "link-local", id="link-local IPv6 with its interface"),
    pytest.param("[fd00:ec2::254]", "a metadata service's", id="Amazon's over IPv6"),
    pytest.param("[fd20:ce::254]", "a metadata service's", id="Google's over IPv6"),
    pytest.param("100.100.100.200", "a metadata service's", id="Alibaba's"),
    pytest.param("168.63.129.16", "a metadata service's", id="Azure's"),
    pytest.param("192.0.0.192", "a reserved", id="Oracle's"),
    pytest.param("0.0.0.0", "an unspecified", id="unspecified"),
    pytest.param("0", "an unspecified", id="unspecified as a number"),
    pytest.param("0.1.2.3", "an unspecified", id="this network"),
    pytest.param("[::]", "an unspecified", id="unspecified IPv6"),
    pytest.param("224.0.0.1", "a multicast", id="multicast"),
    pytest.param("[ff02::1]", "a multicast", id="multicast IPv6"),
    pytest.param("255.255.255.255", "a reserved", id="broadcast"),
    pytest.param("240.0.0.1", "a reserved", id="class E"),
    pytest.param("192.0.2.1", "a documentation", id="documentation"),
    pytest.param("[fec0::1]", "a reserved", id="site-local, as it once was"),
    pytest.param("[4000::1]", "a reserved", id="what nobody has assigned"),
]
INSIDE = [
    pytest.param("127.0.0.1", "a loopback", id="loopback"),
    pytest.param("127.1", "a loopback", id="loopback in two parts"),
    pytest.param("0x7f000001", "a loopback", id="loopback in hexadecimal"),
    pytest.param("0177.0.0.1", "a loopback", id="loopback with an octal part"),
    pytest.param("127.255.0.9", "a loopback", id="anywhere in loopback"),
    pytest.param("[::1]", "a loopback", id="loopback IPv6"),
    pytest.param("[::ffff:127.0.0.1]", "a loopback", id="loopback mapped into IPv6"),
    pytest.param("10.1.2.3", "a private", id="ten"),
    pytest.param("172.31.255.255", "a private", id="the end of the sixteen"),
    pytest.param("192.168.0.1", "a private", id="home"),
    pytest.param("100.64.0.1", "a private", id="a provider's own"),
    pytest.param("[fd12:3456::1]", "a private", id="unique local"),
    pytest.param("[64:ff9b::10.0.0.1]", "a private", id="private through NAT64"),
    pytest.param("[2002:a00:1::]", "a private", id="private through 6to4"),
]
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "[64:ff9b::8.8.8.8]"]


@pytest.mark.parametrize("reach", Reach)
@pytest.mark.parametrize(("host", "kind"), NEVER)
def test_addresses_that_are_never_called(host: str, kind: str, reach: Reach) -> None:
    with pytest.raises(ValueError, match=f"{kind} address, which is not called$"):
        check_url(f"http://{host}:80/hook", reach)


@pytest.mark.parametrize(("host", "kind"), INSIDE)
def test_addresses_inside_are_called_where_that_is_allowed(host: str, kind: str) -> None:
    url = f"https://{host}/hook"

    assert check_url(url, Reach.PRIVATE) == url
    with pytest.raises(ValueError, match=f"{kind} address.*TURNOUT_ALLOW_PRIVATE_NETWORKS"):
        check_url(url, Reach.PUBLIC)


@pytest.mark.parametrize("host", [*PUBLIC, "example.com", "hooks.internal", "münchen.example"])
def test_other_addresses_and_names_are_taken(host: str) -> None:
    url = f"https://{host}:8443/hook?room=7"

    assert check_url(url, Reach.PUBLIC) == url


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        pytest.param("example.com/hook", "write http://", id="no scheme"),
        pytest.param("file:///etc/passwd", "write http://", id="a file"),
        pytest.param("gopher://example.com", "write http://", id="another scheme"),
        pytest.param("https://", "write http://", id="no host"),
        pytest.param("https:///hook", "write http://", id="a path only"),
        pytest.param("https://example.com:99999", "write http://", id="no such port"),
        pytest.param("https://me:secret@example.com", "credentials", id="credentials"),
        pytest.param("https://example.com@169.254.169.254", "credentials", id="a host as a user"),
        pytest.param("https://example.com\\@10.0.0.1", "credentials|backslash", id="a backslash"),
        pytest.param("https://example.com/#there", "no fragment", id="a fragment"),
        pytest.param("https://example.com/a b", "no spaces", id="a space"),
        pytest.param("https://example.com/\r\nHost: other", "no spaces", id="a line end"),
        pytest.param("https://[::1", "Invalid IPv6", id="half an address"),
        pytest.param("https://hooks..example.com", "a part that is empty", id="two dots"),
        pytest.param(f"https://{'a' * 64}.com", "longer than 63", id="no name that can be one"),
    ],
)
def test_what_is_no_address_to_call(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_url(url, Reach.PUBLIC)


@given(st.ip_addresses(v=4))
def test_no_disguise_changes_what_an_address_is(address: ipaddress.IPv4Address) -> None:
    plain = forbidden(address, Reach.PUBLIC)
    disguises = [
        literal(f"::ffff:{address}"),
        literal(f"::ffff:0:{address}"),
        literal(f"64:ff9b::{address}"),
        ipaddress.IPv6Address(0x2002 << 112 | int(address) << 80),
    ]

    assert [forbidden(one, Reach.PUBLIC) for one in disguises if one] == [plain] * 4


@given(st.ip_addresses())
def test_who_reaches_less_reaches_nothing_more(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if forbidden(address, Reach.PRIVATE):
        assert forbidden(address, Reach.PUBLIC)


@given(st.ip_addresses())
def test_what_the_standard_library_calls_global_agrees(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Where Python says link-local, loopback or multicast, so do we; it knows no less kinds."""
    if address.is_link_local or address.is_loopback or address.is_multicast:
        assert forbidden(address, Reach.PUBLIC)


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://login.example.com/realms/ml", True),
        ("https://10.0.0.7/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://[::1]:8080", True),
        ("http://localhost:8080", True),
        ("http://login.example.com", False),
        ("http://10.0.0.7/keys", False),
        ("http://127.0.0.1.example.com", False),
        ("https://169.254.169.254/keys", False),
        ("ftp://127.0.0.1/keys", False),
        ("https://user:password@example.com", False),
    ],
)
def test_what_is_believed_comes_over_tls_or_from_this_machine(url: str, fine: bool) -> None:
    if fine:
        assert check_secure_url(url) == url
    else:
        with pytest.raises(ValueError, match=r"https|credentials|address"):
            check_secure_url(url)
