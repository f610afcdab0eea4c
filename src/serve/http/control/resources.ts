/** The configuration in force, to be looked at. */
import { Readable } from 'node:stream';
import type { Router } from '@koa/router';
import type { AppliedResource, ReconcileStatus } from '../../../reconcile/status.ts';
import { HttpRefusal } from '../reply.ts';
import { parametersOf } from './parameters.ts';

export type Kind = AppliedResource['state']['kind'];

export interface ResourcesDeps {
  readonly status: () => ReconcileStatus;
  readonly resources: () => readonly AppliedResource[];
  /** Every manifest in force, as JSON in pieces. */
  readonly manifests: () => Iterable<string>;
}

/** The last part of a path `/v1/...`, and the kind of manifest behind it. */
export const COLLECTIONS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['specs', 'ApiSpec'],
  ['workflows', 'ToolWorkflow'],
  ['cli-tools', 'CliTool'],
  ['security-contexts', 'SecurityContext'],
]);

/** `?tenant=`: of a list those of one tenant, of one name the tenant's; without it all, and the global one. */
const PARAMETERS = ['tenant'];

export function addResources(router: Router, { status, resources, manifests }: ResourcesDeps): void {
  router.get('/v1/manifests', (context) => {
    context.type = 'json';
    context.body = Readable.from(manifests());
  });

  for (const [collection, kind] of COLLECTIONS) {
    const all = (): AppliedResource[] => resources().filter(({ state }) => state.kind === kind);

    router.get(`/v1/${collection}`, (context) => {
      const { tenant } = parametersOf(context.querystring, PARAMETERS);
      const wanted = all().filter(({ state }) => tenant === undefined || state.tenant === tenant);
      context.body = { revision: status().revision, items: wanted.map(summaryOf) };
    });

    router.get(`/v1/${collection}/:name`, (context) => {
      const { tenant = null } = parametersOf(context.querystring, PARAMETERS);
      const named = all().filter(({ state }) => state.name === context.params.name);
      const found = named.find(({ state }) => state.tenant === tenant);
      if (found === undefined) throw notFound(kind, tenant, String(context.params.name), named);
      context.body = { ...found.state, spec: found.spec };
    });
  }
}

/** Without the spec: an ApiSpec may hold a document of megabytes. */
function summaryOf({ state, spec }: AppliedResource) {
  const { description } = (spec ?? {}) as { readonly description?: unknown };
  return { ...state, description: typeof description === 'string' ? description : null };
}

function notFound(
  kind: Kind,
  tenant: string | null,
  name: string,
  others: readonly AppliedResource[],
): HttpRefusal {
  const owner = tenant === null ? 'no global' : `tenant ${tenant} has no`;
  const elsewhere = others.map(({ state }) => state.tenant ?? 'global').join(', ');
  const there = tenant === null ? `there is ${owner}` : owner;
  const hint = others.length === 0 ? '' : `; there is one of: ${elsewhere} (?tenant=)`;
  return new HttpRefusal('NOT_FOUND', `${there} ${kind} ${name}${hint}`);
}
