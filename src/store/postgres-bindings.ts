/** Credential bindings of users, and whom they serve. */
import { isoTime } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { type Pool, type Query, stateOf, transaction } from './postgres-connection.ts';
import type { CredentialBinding, CredentialBindings, CredentialGrant, Grantee } from './store.ts';

const UNIQUE_VIOLATION = '23505';

export function bindingsIn(pool: Pool): CredentialBindings {
  return {
    async add(binding) {
      await transaction(pool, (client) => insertBinding(client, binding)).catch((error: unknown) => {
        if (stateOf(error) !== UNIQUE_VIOLATION) throw error;
        const message = `${binding.owner} has an active binding of ${binding.provider} already; revoke it first`;
        throw new GatewayError('INVALID_ARGUMENTS', message, { cause: error });
      });
    },
    async list({ tenant_id, owner, provider }) {
      return readBindings(
        pool,
        `($1::boolean OR tenant_id IS NOT DISTINCT FROM $2) AND ($3::text IS NULL OR owner = $3)
           AND ($4::text IS NULL OR provider = $4) ORDER BY created_at, id`,
        [tenant_id === undefined, tenant_id ?? null, owner ?? null, provider ?? null],
      );
    },
    async granted({ tenant_id, provider, owner, agent, context, now }) {
      return readBindings(
        pool,
        `status = 'active' AND tenant_id IS NOT DISTINCT FROM $1 AND provider = $2 AND ($3::text IS NULL OR owner = $3)
           AND EXISTS (SELECT FROM credential_grants g WHERE g.binding_id = b.id
             AND (g.grantee_kind, g.grantee) IN (('agent', $4), ('context', $5))
             AND (g.expires_at IS NULL OR g.expires_at > to_timestamp($6::float8 / 1000)))
           ORDER BY created_at, id LIMIT 2`,
        [tenant_id, provider, owner, agent, context, now],
      );
    },
    async revoke(id) {
      const sql = `UPDATE credential_bindings SET status = 'revoked' WHERE id = $1 AND status = 'active'`;
      return (await pool.query(sql, [id])).rowCount === 1;
    },
  };
}

export async function insertBinding(client: Query, binding: CredentialBinding): Promise<void> {
  const { id, tenant_id, owner, provider, secret_path, status, created_at, grants } = binding;
  await client.query(
    `INSERT INTO credential_bindings (id, tenant_id, owner, provider, secret_path, status, created_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [id, tenant_id, owner, provider, secret_path, status, created_at],
  );
  for (const { id: grant_id, grantee, expires_at } of grants) {
    await client.query(
      `INSERT INTO credential_grants (id, binding_id, grantee_kind, grantee, expires_at) VALUES ($1, $2, $3, $4, $5)`,
      [grant_id, id, grantee.kind, grantee.name, expires_at === null ? null : isoTime(expires_at)],
    );
  }
}

interface Row extends Omit<CredentialBinding, 'grants' | 'created_at'> {
  readonly created_ms: number;
}

interface GrantRow {
  readonly id: string;
  readonly binding_id: string;
  readonly grantee_kind: Grantee['kind'];
  readonly grantee: string;
  readonly expires_ms: number | null;
}

export async function readBindings(
  pool: Query,
  where: string,
  values: unknown[],
): Promise<CredentialBinding[]> {
  const { rows } = await pool.query<Row>(
    `SELECT id, tenant_id, owner, provider, secret_path, status,
         (extract(epoch FROM created_at) * 1000)::bigint AS created_ms
       FROM credential_bindings b WHERE ${where}`,
    values,
  );
  const { rows: grants } = await pool.query<GrantRow>(
    `SELECT id, binding_id, grantee_kind, grantee, (extract(epoch FROM expires_at) * 1000)::bigint AS expires_ms
       FROM credential_grants WHERE binding_id = ANY ($1::text[]) ORDER BY id`,
    [rows.map(({ id }) => id)],
  );
  return rows.map(({ created_ms, ...binding }) => ({
    ...binding,
    created_at: isoTime(created_ms),
    grants: grants.filter(({ binding_id }) => binding_id === binding.id).map(grantOf),
  }));
}

function grantOf({ id, grantee_kind, grantee, expires_ms }: GrantRow): CredentialGrant {
  return { id, grantee: { kind: grantee_kind, name: grantee }, expires_at: expires_ms };
}
