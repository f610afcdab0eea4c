/**
 * The credentials of one call: each is got once, however many steps use it, put into the request at the last moment,
 * masked wherever it comes back, and ended when the call is over.
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { isLoopback } from '../openapi/loopback.ts';
import type { Api, CredentialRef } from '../snapshot/snapshot.ts';
import { type ContainerInject, injectCredential, injectIntoContainer } from './inject.ts';
import { createMask, type Mask } from './mask.ts';
import { unavailable } from './problem.ts';
import {
  type CredentialProviders,
  chosenPath,
  type Path,
  type Principal,
  type ResolvedCredential,
  resolveCredential,
} from './resolve.ts';
import { type ContainerSecrets, type RequestSecrets, reveal, Secret } from './secret.ts';

/** What the trail hears of a credential; never the value. */
export interface CredentialEvent {
  readonly event_type: 'CredentialExchangeCompleted' | 'CredentialExchangeFailed';
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface CallCredentials {
  /** What the credential of `api` adds to its requests; null: nothing. Rejects as {@link CallCredentials.resolve}. */
  forApi(api: Api): Promise<RequestSecrets | null>;
  /** What a credential adds to a container; null: nothing. `target` and failures as with `resolve`. */
  forContainer(ref: CredentialRef, inject: ContainerInject, target: string): Promise<ContainerSecrets | null>;
  /**
   * The credential itself, for what is neither: an image registry, a judge. `target`: for whom, as
   * the trail names it. Rejects with CREDENTIAL_UNAVAILABLE, or with TOKEN_VERIFICATION_FAILED or
   * POLICY_NO_MATCHING_CAPABILITY where the caller is at fault.
   */
  resolve(ref: CredentialRef, target: string): Promise<ResolvedCredential | null>;
  /** Masks all that was resolved so far. */
  readonly mask: Mask;
  /** The call is over: ends its leases, also those that are still being made. Resolves when they are. Never rejects. */
  end(): Promise<void>;
}

export interface CallCredentialsDeps {
  readonly providers: CredentialProviders;
  readonly clock: Clock;
}

export interface CallCredentialsOptions {
  readonly principal: Principal;
  readonly emit: (event: CredentialEvent) => void;
}

export type OpenCredentials = (options: CallCredentialsOptions) => CallCredentials;

export interface Credentials {
  readonly open: OpenCredentials;
  /** Resolves when what calls had that are over is ended, also what was only on its way to them. Never rejects. */
  ended(): Promise<void>;
}

export function createCredentials(deps: CallCredentialsDeps): Credentials {
  const ending = new Set<Promise<void>>();
  return {
    open(options) {
      const credentials = openCredentials(deps, options);
      return {
        ...credentials,
        end() {
          const ended = credentials.end().finally(() => ending.delete(ended));
          ending.add(ended);
          return ended;
        },
      };
    },
    async ended() {
      while (ending.size > 0) await Promise.all(ending);
    },
  };
}

function openCredentials(
  { providers, clock }: CallCredentialsDeps,
  { principal, emit }: CallCredentialsOptions,
): CallCredentials {
  const byApi = new Map<Api, Promise<RequestSecrets | null>>();
  const resolving = new Set<Promise<ResolvedCredential | null>>();
  const mask = createMask();

  async function get(
    ref: CredentialRef,
    target: string,
    check: () => void,
  ): Promise<ResolvedCredential | null> {
    const chosen = chosenPath(ref, principal);
    if (chosen.kind === 'none') return null;
    const started = clock.monotonic();
    const facts = () => ({
      resolution_path: chosen.kind,
      target_service: targetOf(chosen, target),
      duration_ms: Math.round(clock.monotonic() - started),
    });
    try {
      check();
      const credential = await resolveCredential(chosen, principal, providers);
      for (const secret of Object.values(credential?.fields ?? {})) mask.add(secret);
      emit({ event_type: 'CredentialExchangeCompleted', payload: { ...facts(), ...credential?.facts } });
      return credential;
    } catch (thrown) {
      const error = describe(thrown, chosen.kind);
      emit({
        event_type: 'CredentialExchangeFailed',
        payload: { ...facts(), code: error.row.code, error: error.name, reason: error.message },
      });
      throw error;
    }
  }

  /** `check` throws when the credential must not be got at all. */
  function resolve(ref: CredentialRef, target: string, check = () => {}): Promise<ResolvedCredential | null> {
    const got = get(ref, target, check);
    resolving.add(got);
    // `end` looks at it; whoever asked hears of the failure.
    got.catch(() => {});
    return got;
  }

  async function secretsOf(api: Api): Promise<RequestSecrets | null> {
    if (api.credential.kind === 'none') return null;
    const credential = await resolve(api.credential, api.name, () => checkTransport(api));
    if (credential === null) return null;
    const secrets = injectCredential(api.inject, credential);
    for (const secret of Object.values(secrets.headers)) mask.add(withoutScheme(secret));
    return { ...secrets, mask };
  }

  return {
    forApi(api) {
      let secrets = byApi.get(api);
      if (secrets === undefined) {
        secrets = secretsOf(api);
        byApi.set(api, secrets);
      }
      return secrets;
    },
    async forContainer(ref, inject, target) {
      const credential = await resolve(ref, target);
      return credential === null ? null : { ...injectIntoContainer(inject, credential), mask };
    },
    resolve: (ref, target) => resolve(ref, target),
    mask,
    async end() {
      await Promise.all(
        [...resolving].map(async (got) => {
          const credential = await got.catch(() => null);
          await credential?.release?.();
        }),
      );
    },
  };
}

/** `Basic` and its like are not secret, and what follows is echoed without them as well. */
function withoutScheme(secret: Secret): Secret {
  return new Secret(reveal(secret).replace(/^\S+ /, ''));
}

/** Every failure of a path says which path it was. */
function describe(thrown: unknown, path: Path): GatewayError {
  if (!(thrown instanceof GatewayError))
    return unavailable(`the credential path ${path} failed`, { resolution_path: path });
  return new GatewayError(thrown.name, thrown.message, {
    details: { resolution_path: path, ...thrown.details },
    layer: thrown.layer,
    cause: thrown.cause,
  });
}

function targetOf(ref: CredentialRef, target: string): string {
  return ref.kind === 'human_delegated' ? ref.target_service : target;
}

/** A credential is not sent where anybody on the way can read it, unless the manifest says so. */
function checkTransport({ name, base_url, egress }: Api): void {
  if (base_url.protocol === 'https:' || isLoopback(base_url) || egress.plain_http_credentials) return;
  throw unavailable(
    `the credential of ${name} is not sent over plain HTTP; use https, or egress.plain_http_credentials where the way is safe`,
  );
}
