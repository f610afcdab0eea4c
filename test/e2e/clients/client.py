"""A SEAL client as it behaves on the wire: the standard library and `cryptography`. Prints one JSON line a call."""

import base64
import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timezone

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def post(url, body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Client:
    def __init__(self, url):
        self.url = url
        self.key = Ed25519PrivateKey.generate()
        self.token = None

    def attest(self, workload_id, scope):
        public = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        body = {
            "public_key": base64.b64encode(public).decode(),
            "workload_id": workload_id,
            "security_context": scope,
        }
        status, answer = post(f"{self.url}/v1/seal/attest", body)
        self.token = answer.get("security_token")
        return status, answer

    def call_tool(self, name, arguments):
        now = datetime.now(timezone.utc)
        payload = {
            "jsonrpc": "2.0",
            "id": f"req-{name}",
            "method": "tools/call",
            "params": {"name": name, "arguments": arguments},
        }
        signed = {"payload": payload, "security_token": self.token, "timestamp": int(now.timestamp())}
        message = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        envelope = {
            "protocol": "seal/v1",
            "security_token": self.token,
            "signature": base64.b64encode(self.key.sign(message.encode())).decode(),
            "payload": payload,
            "timestamp": now.isoformat().replace("+00:00", "Z"),
        }
        return post(f"{self.url}/v1/seal/invoke", envelope)


client = Client(sys.argv[1])
steps = [client.attest(sys.argv[2], sys.argv[3])]
for name, arguments in json.loads(sys.argv[4]):
    steps.append(client.call_tool(name, arguments))
for status, answer in steps:
    print(json.dumps([status, answer]))
