"""TLS to a broker: the context with our own certificate, and why it failed, each one sentence.

In: the files an `Address` names. Out: an ssl.SSLContext for `mqtt.py`, and sentences for `connack.py`.
"""

import ssl

from supervisor.bus.link.address import Address
from supervisor.errors import BrokerError

_NOT_YET, _EXPIRED, _SELF_SIGNED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 18, 62, 64
"""what OpenSSL says of a certificate (X509_V_ERR_…)"""
_WANTS_OURS = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE")
_DISLIKES_OURS = ("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED")


def context(address: Address) -> ssl.SSLContext:
    """The context for an address; BrokerError names the file that cannot be used. Blocking: it reads certificates."""
    try:
        made = ssl.create_default_context(cafile=address.ca_file or None)
    except OSError as err:
        raise BrokerError(f"mqtt.ca_file {address.ca_file} cannot be used: {_why(err)}") from None
    if address.cert_file:
        # Without the function OpenSSL would ask for the password at a terminal.
        try:
            made.load_cert_chain(address.cert_file, address.key_file or None, password=_no_password)
        except OSError as err:
            files = f"mqtt.cert_file {address.cert_file}"
            if address.key_file:
                files += f" with mqtt.key_file {address.key_file}"
            raise BrokerError(f"{files} cannot be used: {_why(err)}") from None
    elif address.key_file:
        raise BrokerError("mqtt.key_file is set without mqtt.cert_file; name the certificate, too")
    return made


def distrust(err: ssl.SSLCertVerificationError, address: Address) -> str:
    """Why the broker's certificate is not believed."""
    whose = f"the certificate of {address}"
    code = err.verify_code
    if code == _EXPIRED:
        return f"{whose} has expired; renew it on the broker (if it is valid, this machine's clock is wrong)"
    if code == _NOT_YET:
        return f"{whose} is not valid yet; check the clocks of both machines"
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        return f"{whose} is for another name; write in mqtt.url the name that stands in it ({_names(err)})"
    if code == _SELF_SIGNED:
        return f"{whose} is signed by itself; set mqtt.ca_file to a copy of it"
    if address.ca_file:
        return f"{whose} is not signed by the authority in mqtt.ca_file {address.ca_file}; name the right one"
    return f"{whose} is signed by an authority that this machine does not know; set mqtt.ca_file to its certificate"


def alert(reason: str, address: Address) -> str:
    """What an alert of the broker during or after the handshake means; '' where it is none about certificates."""
    if any(word in reason for word in _WANTS_OURS) and not address.cert_file:
        return f"{address} wants a certificate of ours; set mqtt.cert_file and mqtt.key_file"
    if any(word in reason for word in (*_DISLIKES_OURS, *_WANTS_OURS)) and address.cert_file:
        whose = f"our certificate {address.cert_file}"
        return f"{address} does not accept {whose}: {_said(reason)}; have an authority sign it that the broker trusts"
    return ""


def _no_password() -> bytes:
    raise BrokerError("the key of mqtt.cert_file is encrypted; decrypt it (openssl pkey -in KEY -out NEW)")


def _why(err: OSError) -> str:
    if isinstance(err, ssl.SSLError):
        if err.reason == "KEY_VALUES_MISMATCH":
            return "the key belongs to another certificate"
        return "it is no certificate (or key) in PEM form"
    return err.strerror or str(err)


def _names(err: ssl.SSLCertVerificationError) -> str:
    return (err.verify_message or "").rstrip(".") or "it names another host"


def _said(reason: str) -> str:
    return reason.lower().replace("_", " ").replace("tlsv1 alert ", "").replace("tlsv13 alert ", "")
