/** A change that somebody asked of the API, judged as a draft -> a commit on a proposal branch, with its audit event. */
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import type { EventBody } from '../audit/event.ts';
import { GatewayError } from '../errors.ts';
import { keyOf, nameOf } from '../manifest/manifest.ts';
import { readManifest, rewriteManifest } from '../manifest/rewrite.ts';
import type { AppliedSet } from './compile.ts';
import { GitError } from './git.ts';
import type { createProposals } from './propose.ts';
import type { ManifestState, ProposeChange, SoundDraft } from './status.ts';
import { ProposalConflict } from './status.ts';

export interface ProposeChangeDeps {
  readonly propose: ReturnType<typeof createProposals>;
  readonly applied: () => AppliedSet;
  readonly states: () => readonly ManifestState[];
  /** Makes an event durable, of this tenant. */
  readonly record: (event: EventBody, tenant_id: string | null) => Promise<void>;
  readonly newId: () => string;
}

const VERBS = { add: 'Add', replace: 'Change', remove: 'Remove' } as const;

export function createProposeChange(deps: ProposeChangeDeps): ProposeChange {
  const { propose, applied, states, record, newId } = deps;
  return async (draft, action, author) => {
    const { identity, file, change } = draft;
    const before = applied().get(keyOf(identity))?.manifest.document.value ?? null;
    const state = states().find((one) => keyOf(one) === keyOf(identity));
    const manifest = draft.manifest_yaml === null ? null : parse(draft.manifest_yaml, { merge: false });
    const edit = (text: string | null): string | null => {
      const there = text === null ? null : readManifest(text, file, identity);
      const asRead = isDeepStrictEqual(there, before);
      // One that is not Ready may be put right by a whole one, whatever stands there now.
      const mends = state === undefined || state.status === 'Ready' ? false : action !== 'amend';
      if (!asRead && !mends) throw new ProposalConflict(movedOn(draft, there));
      return rewriteManifest(text, file, identity, manifest);
    };
    const event = (event_type: EventBody['event_type'], more: object): EventBody => ({
      event_type,
      payload: { ...identity, change, file, proposed_by: author.subject, ...more },
    });
    const subject = `${VERBS[change]} ${nameOf(identity)}`;
    const id = `${branchName(subject)}-${newId().replaceAll('-', '').slice(-12)}`;
    let announced = {};
    try {
      return await propose({
        file,
        edit,
        author: { name: author.name ?? author.subject, email: author.email ?? mailOf(author.subject) },
        message: `${subject}\n\nProposed by ${oneLine(author.subject)} through the gateway's control listener.`,
        id,
        async announce(proposed) {
          await record(event('ManifestProposed', proposed), identity.tenant);
          announced = proposed;
        },
      });
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      await record(event('ManifestProposalFailed', { ...announced, reason: error.message }), identity.tenant);
      throw new GatewayError('UPSTREAM_FAILED', `nothing was proposed: ${error.message}`);
    }
  };
}

function movedOn({ identity, file }: SoundDraft, there: unknown): string {
  const name = nameOf(identity);
  return there === null
    ? `the base branch has no ${name} in ${file}, but it is in force; wait until the gateway has caught up, then ask again`
    : `the base branch has another version of ${name} than is in force; wait until the gateway has caught up, then look and ask again`;
}

function branchName(subject: string): string {
  return subject
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 80);
}

function mailOf(subject: string): string {
  return /^[^\s@<>]+@[^\s@<>]+$/.test(subject) ? subject : '';
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 200);
}
