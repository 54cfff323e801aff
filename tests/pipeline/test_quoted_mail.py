# ruff: noqa: E501  # mails are quoted as they come, in long lines
"""Mails as mail programs really send them: what the customer wrote stays, earlier messages, signatures and the
program's own lines go."""

from __future__ import annotations

import pytest

from pipeline.text.clean import clean_body, clean_subject

OWN = "The lamp still flickers."
QUOTED_HTML = "<p>Dear customer,<br>please try another bulb.</p>"

MAILS = {
    "Gmail, english": (
        f'<div dir="ltr">{OWN}</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Tue, Mar 3, 2026 at '
        f'10:00 AM Help &lt;<a href="mailto:h@x.org">h@x.org</a>&gt; wrote:<br></div><blockquote class="gmail_quote">'
        f"{QUOTED_HTML}</blockquote></div>"
    ),
    "Gmail, plain": f"{OWN}\n\nOn Tue, Mar 3, 2026 at 10:00 AM Help <h@x.org> wrote:\n\n> Dear customer,\n> try another.",
    "Gmail, german": f"{OWN}\n\nAm Di., 3. März 2026 um 10:00 Uhr schrieb Help <h@x.org>:\n\n> Guten Tag",
    "Gmail, french": f"{OWN}\n\nLe mar. 3 mars 2026 à 10:00, Help <h@x.org> a écrit :\n\n> Bonjour",
    "Gmail, spanish": f"{OWN}\n\nEl mar, 3 mar 2026 a las 10:00, Help (<h@x.org>) escribió:\n\n> Hola",
    "Gmail, italian": f"{OWN}\n\nIl giorno mar 3 mar 2026 alle ore 10:00 Help <h@x.org> ha scritto:\n\n> Ciao",
    "Gmail, portuguese": f"{OWN}\n\nEm ter., 3 de mar. de 2026 às 10:00, Help <h@x.org> escreveu:\n\n> Olá",
    "Gmail, dutch": f"{OWN}\n\nOp di 3 mrt 2026 om 10:00 schreef Help <h@x.org>:\n\n> Hallo",
    "Gmail, an old form": f"{OWN}\n\n2026-03-03 10:00 GMT+01:00 Help <h@x.org>:\n\n> Dear customer",
    "Gmail, wrapped over three lines": f"{OWN}\n\nOn Tue, Mar 3, 2026 at 10:00 AM Help Desk of the\nVery Long Company Name "
    "Limited <h@x.org>\nwrote:\n\n> Dear customer",
    "Apple Mail": (
        f"<html><body>{OWN}<br><div><br><blockquote type='cite'><div>On 3 Mar 2026, at 10:00, Help &lt;h@x.org&gt; wrote:"
        f"</div><br>{QUOTED_HTML}</blockquote></div></body></html>"
    ),
    "Apple Mail, forwarded": f"{OWN}\n\nBegin forwarded message:\n\nFrom: Help <h@x.org>\nSubject: Lamp\nDate: 3 March 2026\n"
    "To: me@x.org\n\nDear customer",
    "iPhone, german": f"{OWN}\n\nVon meinem iPhone gesendet\n\n> Am 03.03.2026 um 10:00 schrieb Help <h@x.org>:\n>\n> Guten Tag",
    "iPhone, french": f"{OWN}\n\nEnvoyé de mon iPhone\n\n> Le 3 mars 2026 à 10:00, Help <h@x.org> a écrit :\n> Bonjour",
    "Thunderbird": f"{OWN}\n\nOn 03/03/2026 10:00, Help wrote:\n> Dear customer,\n> try another bulb.",
    "Thunderbird, french": f"{OWN}\n\nLe 03/03/2026 à 10:00, Help a écrit :\n> Bonjour",
    "Outlook": f"{OWN}\n\n________________________________\nFrom: Help <h@x.org>\nSent: Tuesday, March 3, 2026 10:00 AM\n"
    "To: Me <me@x.org>\nSubject: Re: Lamp\n\nDear customer,\ntry another bulb.",
    "Outlook, html": (
        f'<div class="WordSection1"><p class="MsoNormal">{OWN}<o:p></o:p></p><div style="border:none"><p class="MsoNormal"><b>'
        "From:</b> Help &lt;h@x.org&gt;<br><b>Sent:</b> Tuesday, March 3, 2026 10:00 AM<br><b>To:</b> Me<br><b>Subject:</b> "
        f"Re: Lamp</p></div>{QUOTED_HTML}</div>"
    ),
    "Outlook, as text with stars": f"{OWN}\n\n*From:* Help <h@x.org>\n*Sent:* Tuesday, March 3, 2026\n*To:* Me\n*Subject:* Lamp\n\n"
    "Dear customer",
    "Outlook, german": f"{OWN}\n\nVon: Help <h@x.org>\nGesendet: Dienstag, 3. März 2026 10:00\nAn: Ich\nBetreff: AW: Lampe\n\nGuten Tag",
    "Outlook, french": f"{OWN}\n\nDe : Help <h@x.org>\nEnvoyé : mardi 3 mars 2026 10:00\nÀ : Moi\nObjet : RE: Lampe\n\nBonjour",
    "Outlook, spanish": f"{OWN}\n\nDe: Help <h@x.org>\nEnviado el: martes, 3 de marzo de 2026 10:00\nPara: Yo\nAsunto: RE: Lámpara\n\nHola",
    "Outlook, italian": f"{OWN}\n\nDa: Help <h@x.org>\nInviato: martedì 3 marzo 2026 10:00\nA: Io\nOggetto: R: Lampada\n\nBuongiorno",
    "Outlook, portuguese": f"{OWN}\n\nDe: Help <h@x.org>\nEnviada em: terça-feira, 3 de março de 2026 10:00\nPara: Eu\nAssunto: RES: Candeeiro\n\nOlá",
    "Outlook, dutch": f"{OWN}\n\nVan: Help <h@x.org>\nVerzonden: dinsdag 3 maart 2026 10:00\nAan: Ik\nOnderwerp: RE: Lamp\n\nHallo",
    "Yahoo": f"{OWN}\n\nOn Tuesday, March 3, 2026 at 10:00:00 AM GMT+1, Help <h@x.org> wrote:\n\nDear customer",
    "Yahoo, german": f"{OWN}\n\nAm Dienstag, 3. März 2026 um 10:00:00 MEZ hat Help <h@x.org> Folgendes geschrieben:\n\nGuten Tag",
    "Proton": f"{OWN}\n\nSent with Proton Mail secure email.\n\n------- Original Message -------\nOn Tuesday, March 3rd, 2026 at 10:00, "
    "Help <h@x.org> wrote:\n\n> Dear customer",
    "a name before the verb": f"{OWN}\n\nHelp <h@x.org> schrieb am Di., 3. März 2026, 10:00:\n\n> Guten Tag",
    "Zendesk's marker": f"{OWN}\n\n##- Please type your reply above this line -##\n\nYour request (4711) has been updated.",
    "Zendesk's marker, german": f"{OWN}\n\n##- Bitte geben Sie Ihre Antwort über dieser Zeile ein -##\n\nIhre Anfrage wurde aktualisiert.",
    "reply above this line": f"{OWN}\n\n-- Reply above this line --\n\nAgent: Dear customer",
    "signature": f"{OWN}\n\nKind regards,\n\nJane Doe\nHead of Fun\nLamps Ltd\n+44 20 7946 0958",
    "signature, german": f"{OWN}\n\nMit freundlichen Grüßen\n\nSabine Krüger\nLampen GmbH\nMusterstraße 1",
    "signature, french": f"{OWN}\n\nBien cordialement,\n\nJean Dupont",
    "signature, spanish": f"{OWN}\n\nUn cordial saludo,\nLola Pérez",
    "signature, italian": f"{OWN}\n\nCordiali saluti\nPaolo Rossi",
    "signature, portuguese": f"{OWN}\n\nCom os melhores cumprimentos,\nTiago Sousa",
    "signature, dutch": f"{OWN}\n\nMet vriendelijke groet,\nSanne de Vries",
    "signature of dashes": f"{OWN}\n-- \nJane Doe | Lamps Ltd | www.lamps.example",
    "Samsung": f"{OWN}\n\nSent from my Samsung Galaxy smartphone.",
    "Outlook for Android": f"{OWN}\n\nGet Outlook for Android<https://aka.ms/AAb9ysg>",
    "Windows Mail": f"{OWN}\n\nSent from Mail for Windows",
    "Yahoo on Android": f"{OWN}\n\nSent from Yahoo Mail on Android",
    "phone, spanish": f"{OWN}\n\nEnviado desde mi iPhone",
    "phone, dutch": f"{OWN}\n\nVerstuurd vanaf mijn iPhone",
    "phone, german": f"{OWN}\n\nDiese Nachricht wurde von meinem Android Mobiltelefon mit GMX Mail gesendet.",
    "banner": f"CAUTION: This email originated from outside of the organization. Do not click links or open attachments unless you "
    f"recognize the sender.\n\n{OWN}",
    "banner on two lines": f"[EXTERNAL EMAIL] {OWN}",
    "banner, german": f"ACHTUNG: Diese E-Mail stammt von einem externen Absender.\n\n{OWN}",
    "disclaimer": f"{OWN}\n\nThis e-mail and any attachments are confidential and intended solely for the addressee. If you have received "
    "this message in error, please notify the sender and delete it.",
    "disclaimer, wrapped": f"{OWN}\n\nCONFIDENTIALITY NOTICE: The information contained in this message is\nprivileged and intended only for "
    "the named recipient. Any unauthorized\nuse is prohibited. Please notify us and delete it.\n",
    "disclaimer, german": f"{OWN}\n\nDiese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind oder diese E-Mail "
    "irrtümlich erhalten haben, informieren Sie bitte sofort den Absender und vernichten Sie diese Mail.",
    "disclaimer, french": f"{OWN}\n\nCe message et ses pièces jointes sont confidentiels et destinés exclusivement à leurs destinataires. Si vous avez "
    "reçu ce message par erreur, merci d'avertir l'expéditeur et de le supprimer.",
    "disclaimer, spanish": f"{OWN}\n\nEste mensaje es confidencial y se dirige exclusivamente a su destinatario. Si lo ha recibido por error, le rogamos "
    "que lo comunique y lo elimine.",
    "disclaimer, italian": f"{OWN}\n\nQuesto messaggio contiene informazioni riservate destinate al solo destinatario. Se ricevuto per errore, si prega di "
    "cancellarlo e di avvisare il mittente.",
    "disclaimer, portuguese": f"{OWN}\n\nEsta mensagem é confidencial e destina-se apenas ao destinatário. Se a recebeu por engano, por favor avise o "
    "remetente e elimine-a.",
    "disclaimer, dutch": f"{OWN}\n\nDit bericht is vertrouwelijk en uitsluitend bestemd voor de geadresseerde. Als u dit abusievelijk ontvangt, "
    "verwijder het dan.",
    "disclaimer after a signature": f"{OWN}\n\nBest regards,\nJane Doe\n\nThis message is confidential and may be privileged. If you are not the intended "
    "recipient, please delete it.",
    "unsubscribe": f"{OWN}\n\nYou are receiving this email because you opted in.\nUnsubscribe | Manage preferences",
    "unsubscribe with a link": f"{OWN}\n\nTo unsubscribe from this list click here: https://x.example/u",
    "printing": f"{OWN}\n\nPlease consider the environment before printing this e-mail.",
    "virus scanner": f"{OWN}\n\nVirus-free. www.avast.com",
    "virus scanner, german": f"{OWN}\n\nDiese E-Mail wurde von Avast Antivirus-Software auf Viren geprüft.",
    "helpdesk footer": f"{OWN}\n\nThis email is a service from Lamps Ltd. Delivered by Zendesk\n\n[0G2KXE-4ZV1]",
    "copyright": f"{OWN}\n\n© 2026 Lamps Ltd. All rights reserved.",
}
KEPT = {
    "a question about unsubscribing": "How can I unsubscribe from your newsletter?",
    "a wish to unsubscribe": "Hello,\nplease unsubscribe me from the list.",
    "unsubscribe alone": "Unsubscribe",
    "what the driver wrote": "On Monday the driver wrote:\nnobody home",
    "confidential, in a story": "My file is confidential and somebody else received it. Delete it, please.",
    "a warning in a story": "The label says: warning, do not use outside of the house.",
    "sent from a place": "The parcel was\nSent from Berlin on Monday",
    "virus in a story": "Your app told me I have a virus.\nWhat now?",
    "thanks in the middle": "Thanks for the quick answer.\nThe lamp is still broken.",
    "labels of a form": "Name: Lamp\nColour: red\nSize: 40 cm",
    "a journey": "Please change my booking:\nFrom: Berlin\nTo: Paris\nDate: 3 May\nI need two seats.",
    "a sentence below the thanks": "The lamp flickers.\nThanks\nAlso the invoice is wrong.",
    "a german sentence below the thanks": "Die Lampe flackert.\nVG\nDie Rechnung ist auch falsch.",
    "cc of an engine": "To: the left\nthen it stops",
}


@pytest.mark.parametrize("mail", MAILS)
def test_only_what_the_customer_wrote_stays(mail: str) -> None:
    assert clean_body(MAILS[mail]) == OWN


@pytest.mark.parametrize("case", KEPT)
def test_a_customers_own_words_that_look_alike_stay(case: str) -> None:
    assert clean_body(KEPT[case]) == KEPT[case]


def test_boilerplate_alone_is_better_than_nothing() -> None:
    notice = "This e-mail is confidential and intended for the addressee only. If received in error, delete it."

    assert clean_body(notice) == notice


def test_a_subject_loses_the_mark_of_outside_mail() -> None:
    assert clean_subject("[EXTERNAL] Re: Lamp broken") == "Lamp broken"
    assert clean_subject("RE: [EXT] Lamp broken") == "Lamp broken"
