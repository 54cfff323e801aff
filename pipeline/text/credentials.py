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
_PASSWORD_NAMES = """
    password passwort passphrase kennwort passe contraseña clave senha palavra-passe wachtwoord parola api
    api-key apikey access
"""
_PASSWORD_WORDS = frozenset(_PASSWORD_NAMES.split())
_CODE_NAMES = """
    pin pins pin-code pincode pinnummer pin-nummer tan otp cvv cvv2 cvc cvc2 code passcode prüfnummer
    kartenprüfnummer código codice bestätigungscode verifizierungscode sicherheitscode verificatiecode
"""
_CODE_WORDS = frozenset(_CODE_NAMES.split())
_BIRTH_NAMES = """
    birth birthdate birthday dob d born geboren geburtsdatum né née naissance nacimiento nacido nacida nascita
    nato nata nascimento nascido nascida geboortedatum
"""
_BIRTH_WORDS = frozenset(_BIRTH_NAMES.split())
TELLING_WORDS = _PASSWORD_WORDS | _CODE_WORDS | _BIRTH_WORDS


def mask_credentials(text: str, words: frozenset[str]) -> str:
    """`<SECRET>` for passwords and codes; `words` are those of the text, in small letters."""
    if not words.isdisjoint(_PASSWORD_WORDS):
        text = _PASSWORD.sub(_mask_password, text)
    if not words.isdisjoint(_CODE_WORDS):
        text = _CODE.sub(r"\1<SECRET>", text)
    return text


def mask_birth_dates(text: str, words: frozenset[str]) -> str:
    """`<DATE>` where the words before say that it is a day of birth; other dates stay."""
    return text if words.isdisjoint(_BIRTH_WORDS) else _BORN.sub(r"\1<DATE>", text)


def _mask_password(found: re.Match[str]) -> str:
    written = found.group(2)
    secret = written.rstrip(".,;:)]}\"'")
    if len(secret) < 4 or not any(one.isdigit() or one in "!#$%&*+=?@^_~" for one in secret.rstrip("!?")):
        return found.group()
    return f"{found.group(1)}<SECRET>{written[len(secret) :]}"
