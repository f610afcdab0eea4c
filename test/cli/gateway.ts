/** A data plane on loopback whose tools answer with what they were asked, for the commands that call one. */
import { onTestFinished } from 'vitest';
import type { PrivateJwk } from '../../src/cli/keys.ts';
import { publicHalf } from '../../src/cli/keys.ts';
import { systemClock } from '../../src/clock.ts';
import { importEnvelopeKey } from '../../src/envelope/keys.ts';
import { decodeBody, parseEnvelope } from '../../src/envelope/parse.ts';
import { verifySignature } from '../../src/envelope/signature.ts';
import type { GatewayError } from '../../src/errors.ts';
import { CallError } from '../../src/invoke/call.ts';
import type { ToolDescription } from '../../src/invoke/tools.ts';
import { silentLog } from '../../src/log.ts';
import { createDataPlane } from '../../src/serve/http/data-plane.ts';
import { listen } from '../../src/serve/http/listener.ts';

export interface Behaviour {
  readonly tools?: readonly ToolDescription[];
  /** What every request is refused with. */
  readonly refusal?: GatewayError;
}

/** The URL of a gateway that knows this agent. */
export async function serveGateway(
  agent: PrivateJwk,
  { tools = [], refusal }: Behaviour = {},
): Promise<string> {
  const key = importEnvelopeKey(publicHalf(agent));
  const refuse = (): void => {
    const call = {
      call_id: 'call-1',
      snapshot: null,
      started: 0,
      envelope: null,
      asked: null,
      caller: null,
      user_token: null,
      remote_addr: null,
      intended: false,
      recorded: true,
    };
    if (refusal !== undefined) throw new CallError(refusal, call);
  };
  const app = createDataPlane({
    invoker: {
      async invoke(read) {
        const envelope = parseEnvelope(decodeBody(await read()));
        await verifySignature(envelope, [key]);
        refuse();
        const { request_id, payload, security_token } = envelope;
        return {
          request_id,
          result_json: JSON.stringify({ ...payload, security_token }),
          execution_id: 'exec-1',
          event_id: 'event-1',
          revision: 'rev-1',
          duration_ms: 1,
        };
      },
      explore: () => Promise.reject(new Error('nobody explores without an envelope here')),
      async tools() {
        refuse();
        return [...tools];
      },
    },
    attest: async () => Promise.reject(new Error('this is not called')),
    jwks: async () => ({ keys: [] }),
    clock: systemClock,
    log: silentLog,
    newId: () => 'id-1',
    limits: { body_bytes: 65_536 },
    verifyOperator: null,
    notReady: () => null,
    revision: () => 'rev-1',
    openbao: () => null,
    remoteAddress: () => '192.0.2.1',
    checkRemote: async () => {},
  });
  const listener = await listen(app.callback(), {
    bind_addr: '127.0.0.1:0',
    tls: { cert_file: null, key_file: null, client_ca_file: null },
    header_timeout_ms: 5000,
    request_timeout_ms: 5000,
    log: silentLog,
  });
  onTestFinished(() => listener.close(0));
  return listener.url;
}
