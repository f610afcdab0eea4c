/**
 * Writes to configuration. None touches the runtime: configuration flows through git, and the answer says how this
 * change is made there. With a git target it is made there as a proposal, for somebody to review and merge.
 */
import type { Context, Middleware } from 'koa';
import { GatewayError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import {
  type AskedChange,
  type Draft,
  type DraftChange,
  ProposalConflict,
  type ProposeChange,
  type SoundDraft,
} from '../../../reconcile/status.ts';
import { readBody } from '../body.ts';
import { HttpRefusal } from '../reply.ts';
import type { Operator } from './operator.ts';
import { parametersOf } from './parameters.ts';
import { COLLECTIONS, type Kind } from './resources.ts';

export interface WritesDeps {
  readonly draft: DraftChange;
  /** null: there is no git target, and every write is refused. */
  readonly propose: ProposeChange | null;
  readonly log: Log;
  readonly limits: { readonly body_bytes: number };
}

const ACTIONS: Readonly<Record<string, AskedChange['action']>> = {
  POST: 'create',
  PUT: 'replace',
  PATCH: 'amend',
  DELETE: 'remove',
};

export function answerWrites({ draft, propose, log, limits }: WritesDeps): Middleware {
  return async (context, next) => {
    const target = targetOf(context.path);
    const action = ACTIONS[context.method];
    if (target === null || action === undefined) return next();
    const { kind, name } = target;
    const { tenant = null } = parametersOf(context.querystring, ['tenant']);
    const operator = context.state.operator as Operator;
    const body = action === 'remove' ? null : await readBody(context.req, limits.body_bytes);
    const asked: AskedChange = { action, kind, tenant, name, body };
    const drafted = await draft(asked);
    const who = { operator: operator.subject, action, kind, tenant, name };
    if (propose !== null) return answerProposal(context, propose, asked, drafted, operator, log);
    log.info(who, 'a write was refused: configuration flows through git');
    context.set('Allow', 'GET, HEAD');
    throw new HttpRefusal('METHOD_NOT_ALLOWED', explain(kind, drafted), { ...drafted });
  };
}

/** 202 with branch and commit; what could not be merged is refused before git hears of it. */
async function answerProposal(
  context: Context,
  propose: ProposeChange,
  { action, kind }: AskedChange,
  drafted: Draft,
  operator: Operator,
  log: Log,
): Promise<void> {
  if (drafted.change === 'remove' && drafted.file === null)
    throw new HttpRefusal('NOT_FOUND', `there is no such ${kind} to remove`);
  if (action === 'create' && drafted.change === 'replace') {
    const there = `${kind} ${drafted.identity?.name} is there already, in ${drafted.file}`;
    throw new HttpRefusal('CONFLICT', `nothing was proposed: ${there}; PUT replaces it, PATCH amends it`);
  }
  if (!isSound(drafted)) {
    const message = `nothing was proposed: this ${kind} would not be applied as it is; see diagnostics`;
    throw new GatewayError('INVALID_ARGUMENTS', message, { details: { ...drafted } });
  }
  try {
    const proposed = await propose(drafted, action, operator);
    log.info({ operator: operator.subject, ...drafted.identity, ...proposed }, 'a change was proposed');
    const { identity, change, file, diagnostics } = drafted;
    context.status = 202;
    context.body = { status: 'proposed', ...proposed, ...identity, change, file, diagnostics };
  } catch (error) {
    if (!(error instanceof ProposalConflict)) throw error;
    throw new HttpRefusal('CONFLICT', `nothing was proposed: ${error.message}`);
  }
}

function isSound(draft: Draft): draft is SoundDraft {
  const { identity, file, diagnostics } = draft;
  return identity !== null && file !== null && diagnostics.every(({ severity }) => severity !== 'error');
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
