"""What a certificate says of its subject and issuer, as IoT policy variables.

https://docs.aws.amazon.com/iot/latest/developerguide/cert-policy-variables.html. Where an attribute is there several
times, ``<name>.List.<n>`` has each value and ``<name>`` the first.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import NameOID

_NAMES = {
    NameOID.DN_QUALIFIER: "DistinguishedNameQualifier", NameOID.COUNTRY_NAME: "Country",
    NameOID.ORGANIZATION_NAME: "Organization", NameOID.ORGANIZATIONAL_UNIT_NAME: "OrganizationalUnit",
    NameOID.STATE_OR_PROVINCE_NAME: "State", NameOID.COMMON_NAME: "CommonName", NameOID.SERIAL_NUMBER: "SerialNumber",
    NameOID.TITLE: "Title", NameOID.SURNAME: "Surname", NameOID.GIVEN_NAME: "GivenName", NameOID.INITIALS: "Initials",
    NameOID.PSEUDONYM: "Pseudonym", NameOID.GENERATION_QUALIFIER: "GenerationQualifier",
}  # fmt: skip
_ALTERNATIVES: dict[type[x509.GeneralName], str] = {
    x509.RFC822Name: "RFC822Name", x509.DNSName: "DNSName", x509.UniformResourceIdentifier: "UniformResourceIdentifier",
    x509.IPAddress: "IPAddress", x509.DirectoryName: "DirectoryName",
}  # fmt: skip


def variables(certificate: x509.Certificate) -> dict[str, str]:
    """Every variable that has a value."""
    found: dict[str, list[str]] = {}
    for side, name in (("Subject", certificate.subject), ("Issuer", certificate.issuer)):
        for attribute in name:
            if (known := _NAMES.get(attribute.oid)) is not None:
                found.setdefault(f"iot:Certificate.{side}.{known}", []).append(str(attribute.value))
    for extension, side in (
        (x509.SubjectAlternativeName, "Subject"),
        (x509.IssuerAlternativeName, "Issuer"),
    ):
        for kind, value in _alternatives(certificate, extension):
            found.setdefault(f"iot:Certificate.{side}.AlternativeName.{kind}", []).append(value)
    told: dict[str, str] = {}
    for variable, values in found.items():
        told[variable] = values[0]
        told |= {f"{variable}.List.{index}": value for index, value in enumerate(values)}
    return told


def _alternatives(
    certificate: x509.Certificate, kind: type[x509.SubjectAlternativeName | x509.IssuerAlternativeName]
) -> Iterable[tuple[str, str]]:
    try:
        names = certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return
    for name in names:
        if (known := _ALTERNATIVES.get(type(name))) is not None:
            value = name.value
            yield known, value.rfc4514_string() if isinstance(value, x509.Name) else str(value)
