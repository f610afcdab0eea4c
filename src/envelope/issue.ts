/** Makes the gateway's own security tokens: compact JWS (RFC 7515) with Ed25519 (RFC 8037). */

export interface Signer {
  readonly kid: string;
  /** 64 bytes, by the private key of that name, wherever it is. */
  sign(input: Buffer): Promise<Uint8Array>;
}

/** A JWT of these claims. Rejects as the signer does. */
export async function issueToken(
  claims: Readonly<Record<string, unknown>>,
  { kid, sign }: Signer,
): Promise<string> {
  const input = `${part({ alg: 'EdDSA', kid, typ: 'JWT' })}.${part(claims)}`;
  const signature = await sign(Buffer.from(input));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
