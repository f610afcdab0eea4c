/** Puts a credential into a request, at the last moment, as `inject` of the ApiSpec says. */
import { GatewayError } from '../errors.ts';
import type { Api, Inject } from '../snapshot/snapshot.ts';
import { type CredentialProviders, type ResolvedCredential, resolveCredential } from './resolve.ts';
import { type RequestSecrets, reveal, Secret } from './secret.ts';

/**
 * A function that gives what an API's credential adds to a request; null: nothing. It is what `execute`
 * is handed, so that it knows no provider. Rejects with CREDENTIAL_UNAVAILABLE.
 */
export function requestCredentials(
  providers: CredentialProviders,
): (api: Pick<Api, 'credential' | 'inject'>) => Promise<RequestSecrets | null> {
  return async (api) => {
    const credential = await resolveCredential(api.credential, providers);
    return credential === null ? null : injectCredential(api.inject, credential);
  };
}

/** What `credential` adds to a request. Throws CREDENTIAL_UNAVAILABLE when it lacks a field that is needed. */
export function injectCredential(inject: Inject, credential: ResolvedCredential): RequestSecrets {
  switch (inject.kind) {
    case 'bearer':
      return header('authorization', `Bearer ${reveal(only(credential))}`);
    case 'basic':
      return header('authorization', `Basic ${basic(inject, credential)}`);
    case 'header':
      return header(inject.name.toLowerCase(), inject.prefix + reveal(only(credential)));
    case 'query':
      return { headers: {}, query: { [inject.name]: only(credential) } };
  }
}

function header(name: string, text: string): RequestSecrets {
  // RFC 9110 section 5.5; a line end would begin another header.
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) {
    throw unavailable(`the credential holds a character that the header ${name} cannot carry`);
  }
  return { headers: { [name]: new Secret(text) }, query: {} };
}

function only(credential: ResolvedCredential): Secret {
  if (credential.value === null) {
    throw unavailable('the credential has several fields: name the one to use with `field`');
  }
  return credential.value;
}

/** RFC 7617: user name and password in UTF-8; the user name ends at the first colon. */
function basic(inject: Extract<Inject, { kind: 'basic' }>, credential: ResolvedCredential): string {
  const username = reveal(field(credential, inject.username_field));
  if (username.includes(':')) throw unavailable('the user name of the credential holds a colon');
  return Buffer.from(`${username}:${reveal(field(credential, inject.password_field))}`).toString('base64');
}

function field(credential: ResolvedCredential, name: string): Secret {
  const secret = Object.hasOwn(credential.fields, name) ? credential.fields[name] : undefined;
  if (secret === undefined) throw unavailable(`the credential has no field ${name}`);
  return secret;
}

function unavailable(message: string): GatewayError {
  return new GatewayError('CREDENTIAL_UNAVAILABLE', message);
}
