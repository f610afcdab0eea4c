import { expect, test } from 'vitest';
import { createProblems } from '../../src/reconcile/problems.ts';

const THOUSANDS = Array.from({ length: 3_000 }, (_, index) => index);

test('of thousands of problems fifty are told, and the rest counted', () => {
  const problems = createProblems();
  for (const index of THOUSANDS) problems.error(`/spec/${index}`, 'unknown-argument', `no ${index}`);
  const { findings, failed } = problems;
  expect(failed).toBe(true);
  expect(findings).toHaveLength(51);
  expect(findings[49]).toMatchObject({ pointer: '/spec/49', message: 'no 49' });
  // Beside the last of them: in order of place it must not be the first thing that is said.
  expect(findings[50]).toMatchObject({
    severity: 'error',
    pointer: '/spec/49',
    rule: 'too-many-problems',
    message: '2950 more problems are not listed',
  });
});

test('warnings do not keep an error from being told', () => {
  const problems = createProblems();
  for (const index of THOUSANDS) problems.warn(`/spec/${index}`, 'other-server', 'elsewhere');
  problems.error('/spec/steps', 'bad-path', 'the only error');
  const said = problems.findings.map(({ severity, message }) => `${severity} ${message}`);
  expect(said).toHaveLength(52);
  expect(said.slice(-2)).toEqual(['error the only error', 'error 2950 more problems are not listed']);
});

test('one that is found many times is told once, and not counted', () => {
  const problems = createProblems();
  for (const _ of THOUSANDS) problems.error('/spec/api_spec', 'unknown-api-spec', 'there is none');
  expect(problems.findings).toHaveLength(1);
});

test('hints that take time are sought for the first few', () => {
  const problems = createProblems();
  let sought = 0;
  const hint = (): string => {
    sought += 1;
    return 'did you mean x?';
  };
  for (const index of THOUSANDS) problems.error(`/spec/${index}`, 'unknown-argument', `no ${index}`, hint);
  expect(sought).toBe(10);
  expect(problems.findings.filter((finding) => finding.hint !== null)).toHaveLength(10);
});
