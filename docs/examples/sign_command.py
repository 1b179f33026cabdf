"""Signs a command for Resurgam. The box and you share the key: openssl rand -hex 32 > phone.key && chmod 600 phone.key

python3 sign_command.py box phone restart phone.key target=stack.oracle within=5m |
    mosquitto_pub -h box -u phone -P "$PASSWORD" -V 5 -q 1 -t resurgam/box/cmd/phone/restart -s
"""

import hashlib
import hmac
import json
import pathlib
import sys
import time
import uuid


def signed(host, principal, verb, key, target="", if_rev=None, **params):
    now = int(time.time())
    said = {"id": uuid.uuid4().hex, "target": target, "params": params, "at": now, "exp": now + 60, "if_rev": if_rev}
    meant = said | {"aud": host, "principal": principal, "verb": verb}
    text = json.dumps(meant, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return said | {"sig": hmac.new(key.encode(), text, hashlib.sha256).hexdigest()}


if __name__ == "__main__":
    host, principal, verb, file = sys.argv[1:5]
    words = dict(word.split("=", 1) for word in sys.argv[5:])
    rev = int(words.pop("if_rev")) if "if_rev" in words else None
    print(json.dumps(signed(host, principal, verb, pathlib.Path(file).read_text().strip(), if_rev=rev, **words)))
