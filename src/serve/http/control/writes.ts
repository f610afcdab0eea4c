/**
 * Writes to configuration. None touches the runtime: configuration flows through git, and the answer says how this
 * change is made there.
 */
import type { Middleware } from 'koa';
import type { Log } from '../../../log.ts';
import type { AskedChange, Proposal, Propose } from '../../../reconcile/status.ts';
import { readBody } from '../body.ts';
import { refuse } from '../reply.ts';
import type { Operator } from './operator.ts';
import { parametersOf } from './parameters.ts';
import { COLLECTIONS, type Kind } from './resources.ts';

export interface WritesDeps {
  readonly propose: Propose;
  readonly log: Log;
  readonly limits: { readonly body_bytes: number };
}

const ACTIONS: Readonly<Record<string, AskedChange['action']>> = {
  POST: 'create',
  PUT: 'replace',
  PATCH: 'amend',
  DELETE: 'remove',
};

export function refuseWrites({ propose, log, limits }: WritesDeps): Middleware {
  return async (context, next) => {
    const target = targetOf(context.path);
    const action = ACTIONS[context.method];
    if (target === null || action === undefined) return next();
    const { kind, name } = target;
    const { tenant = null } = parametersOf(context.querystring, ['tenant']);
    const { subject } = context.state.operator as Operator;
    log.info(
      { operator: subject, action, kind, tenant, name },
      'a write was refused: configuration flows through git',
    );
    const body = action === 'remove' ? null : await readBody(context.req, limits.body_bytes);
    const proposal = await propose({ action, kind, tenant, name, body });
    context.set('Allow', 'GET, HEAD');
    refuse(context, 405, explain(kind, proposal), { ...proposal });
  };
}

function targetOf(path: string): { readonly kind: Kind; readonly name: string | null } | null {
  const [, collection = '', name] = /^\/v1\/([a-z-]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  const kind = COLLECTIONS.get(collection);
  if (kind === undefined) return null;
  return { kind, name: name === undefined ? null : decoded(name) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function explain(kind: Kind, { change, file, manifest_yaml, diagnostics }: Proposal): string {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  const why = 'nothing was changed: configuration flows through git.';
  const but = errors === 0 ? '' : ` It would not be applied as it is: see diagnostics.`;
  if (change === 'remove')
    return file === null
      ? `${why} There is no such ${kind} to remove.`
      : `${why} Remove the ${kind} from ${file} and merge that.${errors === 0 ? '' : ' It is in use: see diagnostics.'}`;
  if (manifest_yaml === null) return `${why} What was sent is no ${kind}: see diagnostics.`;
  const how =
    change === 'add' ? `Write the manifest to ${file}` : `Put the manifest in place of the one in ${file}`;
  return `${why} ${how} and merge that.${but}`;
}
