/** From where a manifest says that a credential comes to the credential itself. */
import { GatewayError } from '../errors.ts';
import type { CredentialRef } from '../snapshot/snapshot.ts';
import type { Secret } from './secret.ts';

export interface ResolvedCredential {
  /** The field that the reference names, or the only one; null: there are several and it names none. */
  readonly value: Secret | null;
  readonly fields: Readonly<Record<string, Secret>>;
}

type Path = Exclude<CredentialRef['kind'], 'none'>;

/** Gets a credential by one path; rejects with CREDENTIAL_UNAVAILABLE. */
export type CredentialProvider<P extends Path> = (
  ref: Extract<CredentialRef, { kind: P }>,
) => Promise<ResolvedCredential>;

/** What this gateway is configured to get credentials from. */
export type CredentialProviders = { readonly [P in Path]?: CredentialProvider<P> };

/**
 * The credential that `ref` names; null for `none`. Rejects with CREDENTIAL_UNAVAILABLE, also when no
 * provider for the path is configured. A provider's own errors are not passed on: they may hold a token.
 */
export async function resolveCredential(
  ref: CredentialRef,
  providers: CredentialProviders,
): Promise<ResolvedCredential | null> {
  if (ref.kind === 'none') return null;
  // The map pairs each path with its own reference type; TypeScript cannot see the pairing through a lookup.
  const provider = providers[ref.kind] as ((ref: CredentialRef) => Promise<ResolvedCredential>) | undefined;
  if (provider === undefined) {
    throw new GatewayError(
      'CREDENTIAL_UNAVAILABLE',
      `no provider for the credential path ${ref.kind} is configured in this gateway`,
      { details: { resolution_path: ref.kind } },
    );
  }
  try {
    return await provider(ref);
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError('CREDENTIAL_UNAVAILABLE', `the credential path ${ref.kind} failed`, {
      details: { resolution_path: ref.kind },
    });
  }
}
