import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readDocument } from '../../src/openapi/document.ts';
import { indexDocument } from '../../src/openapi/index-document.ts';
import type { Operation } from '../../src/openapi/operation.ts';
import { literalOperation } from '../../src/openapi/request.ts';
import { toolNames } from '../../src/openapi/tool-name.ts';

const VALID = /^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$/;

/** `GET /path operationId`. */
function operationOf(text: string): Operation {
  const [method = '', path = '', id] = text.split(' ');
  return { ...literalOperation(method, path), ...(id !== undefined && { id }) };
}

const namesOf = (texts: readonly string[], prefix = '', taken?: ReadonlySet<string>): string[] => {
  const operations = texts.map(operationOf);
  const names = toolNames(operations, prefix, taken);
  return operations.map(({ id }) => names.get(id)!);
};

describe('the name of one operation', () => {
  test.each([
    ['GET /customers', 'customers.list'],
    ['GET /customers/{id}', 'customers.get'],
    ['POST /customers', 'customers.create'],
    ['PUT /customers/{id}', 'customers.set'],
    ['PATCH /customers/{id}', 'customers.update'],
    ['DELETE /customers/{id}', 'customers.delete'],
    ['HEAD /customers/{id}', 'customers.check'],
    ['GET /customers/{id}/open-invoices', 'customers.open_invoices.list'],
    ['GET /customers searchCustomers', 'customers.search'],
    ['GET /user getUser', 'user.get'],
    ['GET /', 'get'],
    // Where an API is says nothing of what it has.
    ['GET /api/v1/customers', 'customers.list'],
    ['GET /rest/v2.1/customers', 'customers.list'],
    // Namespaces in ids, as GitHub and Google have them.
    ['GET /repos/{owner}/{repo}/issues issues/list-for-repo', 'repos.issues.list'],
    ['PUT /repos/{owner}/{repo}/pulls/{n}/merge pulls/merge', 'repos.pulls.merge'],
    ['PUT /secrets/{name} actions/create-or-update-secret', 'secrets.set'],
    ['GET /files drive.files.list', 'files.list'],
    // Paths that end with what is done.
    ['POST /customers/{id}/activate activateCustomer', 'customers.activate'],
    ['POST /projects/{id}:undelete', 'projects.undelete'],
    ['GET /pets/findByStatus findPetsByStatus', 'pets.find_by_status'],
    ['POST /chat.postMessage chat_postMessage', 'chat.post_message'],
    ['POST /search search', 'search'],
    ['GET /user/login loginUser', 'user.login'],
    ['GET /user/logout logoutUser', 'user.logout'],
    ['GET /logins getLogins', 'logins.get'],
    // Ids that begin with the resource.
    ['POST /customers customers_create', 'customers.create'],
    ['POST /customers/{id}/note note_create', 'customers.note.create'],
    ['POST /customers/{id}/notes notes', 'customers.notes.create'],
    ['POST /HTTPServers/{id}/TLSKeys', 'http_servers.tls_keys.create'],
    ['GET /items.json', 'items.list'],
    ['GET /%E6%9D%B1/東京', 'e6_9_d_b1.list'],
  ])('%s: %s', (text, name) => {
    expect(namesOf([text])).toEqual([name]);
  });

  test.each([
    ['DELETE /subscriptions/{id} unsubscribe', 'subscriptions.delete'],
    ['DELETE /customers/{id} listAndForget', 'customers.delete'],
    ['GET /customers/{id} deleteCustomer', 'customers.get'],
    ['POST /customers getCustomers', 'customers.create'],
    ['POST /reports listReports', 'reports.create'],
    ['POST /reports/{id}:list', 'reports.create'],
    ['POST /reports/{id}/list list', 'reports.list.create'],
    ['DELETE /reports/{id}:purge', 'reports.delete'],
  ])('does not belie the method: %s: %s', (text, name) => {
    expect(namesOf([text])).toEqual([name]);
  });

  test('begins with the prefix', () => {
    expect(namesOf(['GET /a', 'GET /'], 'crm')).toEqual(['crm.a.list', 'crm.get']);
  });
});

