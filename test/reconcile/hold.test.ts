import { describe, expect, test } from 'vitest';
import type { Applied, AppliedSet, Verdicts } from '../../src/reconcile/compile.ts';
import { atomicProblem, heldVerdicts, pruneProblem, staleVerdicts } from '../../src/reconcile/hold.ts';
import { apiSpec, OPENAPI, workflow } from '../manifest/texts.ts';
import { type Compiler, createCompiler } from './compiled.ts';
import { aContext } from './repository.ts';

const COMMIT = '3f786850e387550fdab836ed7e6dc881de23001b';

/** One file of each context `c0`, `c1`... of these numbers. */
const contexts = (numbers: readonly number[], description = 'x'): Record<string, string> =>
  Object.fromEntries(numbers.map((n) => [`c${n}.yaml`, aContext(`c${n}`, description)]));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const appliedOf = (verdicts: Verdicts): AppliedSet =>
  new Map(
    [...verdicts].flatMap(([key, { applied }]): [string, Applied][] =>
      applied === null ? [] : [[key, applied]],
    ),
  );
const compile = (files: Record<string, string>, compiler: Compiler = createCompiler()) =>
  compiler.next(files);

describe('the prune guard', () => {
  test.each([
    [20, 10, false],
    [20, 9, true],
    [11, 6, false],
    [11, 5, true],
    [10, 4, true],
    // A small set may lose more than half, but not all.
    [9, 1, false],
    [9, 0, true],
    [1, 0, true],
    [0, 0, false],
  ])('of %i manifests in force, %i stay: held is %s', async (before, after, held) => {
    const inForce = new Set((await compile(contexts(upTo(before)))).keys());
    const next = await compile(contexts(upTo(after)));
    expect(pruneProblem(inForce, next, COMMIT) !== null).toBe(held);
  });

  test('counts those that are there and not valid as there', async () => {
    const inForce = new Set((await compile(contexts(upTo(10)))).keys());
    const broken = {
      ...contexts(upTo(3)),
      ...Object.fromEntries(
        upTo(10)
          .slice(3)
          .map((n) => [`c${n}.yaml`, aContext(`c${n}`).replace('a.*', 'a b')]),
      ),
    };
    expect(pruneProblem(inForce, await compile(broken), COMMIT)).toBeNull();
  });

  test('does not care how many come in their place', async () => {
    const inForce = new Set((await compile(contexts(upTo(10)))).keys());
    expect(pruneProblem(inForce, await compile(contexts(upTo(100).slice(10))), COMMIT)).toContain(
      '10 of 10 manifests would be removed at once',
    );
  });

  test('says how it is confirmed: by the revision in force, on a manifest that stays', async () => {
    const inForce = new Set((await compile(contexts(upTo(10)))).keys());
    const next = await compile(contexts([1]));
    expect(pruneProblem(inForce, next, COMMIT)).toBe(
      '9 of 10 manifests would be removed at once, so nothing is changed; to allow it, start once with --allow-prune, or put the annotation seal.gateway/allow-prune: "3f786850e387550fdab" on a manifest that stays',
    );
    expect(pruneProblem(inForce, next, `last-good:${'0123'.repeat(16)}`)).toContain(
      '"last-good:012301230123"',
    );
    expect(pruneProblem(inForce, next, null)).toMatch(/start once with --allow-prune$/);
    // There is none that stays.
    expect(pruneProblem(inForce, await compile({}), COMMIT)).toMatch(/start once with --allow-prune$/);
  });

  test.each([
    ['3f786850e387', true],
    [COMMIT, true],
    ['3f786850e38', false],
    ['', false],
    ['850e387550fdab83', false],
    ['true', false],
    [`${COMMIT}0`, false],
  ])('the annotation %j confirms it: %s', async (value, confirms) => {
    const inForce = new Set((await compile(contexts(upTo(10)))).keys());
    const text = aContext('c1').replace(
      '{name: c1}',
      `{name: c1, annotations: {seal.gateway/allow-prune: "${value}"}}`,
    );
    const next = await compile({ 'c1.yaml': text });
    expect(pruneProblem(inForce, next, COMMIT) === null).toBe(confirms);
    // It is for this revision alone.
    expect(pruneProblem(inForce, next, 'another-revision')).not.toBeNull();
    // One that is not valid confirms nothing.
    const invalid = await compile({ 'c1.yaml': text.replace('a.*', 'a b') });
    expect(pruneProblem(inForce, invalid, COMMIT)).not.toBeNull();
  });
});

describe('what is held', () => {
  test('by policy: one bad manifest, or a file that is none', async () => {
    const good = await compile(contexts([1, 2]));
    expect(atomicProblem(good, 0)).toBeNull();
    expect(atomicProblem(good, 1)).toBe('1 error, and reconcile.policy is atomic: nothing is changed');
    const bad = await compile({ ...contexts([1, 2]), 'c3.yaml': aContext('c3').replace('a.*', 'a b') });
    expect(atomicProblem(bad, 1)).toMatch(/^2 errors, /);
  });

  test('stays as it was, and each says what became of it', async () => {
    const before = appliedOf(await compile(contexts([1, 2, 3, 4])));
    const next = await compile({
      'c1.yaml': aContext('c1'),
      'c2.yaml': aContext('c2', 'changed'),
      'c3.yaml': aContext('c3').replace('a.*', 'a b'),
      'c5.yaml': aContext('c5'),
      'c6.yaml': aContext('c6').replace('a.*', 'a b'),
    });
    const held = heldVerdicts(next, before, 'the reason');
    const said = [...held.values()].map(({ identity, status, applied, diagnostics }) => [
      identity.name,
      status,
      applied === (before.get(`SecurityContext//${identity.name}`) ?? null),
      diagnostics.map(({ message }) => message).join(),
    ]);
    expect(said).toEqual([
      ['c1', 'Ready', true, ''],
      ['c2', 'Stale', true, 'SecurityContext c2 is held back: the reason'],
      ['c3', 'Stale', true, expect.stringContaining('white space')],
      ['c5', 'Blocked', true, 'SecurityContext c5 is held back: the reason'],
      ['c6', 'Invalid', true, expect.stringContaining('white space')],
      // Not there any more, and in force all the same: rights too.
      ['c4', 'Stale', true, 'SecurityContext c4 is held back: the reason'],
    ]);
  });

  test('waits for what it needs as before', async () => {
    const next = await compile({
      'flow.yaml': workflow('flow'),
      'crm.yaml': apiSpec().replace('1000', '0'),
      'crm.openapi.yaml': OPENAPI,
    });
    const statuses = (verdicts: Verdicts): string[] => [...verdicts.values()].map(({ status }) => status);
    expect(statuses(next)).toEqual(['Invalid', 'Blocked']);
    expect(statuses(heldVerdicts(next, new Map(), 'the reason'))).toEqual(['Invalid', 'Blocked']);
  });

  test('while the source cannot be read is everything, each at its own line', async () => {
    const before = appliedOf(await compile({ 'two.yaml': `${aContext('a')}---\n${aContext('b')}` }));
    const stale = [...staleVerdicts(before, 'the remote is away').values()];
    expect(stale.map(({ file, line, status, digest }) => [file, line, status, digest !== null])).toEqual([
      ['two.yaml', 1, 'Stale', true],
      ['two.yaml', 6, 'Stale', true],
    ]);
    expect(stale[1]!.diagnostics).toMatchObject([
      {
        rule: 'held',
        file: 'two.yaml',
        line: 6,
        message: 'SecurityContext b is held back: the remote is away',
      },
    ]);
  });
});
