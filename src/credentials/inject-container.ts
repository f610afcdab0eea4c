/** What a credential adds to a container: the counterpart of `inject.ts`, which does it for requests. */
import { GatewayError } from '../errors.ts';
import type { CliTool, CredentialRef } from '../snapshot/snapshot.ts';
import { type CredentialProviders, type ResolvedCredential, resolveCredential } from './resolve.ts';
import type { ContainerSecrets, Secret } from './secret.ts';

/** Rejects with CREDENTIAL_UNAVAILABLE; null: the tool has no credential. */
export function containerCredentials(
  providers: CredentialProviders,
): (tool: Pick<CliTool, 'credential' | 'inject'>) => Promise<ContainerSecrets | null> {
  return async ({ credential: ref, inject }) => {
    const credential = await resolveCredential(ref, providers);
    if (credential === null || inject === null) return null;
    if (inject.kind === 'file') {
      const content = inject.field === undefined ? only(credential) : field(credential, inject.field);
      return { env: {}, files: [{ path: inject.path, content }] };
    }
    const entries = Object.entries(inject.fields).map(([name, of]) => [name, field(credential, of)] as const);
    return { env: Object.fromEntries(entries), files: [] };
  };
}

/** The fields of a credential, for a registry or a judge; null for `none`. Rejects with CREDENTIAL_UNAVAILABLE. */
export function credentialFields(
  providers: CredentialProviders,
): (ref: CredentialRef) => Promise<ResolvedCredential | null> {
  return (ref) => resolveCredential(ref, providers);
}

function only(credential: ResolvedCredential): Secret {
  if (credential.value !== null) return credential.value;
  throw unavailable('the credential has several fields: name the one to use with `field`');
}

function field(credential: ResolvedCredential, name: string): Secret {
  const secret = Object.hasOwn(credential.fields, name) ? credential.fields[name] : undefined;
  if (secret === undefined) throw unavailable(`the credential has no field ${name}`);
  return secret;
}

function unavailable(message: string): GatewayError {
  return new GatewayError('CREDENTIAL_UNAVAILABLE', message);
}
