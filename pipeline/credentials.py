"""Passwords, PINs and one-time codes that customers write down, and dates of birth: told by the words before them."""

from __future__ import annotations

import re

_PASSWORD = re.compile(  # what follows must hold a figure or a sign: `my password is wrong` stays
    r"(?<!\w)((?i:password|passwort|passphrase|kennwort|mot de passe|contraseña|clave|senha|palavra-passe|wachtwoord|"
    r"parola d'ordine|api[- ]?key|access token)"
    r"(?:\s?[:=]\s?|\s(?i:is|was|ist|lautet|war|est|es|é|è|=)\s?:?\s?|\s(?=\S*\d)))"
    r"(?=\S{0,63}[\d!#$%&*+=?@^_~])(?!<)(\S{4,64})"
)
_CODE = re.compile(
    r"(?<!\w)((?i:pin(?:[- ]?(?:code|number|nummer))?|tan|otp|cvv2?|cvc2?|security code|prüfnummer|kartenprüfnummer|"
    r"(?:verification|one[- ]time|login|access|authentication|confirmation|sms|2fa) code|passcode|"
    r"(?:bestätigungs|verifizierungs|sicherheits)code|code de (?:vérification|sécurité)|"
    r"código de (?:verificación|verificação|segurança|seguridad)|codice di (?:verifica|sicurezza)|verificatiecode)"
    r"(?:\s(?:is|was|ist|lautet|war|est|es|é|è))?\s?[:=#]?\s?)"
    r"(\d{3,8}|\d{3}[ -]\d{3})(?![\w]|[.,:/-]\d)"
)
_BORN = re.compile(
    r"(?<!\w)((?i:date of birth|birth ?date|birthday|d\.?o\.?b\.?|born(?: on)?|geboren(?: am)?|geburtsdatum|née? le|"
    r"date de naissance|fecha de nacimiento|nacid[oa] el|data di nascita|nat[oa] il|data de nascimento|nascid[oa] em|"
    r"geboortedatum|geboren op)(?:\s(?:is|ist|est|es|é|è))?\s?:?\s?)"
    r"(\d{1,4}([./-])\d{1,2}\3\d{1,4})(?!\w)"
)
_SECRET_NAMES = (
    *("passw", "passp", "kennwort", "mot de passe", "contrase", "clave", "senha", "palavra-", "wachtwoord", "parola"),
    *("api", "access token", "pin", "tan", "otp", "cvv", "cvc", "code", "código", "codice", "prüfnummer"),
)
_BIRTH_NAMES = ("birth", "dob", "d.o.b", "born", "gebor", "geburt", "né", "naiss", "nacim", "nacid", "nasc", "nat", "gebo")
_TRAILING = ".,;:!?)]}\"'"


def mask_credentials(text: str, lowered: str) -> str:
    """`<SECRET>` for passwords and codes, `<DATE>` for dates of birth; `lowered` is the text in small letters."""
    if any(name in lowered for name in _SECRET_NAMES):
        text = _CODE.sub(r"\1<SECRET>", _PASSWORD.sub(_mask_password, text))
    return text


def mask_birth_dates(text: str, lowered: str) -> str:
    """`<DATE>` where the words before say that it is a day of birth; other dates stay."""
    return _BORN.sub(r"\1<DATE>", text) if any(name in lowered for name in _BIRTH_NAMES) else text


def _mask_password(found: re.Match[str]) -> str:
    written = found.group(2)
    secret = written.rstrip(".,;:)]}\"'")
    if len(secret) < 4 or not any(one.isdigit() or one in "!#$%&*+=?@^_~" for one in secret.rstrip("!?")):
        return found.group()
    return f"{found.group(1)}<SECRET>{written[len(secret) :]}"
