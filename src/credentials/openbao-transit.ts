/** A key of OpenBao's transit engine: it signs there, and its private half is never here. */
import type { OpenBao } from './openbao.ts';
import { type BaoReply, object } from './openbao-http.ts';
import { baoPath, segments } from './openbao-path.ts';
import { problemOf } from './openbao-problem.ts';
import { unavailable } from './problem.ts';

export interface TransitVersion {
  readonly version: number;
  /** Ed25519, 32 bytes. */
  readonly public_key: Uint8Array;
}

export interface TransitKey {
  /** The versions that still verify, the newest first, at least one. Rejects with CREDENTIAL_UNAVAILABLE. */
  versions(): Promise<readonly TransitVersion[]>;
  /** 64 bytes; null: the server does not sign with this version, or not any more. Rejects with CREDENTIAL_UNAVAILABLE. */
  sign(version: number, input: Uint8Array): Promise<Uint8Array | null>;
}

export interface TransitOptions {
  readonly openbao: Pick<OpenBao, 'read'>;
  /** null: the root of the server. */
  readonly namespace: string | null;
  readonly mount: string;
  /** Name of the key, of type ed25519. */
  readonly key: string;
}

/** `vault:v` and the version, as OpenBao writes it too; then 64 bytes in base64. */
const SIGNATURE = /^vault:v([1-9]\d*):([A-Za-z0-9+/_-]{86}(?:==)?)$/;

/** Throws CREDENTIAL_UNAVAILABLE for a mount or a name that is no path. */
export function createTransitKey({ openbao, namespace, mount, key }: TransitOptions): TransitKey {
  const engine = segments(mount, 'the mount of the transit engine');
  const [name = ''] = segments(key, 'the name of the transit key');
  return {
    async versions() {
      const path = baoPath(...engine, 'keys', name);
      return versionsOf(await openbao.read({ method: 'GET', path, namespace }));
    },
    async sign(version, input) {
      // Signing changes nothing and gives the same each time (RFC 8032), so it may be tried again like a reading.
      const reply = await openbao.read({
        method: 'POST',
        path: baoPath(...engine, 'sign', name),
        namespace,
        body: { input: Buffer.from(input).toString('base64'), key_version: version },
      });
      // 500 is what OpenBao says of a version before min_encryption_version.
      if (reply.status === 400 || reply.status === 500) return null;
      const data = reply.status === 200 ? object(reply.body.data) : null;
      if (data === null) throw unavailable(`the gateway's tokens cannot be signed: ${problemOf(reply)}`);
      const [, signed_by, signature] = SIGNATURE.exec(String(data.signature)) ?? [];
      if (signature === undefined || Number(signed_by) !== version)
        throw unavailable(
          "the gateway's tokens cannot be signed: OpenBao answered with no signature of that key",
        );
      return Buffer.from(signature, 'base64');
    },
  };
}

function versionsOf(reply: BaoReply): readonly TransitVersion[] {
  const fault = (what: string) => unavailable(`the keys of the gateway's tokens cannot be had: ${what}`);
  const data = reply.status === 200 ? object(reply.body.data) : null;
  if (data === null) throw fault(problemOf(reply));
  if (data.type !== 'ed25519' || data.derived === true)
    throw fault('the transit key is none of type ed25519, or a derived one');
  const oldest = Number(data.min_decryption_version ?? 1);
  const versions = Object.entries(object(data.keys) ?? {}).flatMap(([version, about]) => {
    const public_key = Buffer.from(String(object(about)?.public_key ?? ''), 'base64');
    const counts = Number(version) >= oldest && public_key.length === 32;
    return counts ? [{ version: Number(version), public_key }] : [];
  });
  if (versions.length === 0) throw fault('OpenBao told of no version of the transit key');
  return versions.sort((a, b) => b.version - a.version);
}
