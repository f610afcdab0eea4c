/** `seal-gateway bindings`: which user's secret is bound to which provider, and whom it may serve. */
import type { Command } from 'commander';
import { isoTime, systemClock } from '../clock.ts';
import { loadConfig } from '../config.ts';
import { segments } from '../credentials/openbao-path.ts';
import { GatewayError } from '../errors.ts';
import { newId } from '../ids.ts';
import { openStore } from '../store/open.ts';
import {
  type CredentialBinding,
  type CredentialBindings,
  type CredentialGrant,
  type Grantee,
  type Store,
  StoreOpenError,
} from '../store/store.ts';
import { CliError, type OutputOptions, print, table } from './output.ts';
import type { CliDeps } from './program.ts';

interface AddOptions extends OutputOptions {
  readonly config?: string;
  readonly tenant?: string;
  readonly owner: string;
  readonly provider: string;
  readonly secret: string;
  readonly agent: readonly string[];
  readonly context: readonly string[];
  readonly expires?: string;
}

interface ListOptions extends OutputOptions {
  readonly config?: string;
  readonly tenant?: string;
  readonly owner?: string;
  readonly provider?: string;
}

const CONFIG = ['--config <file>', 'gateway.yaml that names the database'] as const;
const HEAD = ['ID', 'TENANT', 'OWNER', 'PROVIDER', 'SECRET', 'STATUS', 'GRANTED TO'];

export function addBindings(program: Command, { console }: CliDeps): void {
  const bindings = program
    .command('bindings')
    .description('Credentials that users have bound to a provider, and whom they serve (Postgres)');

  bindings
    .command('add')
    .description('Bind a secret that a user has put into OpenBao, and grant it')
    .option(...CONFIG)
    .option('--tenant <name>', 'tenant of the user; absent: none')
    .requiredOption('--owner <sub>', 'the user, as the `sub` of user tokens names it')
    .requiredOption('--provider <name>', 'provider, as manifests name it')
    .requiredOption('--secret <path>', "key of the secret in the tenant's part of the key-value engine")
    .option('--agent <sub>', 'grant it to this agent; may be repeated', collect, [])
    .option('--context <name>', 'grant it to calls under this security context; may be repeated', collect, [])
    .option('--expires <time>', 'end of the grants, such as 2026-12-31T00:00:00Z; absent: none')
    .action(async (options: AddOptions) => {
      const binding = bindingOf(options);
      await withBindings(options.config, async (kept, store) => {
        await kept.add(binding);
        await record(store, 'CredentialBindingAdded', binding);
      });
      print(console, options, binding, `bound ${binding.id}`);
    });

  bindings
    .command('list')
    .description('List bindings, revoked ones too')
    .option(...CONFIG)
    .option('--tenant <name>', 'only of this tenant')
    .option('--owner <sub>', 'only of this user')
    .option('--provider <name>', 'only of this provider')
    .action(async (options: ListOptions) => {
      const { tenant: tenant_id, owner, provider } = options;
      const found = await withBindings(options.config, (kept) => kept.list({ tenant_id, owner, provider }));
      print(console, options, found, found.length === 0 ? 'no bindings' : table([HEAD, ...found.map(rowOf)]));
    });

  bindings
    .command('revoke')
    .argument('<id>', 'id of the binding')
    .description('Revoke a binding: the next call that needs it is refused')
    .option(...CONFIG)
    .action(async (id: string, options: OutputOptions & { readonly config?: string }) => {
      const revoked = await withBindings(options.config, async (kept, store) => {
        const known = (await kept.list({})).find((one) => one.id === id);
        if (known === undefined || !(await kept.revoke(id))) return false;
        await record(store, 'CredentialBindingRevoked', known);
        return true;
      });
      if (!revoked) throw new CliError(`there is no active binding ${id}`);
      print(console, options, { id, status: 'revoked' }, `revoked ${id}`);
    });
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

function bindingOf(options: AddOptions): CredentialBinding {
  const { tenant = null, owner, provider, secret, agent, context, expires } = options;
  const grantees: Grantee[] = [
    ...agent.map((name) => ({ kind: 'agent' as const, name })),
    ...context.map((name) => ({ kind: 'context' as const, name })),
  ];
  if (grantees.length === 0) throw new CliError('grant it to somebody: --agent or --context');
  const expires_at = expires === undefined ? null : Date.parse(expires);
  if (Number.isNaN(expires_at)) throw new CliError('--expires: expected a time such as 2026-12-31T00:00:00Z');
  try {
    segments(secret, '--secret');
  } catch (error) {
    throw new CliError((error as Error).message);
  }
  return {
    id: newId(),
    tenant_id: tenant,
    owner,
    provider,
    secret_path: secret,
    status: 'active',
    created_at: isoTime(systemClock.now()),
    grants: grantees.map((grantee) => ({ id: newId(), grantee, expires_at })),
  };
}

async function withBindings<T>(
  config: string | undefined,
  use: (bindings: CredentialBindings, store: Store) => Promise<T>,
): Promise<T> {
  const { url } = loadConfig(config).config.database;
  if (url.startsWith('sqlite:')) {
    throw new CliError(
      'bindings are kept in Postgres, where gateways share them; database.url names a SQLite file (--config names the configuration to read)',
    );
  }
  let store: Store;
  try {
    store = await openStore({ url, clock: systemClock });
  } catch (error) {
    if (error instanceof StoreOpenError) throw new CliError(error.message);
    throw error;
  }
  try {
    if (store.bindings === null) throw new CliError('this store keeps no bindings');
    return await use(store.bindings, store);
  } catch (error) {
    if (error instanceof GatewayError) throw new CliError(error.message);
    throw error;
  } finally {
    await store.close();
  }
}

/** Who may use whose credential is a right: each change is in the trail. */
async function record(
  store: Store,
  event_type: 'CredentialBindingAdded' | 'CredentialBindingRevoked',
  binding: CredentialBinding,
): Promise<void> {
  const { id: binding_id, tenant_id, owner, provider, secret_path, grants } = binding;
  await store.append([
    {
      id: newId(),
      event_type,
      execution_id: null,
      tenant_id,
      revision: null,
      payload: { binding_id, owner, provider, secret_path, grants: grants.map(granteeText) },
      created_at: isoTime(systemClock.now()),
    },
  ]);
}

function rowOf(binding: CredentialBinding): string[] {
  const { id, tenant_id, owner, provider, secret_path, status, grants } = binding;
  return [id, tenant_id ?? '-', owner, provider, secret_path, status, grants.map(granteeText).join(', ')];
}

function granteeText({ grantee, expires_at }: CredentialGrant): string {
  return `${grantee.kind} ${grantee.name}${expires_at === null ? '' : ` until ${isoTime(expires_at)}`}`;
}