describe('operations that would have the same name', () => {
  test.each([
    [
      ['GET /rules getRules', 'GET /rules/{id} getRule'],
      ['rules.list', 'rules.get'],
    ],
    [
      ['DELETE /labels', 'DELETE /labels/{name}'],
      ['labels.delete', 'labels.by_name.delete'],
    ],
    [
      ['GET /issues/comments', 'GET /issues/{number}/comments'],
      ['issues.comments.list', 'issues.by_number.comments.list'],
    ],
  ])('%s', (texts, names) => {
    expect(namesOf(texts)).toEqual(names);
    expect(namesOf(texts.toReversed())).toEqual(names.toReversed());
  });

  test('in every way are told apart by a digest', () => {
    const names = namesOf(['GET /a-b one', 'GET /a_b two', 'GET /c three']);
    expect(names[2]).toBe('c.list');
    for (const name of names.slice(0, 2)) expect(name).toMatch(/^a_b\.list\.x[0-9a-f]{7}$/);
    expect(new Set(names).size).toBe(3);
  });

  test('take no name that is taken', () => {
    expect(namesOf(['GET /a/{id}'], '', new Set(['a.get']))).toEqual(['a.by_id.get']);
  });
});

test('names are valid and unique, whatever the document, and do not depend on its order', () => {
  const segment = fc.oneof(
    fc.constantFrom('a', 'A-b', 'v1', '{x}', '{x}.{y}', 'b.json', 'ü', 'a:run'),
    fc.stringMatching(/^[a-zA-Z._~-]{1,40}$/).filter((text) => !/^\.+$/.test(text)),
  );
  const operation = fc
    .record({
      method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'),
      path: fc.array(segment, { maxLength: 5 }),
      id: fc.string({ minLength: 1, maxLength: 40 }),
    })
    .map(({ method, path, id }) => ({ ...literalOperation(method, `/${path.join('/')}`), id }));
  fc.assert(
    fc.property(
      fc.uniqueArray(operation, { selector: ({ id }) => id, maxLength: 12 }),
      fc.constantFrom('', 'crm', 'a.b'),
      (operations, prefix) => {
        const names = toolNames(operations, prefix);
        expect(names.size).toBe(operations.length);
        expect(new Set(names.values()).size).toBe(operations.length);
        for (const name of names.values()) expect(name).toMatch(VALID);
        expect(toolNames(operations.toReversed(), prefix)).toEqual(names);
      },
    ),
    { numRuns: 300 },
  );
});

test('all of GitHub, and what is alone keeps its name when others come', () => {
  const file = join(
    dirname(createRequire(import.meta.url).resolve('@octokit/openapi')),
    'generated/api.github.com.json',
  );
  const operations = [...indexDocument(readDocument(readFileSync(file))).operations.values()];
  const names = toolNames(operations, 'github');
  expect(new Set(names.values()).size).toBe(operations.length);
  expect([...names.values()].filter((name) => !VALID.test(name))).toEqual([]);
  expect([...names.values()].filter((name) => /\.x[0-9a-f]{7}$/.test(name))).toEqual([]);
  // Of an API of this size one in fifty has a parameter in its name.
  expect([...names.values()].filter((name) => /\.by_/.test(name)).length).toBeLessThan(
    operations.length / 50,
  );
  const reads = operations.filter(({ id }) => /\.(list|get|search|check)$/.test(names.get(id)!));
  expect(reads.filter(({ method }) => method !== 'GET')).toEqual([]);
  const deletes = operations.filter(({ method }) => method === 'DELETE');
  expect(deletes.filter(({ id }) => !names.get(id)!.endsWith('.delete'))).toEqual([]);
  const half = operations.filter((_, index) => index % 2 === 0);
  const alone = toolNames(half, 'github');
  const changed = half.filter(({ id }) => alone.get(id) !== names.get(id));
  expect(changed.length).toBeLessThan(half.length / 50);
});
