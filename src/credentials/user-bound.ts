/** `user_bound`: a secret that a user has put into OpenBao for a provider, and granted to this agent or context. */
import type { Clock } from '../clock.ts';
import { credentialOf } from './fields.ts';
import { unavailable } from './problem.ts';
import type { CredentialProvider } from './resolve.ts';
import type { ReadSecret } from './static-ref.ts';
import { checkMayDelegate, checkUser, type VerifyUser } from './user-token.ts';

/** As `store/store.ts` has it. */
export interface Bindings {
  granted(query: {
    readonly tenant_id: string | null;
    readonly provider: string;
    readonly owner: string | null;
    readonly agent: string;
    readonly context: string;
    readonly now: number;
  }): Promise<readonly { readonly id: string; readonly owner: string; readonly secret_path: string }[]>;
}

export interface UserBoundDeps {
  readonly bindings: Bindings;
  readonly read: ReadSecret;
  /** null: no issuer of users' tokens is configured, and the grant alone decides. */
  readonly verify: VerifyUser | null;
  /** Where a user makes a binding, with `{provider}` in it; null: nowhere in particular. */
  readonly bind_url: string | null;
  readonly clock: Clock;
}

export function createUserBound(deps: UserBoundDeps): CredentialProvider<'user_bound'> {
  return async ({ provider, field }, principal) => {
    const owner = await ownerOf();
    const found = await deps.bindings.granted({
      tenant_id: principal.tenant?.name ?? null,
      provider,
      owner,
      agent: principal.agent,
      context: principal.context,
      now: deps.clock.now(),
    });
    const [binding, another] = found;
    if (binding === undefined) throw missing(provider);
    if (another !== undefined) {
      throw unavailable(
        `several users have granted their ${provider} credential to this agent: send the token of the one for whom it acts as x-user-token`,
        { provider },
      );
    }
    const data = await deps.read(binding.secret_path, principal);
    return { ...credentialOf(data, field), facts: { binding_id: binding.id, user: binding.owner } };

    /** With a user's token only what is the user's own; a grant without one is for an agent that works alone. */
    async function ownerOf(): Promise<string | null> {
      if (principal.user_token === null) return null;
      if (deps.verify === null) throw unavailable('no issuer of user tokens is configured in this gateway');
      checkMayDelegate(principal);
      return (await checkUser(principal, deps.verify)).subject;
    }
  };

  /** Says what the user has to do, so that an agent can pass it on. */
  function missing(provider: string) {
    const url = deps.bind_url?.replaceAll('{provider}', encodeURIComponent(provider)) ?? null;
    const todo =
      url === null
        ? 'ask an operator to bind it (seal-gateway bindings add)'
        : `the user can grant it at ${url}`;
    return unavailable(`no ${provider} credential is bound and granted to this agent: ${todo}`, {
      provider,
      action: 'bind_credential',
      ...(url !== null && { bind_url: url }),
    });
  }
}
