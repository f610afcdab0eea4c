/**
 * Keys in OpenBao's transit engine: the newest version signs, there; those that still verify are believed, here, also
 * while OpenBao is away. A new version is found within a minute, or when a token comes that it has signed.
 */
import { verify } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { TransitKey } from '../credentials/openbao-transit.ts';
import { issueToken } from '../envelope/issue.ts';
import { GatewayError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type IssuerKey, type IssuerKeys, issuerKey } from './issuer-key.ts';

interface Key extends IssuerKey {
  readonly version: number;
}

/** Milliseconds that the versions are believed before they are asked for again, in the background. */
const FRESH_MS = 60_000;
/** Milliseconds that they are believed while OpenBao does not answer: as long as the longest token. */
const KEEP_MS = 24 * 60 * 60_000;
/** Milliseconds between two questions that tokens with an unknown `kid` make, and after one that failed. */
const PAUSE_MS = 1_000;
const MAX_KEYS = 8;

export function keysInTransit(
  transit: TransitKey,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): IssuerKeys {
  let good: { readonly keys: readonly Key[]; readonly at: number } | null = null;
  let failure: GatewayError | null = null;
  let asking: Promise<void> | null = null;
  let asked = Number.NEGATIVE_INFINITY;

  async function load(): Promise<void> {
    asked = clock.monotonic();
    try {
      const keys = keysOf((await transit.versions()).slice(0, MAX_KEYS));
      if (keys[0]?.kid !== good?.keys[0]?.kid)
        log.info({ version: keys[0]?.version, kid: keys[0]?.kid }, 'the gateway signs with this transit key');
      good = { keys, at: clock.monotonic() };
      failure = null;
    } catch (error) {
      failure = error as GatewayError;
      log.warn(
        { reason: failure.message },
        "the keys of the gateway's tokens could not be read from OpenBao",
      );
    }
  }

  /** Joins the question under way; never rejects. */
  function refresh(): Promise<void> {
    asking ??= load().finally(() => {
      asking = null;
    });
    return asking;
  }

  const mayAsk = (): boolean => asking !== null || clock.monotonic() - asked >= PAUSE_MS;

  async function current(): Promise<readonly Key[]> {
    const age = (): number => (good === null ? Infinity : clock.monotonic() - good.at);
    if (age() >= KEEP_MS && mayAsk()) await refresh();
    else if (age() >= FRESH_MS && mayAsk()) void refresh();
    if (good !== null && age() < KEEP_MS) return good.keys;
    throw (
      failure ?? new GatewayError('CREDENTIAL_UNAVAILABLE', "the keys of the gateway's tokens are not known")
    );
  }

  /** null: this version does not sign, or no longer with the key that we know. */
  async function issueWith(key: Key, claims: Readonly<Record<string, unknown>>): Promise<string | null> {
    let good = false;
    const token = await issueToken(claims, {
      kid: key.kid,
      async sign(input) {
        const signature = await transit.sign(key.version, input);
        good = signature !== null && verify(null, input, key.public_key, signature);
        return signature ?? Buffer.alloc(0);
      },
    });
    return good ? token : null;
  }

  // At the start, so that the log says what is wrong before somebody needs a token.
  void refresh();

  return {
    async believed(kid) {
      const keys = await current();
      if (kid === undefined || keys.some((key) => key.kid === kid) || !mayAsk()) return keys;
      await refresh();
      return current();
    },
    async issue(claims) {
      const token = await issueWith((await current())[0]!, claims);
      if (token !== null) return token;
      await refresh();
      const again = await issueWith((await current())[0]!, claims);
      if (again !== null) return again;
      throw new GatewayError(
        'CREDENTIAL_UNAVAILABLE',
        "the gateway's tokens cannot be signed: OpenBao does not sign with the newest version of the transit key",
      );
    },
  };
}

function keysOf(versions: Awaited<ReturnType<TransitKey['versions']>>): readonly Key[] {
  try {
    return versions.map(({ version, public_key }) => ({
      ...issuerKey(Buffer.from(public_key).toString('base64url')),
      version,
    }));
  } catch (cause) {
    throw new GatewayError('CREDENTIAL_UNAVAILABLE', 'OpenBao told of a public key that may not be trusted', {
      cause,
    });
  }
}
