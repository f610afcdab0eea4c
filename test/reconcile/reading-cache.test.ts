import { expect, test } from 'vitest';
import { readFiles } from '../../src/manifest/read-file.ts';
import { type TreeFile, treeFile } from '../../src/manifest/tree.ts';
import { createReadingCache } from '../../src/reconcile/reading-cache.ts';
import { tenant } from '../manifest/texts.ts';

function counted() {
  const read: string[] = [];
  const cache = createReadingCache((files) => {
    read.push(...files.map(({ path }) => path));
    return readFiles(files);
  });
  return { read, cache };
}

const file = (path: string, text: string): TreeFile => treeFile(path, Buffer.from(text));

test('only what has changed is read', async () => {
  const { read, cache } = counted();
  const [a, b] = [file('a.yaml', tenant('a')), file('b.yaml', tenant('b'))];
  const first = await cache([a, b]);
  const second = await cache([
    file('a.yaml', tenant('a')),
    file('b.yaml', tenant('c')),
    file('d.yaml', tenant('d')),
  ]);
  expect(read).toEqual(['a.yaml', 'b.yaml', 'b.yaml', 'd.yaml']);
  expect(second[0]).toBe(first[0]);
  expect(second.map(({ drafts }) => drafts[0]!.found.key)).toEqual(['Tenant//a', 'Tenant//c', 'Tenant//d']);
});

test('the same content at another place is read there: it may be of another tenant', async () => {
  const { read, cache } = counted();
  const text = tenant('a').replace('kind: Tenant', 'kind: SecurityContext');
  await cache([file('a.yaml', text)]);
  const [moved, same] = await cache([file('tenants/acme/a.yaml', text), file('a.yaml', text)]);
  expect(read).toEqual(['a.yaml', 'tenants/acme/a.yaml']);
  expect([moved!.drafts[0]!.found.key, same!.drafts[0]!.found.key]).toEqual([
    'SecurityContext/acme/a',
    'SecurityContext//a',
  ]);
});

test('what has gone is forgotten', async () => {
  const { read, cache } = counted();
  const a = file('a.yaml', tenant('a'));
  await cache([a]);
  await cache([]);
  await cache([a]);
  expect(read).toEqual(['a.yaml', 'a.yaml']);
});
