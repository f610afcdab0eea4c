import { expect, test } from 'vitest';
import { heldVerdicts } from '../../src/reconcile/hold.ts';
import { statesOf } from '../../src/reconcile/states.ts';
import type { ManifestState } from '../../src/reconcile/status.ts';
import { createCompiler } from './compiled.ts';
import { aContext } from './repository.ts';

const NONE: ReadonlyMap<string, ManifestState> = new Map();
const judge = (name: string): string => `apiVersion: seal.gateway/v1
kind: SemanticJudge
metadata: {name: ${name}}
spec: {url: "http://127.0.0.1:9005/judge"}
`;
const KEY = 'SemanticJudge//house';

test('a manifest keeps the revision and the time of its last change, not those of every reconcile', async () => {
  const compiler = createCompiler();
  const files = { 'a.yaml': aContext('a'), 'j.yaml': judge('house') };
  const first = statesOf(await compiler.next(files), NONE, 'rev-1', 't1');
  expect(first.get(KEY)).toMatchObject({
    status: 'Ready',
    reason: null,
    revision_attempted: 'rev-1',
    revision_applied: 'rev-1',
    changed_at: 't1',
  });
  const second = statesOf(
    await compiler.next({ ...files, 'a.yaml': aContext('a', 'changed') }),
    first,
    'rev-2',
    't2',
  );
  expect(second.get(KEY)).toEqual(first.get(KEY));
  expect(second.get('SecurityContext//a')).toMatchObject({ revision_applied: 'rev-2', changed_at: 't2' });
});

test('a version that is not valid is attempted; the last good one is of the revision that it came with', async () => {
  const compiler = createCompiler();
  const first = statesOf(await compiler.next({ 'j.yaml': judge('house') }), NONE, 'rev-1', 't1');
  const broken = judge('house').replace('url:', 'ulr:');
  const second = statesOf(await compiler.next({ 'j.yaml': broken }), first, 'rev-2', 't2');
  expect(second.get(KEY)).toMatchObject({
    status: 'Stale',
    file: 'j.yaml',
    line: 4,
    digest: null,
    revision_attempted: 'rev-2',
    revision_applied: 'rev-1',
    changed_at: 't2',
  });
  expect(second.get(KEY)!.reason).toMatch(/ulr|url/);
  // The same fault in the next revision is nothing new.
  const third = statesOf(await compiler.next({ 'j.yaml': broken }), second, 'rev-3', 't3');
  expect(third.get(KEY)).toEqual(second.get(KEY));
  const mended = statesOf(await compiler.next({ 'j.yaml': judge('house') }), third, 'rev-4', 't4');
  expect(mended.get(KEY)).toMatchObject({
    status: 'Ready',
    revision_attempted: 'rev-4',
    revision_applied: 'rev-1',
    changed_at: 't4',
  });
});

test('a version that an earlier run has left is of a revision that nobody knows any more', async () => {
  const kept = await createCompiler().next({ 'j.yaml': judge('house') });
  const applied = new Map([[KEY, kept.get(KEY)!.applied!]]);
  const changed = judge('house').replace('9005', '9006');
  const held = heldVerdicts(await createCompiler().next({ 'j.yaml': changed }), applied, 'held');
  expect(statesOf(held, NONE, 'rev-9', 't1').get(KEY)).toMatchObject({
    status: 'Stale',
    revision_attempted: 'rev-9',
    revision_applied: null,
  });
});

test('a right that is not valid is of no revision', async () => {
  const compiler = createCompiler();
  const first = statesOf(await compiler.next({ 'a.yaml': aContext('a') }), NONE, 'rev-1', 't1');
  const bad = await compiler.next({ 'a.yaml': aContext('a').replace('a.*', 'a b') });
  expect(statesOf(bad, first, 'rev-2', 't2').get('SecurityContext//a')).toMatchObject({
    status: 'Invalid',
    applied_digest: null,
    revision_applied: null,
  });
});

test('what is in force while a change is held back did not come with that change', async () => {
  const compiler = createCompiler();
  const verdicts = await compiler.next({ 'j.yaml': judge('house') });
  expect(statesOf(verdicts, NONE, 'rev-9', 't1', null).get(KEY)).toMatchObject({
    status: 'Ready',
    revision_attempted: 'rev-9',
    revision_applied: null,
  });
});
