/** From where a manifest says that a credential comes to the credential itself. */
import { GatewayError } from '../errors.ts';
import type { CredentialRef, Tenant } from '../snapshot/snapshot.ts';
import { unavailable } from './problem.ts';
import type { Secret } from './secret.ts';

/** On whose behalf a credential is got: the caller of one call. */
export interface Principal {
  readonly tenant: Tenant | null;
  /** All tenants, so that nobody's path leads into what belongs to another. */
  readonly tenants: ReadonlyMap<string, Tenant>;
  /** The `sub` of the security token. */
  readonly agent: string;
  /** Name of the security context. */
  readonly context: string;
  /** The token of the user for whom the agent acts, as it was sent; null: there is none. */
  readonly user_token: Secret | null;
  /** Whether the capability that allowed the call lets it act in the user's name. */
  readonly allow_human_delegated: boolean;
}

export interface ResolvedCredential {
  /** The field that the reference names, or the only one; null: there are several and it names none. */
  readonly value: Secret | null;
  readonly fields: Readonly<Record<string, Secret>>;
  /** What the trail says of it beside path and duration. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** Ends it when the call is over; absent: it does not end with the call. Never rejects. */
  readonly release?: () => Promise<void>;
}

export type Path = Exclude<CredentialRef['kind'], 'none'>;

/** Gets a credential by one path; rejects with CREDENTIAL_UNAVAILABLE, or with whatever is the caller's fault. */
export type CredentialProvider<P extends Path> = (
  ref: Extract<CredentialRef, { kind: P }>,
  principal: Principal,
) => Promise<ResolvedCredential>;

/** What this gateway is configured to get credentials from. */
export type CredentialProviders = { readonly [P in Path]?: CredentialProvider<P> };

/**
 * The credential that `ref` names; null for `none`. Rejects with CREDENTIAL_UNAVAILABLE, also when no
 * provider for the path is configured. A provider's own errors are not passed on: they may hold a token.
 */
export async function resolveCredential(
  ref: CredentialRef,
  principal: Principal,
  providers: CredentialProviders,
): Promise<ResolvedCredential | null> {
  if (ref.kind === 'none') return null;
  const provider = providerOf(ref.kind, providers);
  if (provider === undefined) {
    throw unavailable(`no provider for the credential path ${ref.kind} is configured in this gateway`, {
      resolution_path: ref.kind,
    });
  }
  try {
    return await provider(ref, principal);
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw unavailable(`the credential path ${ref.kind} failed`, { resolution_path: ref.kind });
  }
}

/**
 * `auto` is no source of its own: the user's token when the call carries one, else the gateway's credential. A user's
 * token that may not be used is refused, not left aside: the user would act with rights that are not theirs.
 */
export function chosenPath(ref: CredentialRef, principal: Principal): CredentialRef {
  if (ref.kind !== 'auto') return ref;
  return principal.user_token === null ? ref.system_jit : ref.human_delegated;
}

function providerOf(
  kind: Path,
  providers: CredentialProviders,
): ((ref: CredentialRef, principal: Principal) => Promise<ResolvedCredential>) | undefined {
  // The map pairs each path with its own reference type; TypeScript cannot see the pairing through a lookup.
  return providers[kind] as never;
}
