import { describe, expect, test } from 'vitest';
import type { Identity } from '../../src/manifest/manifest.ts';
import { readManifest, rewriteManifest } from '../../src/manifest/rewrite.ts';

const A: Identity = { kind: 'ToolWorkflow', tenant: null, name: 'a' };
const B: Identity = { kind: 'ToolWorkflow', tenant: null, name: 'b' };
const C: Identity = { kind: 'ToolWorkflow', tenant: null, name: 'c' };

const FILE = `# ours
apiVersion: seal.gateway/v1
kind: ToolWorkflow
metadata: {name: a,   labels: {x: "1"}}   # who
spec:
  description: "Old words" # why
  steps:
  - {name: one,  path: /x}   # the only one
---
# the second
kind: ToolWorkflow
metadata: {name: b}
spec: {}
`;
const [first, second] = FILE.split('---\n') as [string, string];

function aManifest(name: string, more: object = {}) {
  const head = { apiVersion: 'seal.gateway/v1', kind: 'ToolWorkflow', metadata: { name } };
  return { ...head, spec: { description: 'New words' }, ...more };
}

test('a new manifest makes a new file', () => {
  expect(rewriteManifest(null, 'c.yaml', C, aManifest('c'))).toBe(
    'apiVersion: seal.gateway/v1\nkind: ToolWorkflow\nmetadata:\n  name: c\nspec:\n  description: New words\n',
  );
});

test('a new manifest goes to the end of a file that is there', () => {
  const text = rewriteManifest(FILE.trimEnd(), 'x.yaml', C, aManifest('c'));
  expect(text?.startsWith(`${FILE}---\napiVersion`)).toBe(true);
  expect(readManifest(text!, 'x.yaml', C)).toEqual(aManifest('c'));
});

test('of an exchanged one comments and quotes stay; the others are the same to the byte', () => {
  const wanted = {
    apiVersion: 'seal.gateway/v1',
    kind: 'ToolWorkflow',
    metadata: { name: 'a', labels: { x: '1' } },
    spec: { description: 'New words', steps: [{ name: 'one', path: '/x' }], timeout_ms: 5 },
  };
  const text = rewriteManifest(FILE, 'x.yaml', A, wanted)!;
  expect(text).toBe(`# ours
apiVersion: seal.gateway/v1
kind: ToolWorkflow
metadata: {name: a, labels: {x: "1"}} # who
spec:
  description: "New words" # why
  steps:
  - {name: one, path: /x} # the only one
  timeout_ms: 5
---
${second}`);
});

test('what says the same is not touched at all', () => {
  const same = readManifest(FILE, 'x.yaml', A) as Record<string, unknown>;
  expect(rewriteManifest(FILE, 'x.yaml', A, same)).toBe(FILE);
});

describe('taking one out', () => {
  test('leaves the others to the byte', () => {
    expect(rewriteManifest(FILE, 'x.yaml', A, null)).toBe(`---\n${second}`);
    expect(rewriteManifest(FILE, 'x.yaml', B, null)).toBe(first);
  });
  test('the last one takes the file with it', () => {
    expect(rewriteManifest(first, 'x.yaml', A, null)).toBeNull();
    expect(rewriteManifest(`${first}---\n# nothing\n`, 'x.yaml', A, null)).toBeNull();
  });
  test('one that is not there changes nothing', () => {
    expect(rewriteManifest(FILE, 'x.yaml', C, null)).toBe(FILE);
    expect(rewriteManifest(null, 'x.yaml', C, null)).toBeNull();
  });
});

test("below tenants/ a manifest without a tenant is that tenant's", () => {
  const acme = { ...B, tenant: 'acme' };
  expect(readManifest(FILE, 'tenants/acme/x.yaml', acme)).toMatchObject({ metadata: { name: 'b' } });
  expect(readManifest(FILE, 'tenants/acme/x.yaml', B)).toBeNull();
  expect(readManifest(FILE, 'x.yaml', acme)).toBeNull();
});

test('documents that end with dots, and one with faults beside it', () => {
  const text = `kind: ToolWorkflow\nmetadata: {name: a}\n...\n---\nkind: [broken\n---\n${second}`;
  expect(rewriteManifest(text, 'x.yaml', B, aManifest('b'))).toContain('kind: [broken\n---\n');
  const changed = rewriteManifest(text, 'x.yaml', A, aManifest('a'))!;
  expect(changed.endsWith(`...\n---\nkind: [broken\n---\n${second}`)).toBe(true);
  expect(readManifest(changed, 'x.yaml', A)).toEqual(aManifest('a'));
});

test('values keep their types, whatever style the old one had', () => {
  const text = 'kind: ToolWorkflow\nmetadata: {name: a}\nspec: {x: "1", y: 1, z: |\n  a\n  b\n, l: [1]}\n';
  const odd = {
    kind: 'ToolWorkflow',
    metadata: { name: 'a' },
    spec: { x: 1, y: '1', z: null, l: { a: 'no' } },
  };
  const block = rewriteManifest(`${text}`, 'x.yaml', A, odd) ?? '';
  expect(readManifest(block, 'x.yaml', A)).toEqual(odd);
});
