/**
 * Writes to configuration. None touches the runtime: configuration flows through git, and the answer says how this
 * change is made there.
 */
import type { Middleware } from 'koa';
import type { Log } from '../../../log.ts';
import type { AskedChange, Draft, DraftChange } from '../../../reconcile/status.ts';
import { readBody } from '../body.ts';
import { HttpRefusal } from '../reply.ts';
import type { Operator } from './operator.ts';
import { parametersOf } from './parameters.ts';
import { COLLECTIONS, type Kind } from './resources.ts';

export interface WritesDeps {
  readonly draft: DraftChange;
  readonly log: Log;
  readonly limits: { readonly body_bytes: number };
}

const ACTIONS: Readonly<Record<string, AskedChange['action']>> = {
  POST: 'create',
  PUT: 'replace',
  PATCH: 'amend',
  DELETE: 'remove',
};

export function refuseWrites({ draft, log, limits }: WritesDeps): Middleware {
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
    const drafted = await draft({ action, kind, tenant, name, body });
    context.set('Allow', 'GET, HEAD');
    throw new HttpRefusal('METHOD_NOT_ALLOWED', explain(kind, drafted), { ...drafted });
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

function explain(kind: Kind, { change, file, manifest_yaml, diagnostics }: Draft): string {
  const why = 'nothing was changed: configuration flows through git';
  const bad = diagnostics.some(({ severity }) => severity === 'error');
  if (change === 'remove') {
    if (file === null) return `${why}. There is no such ${kind} to remove`;
    return `${why}. Remove the ${kind} from ${file} and merge that${bad ? '; it is in use: see diagnostics' : ''}`;
  }
  if (manifest_yaml === null) return `${why}. What was sent is no ${kind}: see diagnostics`;
  const what = change === 'add' ? 'Write the manifest to' : 'Put the manifest in the place of the one in';
  return `${why}. ${what} ${file} and merge that${bad ? '; as it is it would not be applied: see diagnostics' : ''}`;
}
