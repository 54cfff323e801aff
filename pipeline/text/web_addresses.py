"""E-mail addresses, links that carry a token, and network addresses."""

from __future__ import annotations

import ipaddress
import re

_EMAIL = re.compile(r"(?<![\w.+-])\w[\w.+%'-]{0,63}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_AT, _DOT = r" ?[(\[{] ?(?:at|@) ?[)\]}] ?", r"(?: ?[(\[{] ?(?:dot|\.) ?[)\]}] ?|\.)"
_HIDDEN_EMAIL = re.compile(  # written so that robots do not find it, and read out
    rf"(?<![\w.+-])[\w.+-]{{1,64}}{_AT}[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{1,4}}|"
    r"(?<![\w.+-])[\w-]{1,30}(?: dot [\w-]{1,30}){0,3} at [\w-]{1,30} dot (?:com|org|net|info|edu|[a-z]{2})(?!\w)",
    re.IGNORECASE,
)
TELLING_WORDS = frozenset({"dot", "at"})  # of addresses that are read out
_BRACKETED_AT = re.compile(r"[(\[{] ?(?:at|AT|At) ?[)\]}]")
_URL = re.compile(r"(?<!\w)(?:https?://|ftp://|www\.)[^\s<>\"']+", re.IGNORECASE)
_URL_SECRET = re.compile(r"[?#;][^?#;=]*=|//[^/]*@|[?]\w{8}|/(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,}")
_URL_READ = 2_000  # characters; a longer address is no page that a person would name
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4 = re.compile(rf"\d(?<![\w.]\d)\d{{0,2}}\.{_BYTE}\.{_BYTE}\.{_BYTE}(?![\w]|\.\d)")
_IPV6 = re.compile(r"[0-9A-Fa-f:](?<![\w:.].)[0-9A-Fa-f:]{5,38}(?![\w:])")
_VERSION_BEFORE = re.compile(r"(?:version|release|build|firmware|driver|update|v|app|ver\.)\s?$", re.IGNORECASE)


def mask_emails(text: str, words: frozenset[str]) -> str:
    """`<EMAIL>` for every address; `words` are those of the text, in small letters."""
    if "@" in text:
        text = _EMAIL.sub("<EMAIL>", text)
    if "dot" in words or ("at" in words and _BRACKETED_AT.search(text)):
        text = _HIDDEN_EMAIL.sub("<EMAIL>", text)
    return text


def mask_urls(text: str) -> str:
    """`<URL>` for links with a query, a token or a password in them; names of pages stay."""
    if "://" in text or "www." in text or "WWW." in text:
        text = _URL.sub(_mask_url, text)
    return text


def mask_network_addresses(text: str) -> str:
    """`<IP>` for addresses of version 4 and 6; `version 10.0.19.45` stays."""
    if text.count(".") >= 3:
        text = _IPV4.sub(_mask_ipv4, text)
    if "::" in text or text.count(":") >= 7:
        text = _IPV6.sub(_mask_ipv6, text)
    return text


def _mask_url(found: re.Match[str]) -> str:
    written = found.group()
    url = written.rstrip(".,;:!?)]}") if len(written) <= _URL_READ else written
    secret = len(url) > _URL_READ or _URL_SECRET.search(url)
    return f"<URL>{written[len(url) :]}" if secret else written


def _mask_ipv4(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - 12) : found.start()]
    return found.group() if _VERSION_BEFORE.search(before) or not _is_address(found.group()) else "<IP>"


def _mask_ipv6(found: re.Match[str]) -> str:
    return "<IP>" if _is_address(found.group()) else found.group()


def _is_address(written: str) -> bool:
    try:
        ipaddress.ip_address(written)
    except ValueError:
        return False
    return written.count(":") != 1 and written.strip(":.") != ""
