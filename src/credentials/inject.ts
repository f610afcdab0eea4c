/** Puts a credential into a request or a container, at the last moment, as `inject` of the manifest says. */
import type { Inject } from '../snapshot/snapshot.ts';
import { unavailable } from './problem.ts';
import type { ResolvedCredential } from './resolve.ts';
import { type ContainerSecrets, type RequestSecrets, reveal, Secret } from './secret.ts';

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

/** `inject` of a container: how a credential reaches a command (design section 3). */
export type ContainerInject =
  /** Environment variable -> field. */
  | { readonly kind: 'env'; readonly fields: Readonly<Record<string, string>> }
  /** A file in memory; without `field` the only one. */
  | { readonly kind: 'file'; readonly path: string; readonly field?: string | undefined }
  | { readonly kind: 'stdin'; readonly field?: string | undefined };

/** What `credential` adds to a container. Throws CREDENTIAL_UNAVAILABLE when it lacks a field that is needed. */
export function injectIntoContainer(
  inject: ContainerInject,
  credential: Pick<ResolvedCredential, 'value' | 'fields'>,
): ContainerSecrets {
  const nothing = { env: {}, files: [], stdin: null };
  switch (inject.kind) {
    case 'env': {
      const named = Object.entries(inject.fields).map(
        ([name, of]) => [name, withoutNul(field(credential, of))] as const,
      );
      return { ...nothing, env: Object.fromEntries(named) };
    }
    case 'file':
      return { ...nothing, files: [{ path: inject.path, content: fieldOrOnly(credential, inject.field) }] };
    case 'stdin':
      return { ...nothing, stdin: fieldOrOnly(credential, inject.field) };
  }
}

function fieldOrOnly(
  credential: Pick<ResolvedCredential, 'value' | 'fields'>,
  name: string | undefined,
): Secret {
  return name === undefined ? only(credential) : field(credential, name);
}

/** A NUL would end the variable there. */
function withoutNul(secret: Secret): Secret {
  if (reveal(secret).includes('\0'))
    throw unavailable('the credential holds a NUL, which no environment can carry');
  return secret;
}

function header(name: string, text: string): RequestSecrets {
  // RFC 9110 section 5.5; a line end would begin another header.
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) {
    throw unavailable(`the credential holds a character that the header ${name} cannot carry`);
  }
  return { headers: { [name]: new Secret(text) }, query: {} };
}

function only(credential: Pick<ResolvedCredential, 'value' | 'fields'>): Secret {
  if (credential.value === null) {
    throw unavailable('the credential has several fields: name the one to use with `field`');
  }
  if (reveal(credential.value) === '') throw unavailable('the credential is empty');
  return credential.value;
}

/** RFC 7617: user name and password in UTF-8; the user name ends at the first colon. */
function basic(inject: Extract<Inject, { kind: 'basic' }>, credential: ResolvedCredential): string {
  const username = reveal(field(credential, inject.username_field));
  if (username.includes(':')) throw unavailable('the user name of the credential holds a colon');
  return Buffer.from(`${username}:${reveal(field(credential, inject.password_field))}`).toString('base64');
}

function field(credential: Pick<ResolvedCredential, 'value' | 'fields'>, name: string): Secret {
  const secret = Object.hasOwn(credential.fields, name) ? credential.fields[name] : undefined;
  if (secret === undefined) throw unavailable(`the credential has no field ${name}`);
  return secret;
}
