// A SEAL client as it behaves on the wire: Web Crypto and fetch, nothing else. Prints one JSON line a call.
const [url, workload, scope, calls] = process.argv.slice(2);

const base64 = (bytes) => Buffer.from(bytes).toString('base64');

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

async function post(path, body) {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

const keys = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']);
let security_token = null;

async function attest() {
  const public_key = base64(await crypto.subtle.exportKey('raw', keys.publicKey));
  const answer = await post('/v1/seal/attest', {
    public_key,
    workload_id: workload,
    security_context: scope,
  });
  security_token = answer[1].security_token;
  return answer;
}

async function callTool(name, args) {
  const timestamp = new Date().toISOString();
  const payload = {
    jsonrpc: '2.0',
    id: crypto.randomUUID(),
    method: 'tools/call',
    params: { name, arguments: args },
  };
  const signed = { security_token, payload, timestamp: Math.floor(Date.parse(timestamp) / 1000) };
  const message = new TextEncoder().encode(JSON.stringify(sorted(signed)));
  const signature = base64(await crypto.subtle.sign('Ed25519', keys.privateKey, message));
  return post('/v1/invoke', { protocol: 'seal/v1', security_token, signature, payload, timestamp });
}

console.log(JSON.stringify(await attest()));
for (const [name, args] of JSON.parse(calls)) console.log(JSON.stringify(await callTool(name, args)));
