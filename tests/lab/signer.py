# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Sign a message by hand. Runs on the receiver, where dkimpy is; the message comes on stdin, the domain as argument.

Prints JSON: {"message": the signed message, "keys": {selector: the TXT record of its key}}.
"""

import base64
import json
import subprocess
import sys

import dkim
import nacl.signing

domain = sys.argv[1].encode()
raw = sys.stdin.buffer.read()
pem = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True).stdout
public = subprocess.run(
    ["openssl", "rsa", "-pubout", "-outform", "DER"], input=pem, check=True, capture_output=True
).stdout
seed = nacl.signing.SigningKey.generate()
for selector, algorithm, key in (
    (b"r", b"rsa-sha256", pem),
    (b"e", b"ed25519-sha256", base64.b64encode(bytes(seed))),
):
    raw = dkim.sign(raw, selector, domain, key, signature_algorithm=algorithm) + raw
print(
    json.dumps(
        {
            "message": raw.decode(),
            "keys": {
                "r": f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}",
                "e": f"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(seed.verify_key)).decode()}",
            },
        }
    )
)
