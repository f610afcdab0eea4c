import { describe, expect, test } from 'vitest';
import { KINDS, type Kind, readSchema } from '../../src/manifest/kind.ts';
import { pointerSegments, pointerTo } from '../../src/manifest/position.ts';
import { validateKeySet, validateManifest } from '../../src/manifest/validate.ts';
import { written } from './written.ts';

type Container = Record<string, unknown>;

/** Every place of a value: pointer, and what holds it. */
function places(
  value: unknown,
  pointer = '',
): { pointer: string; holder: Container; key: string; value: unknown }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => [
    { pointer: pointerTo(pointer, key), holder: value as Container, key, value: child },
    ...places(child, pointerTo(pointer, key)),
  ]);
}

function valueAt(document: unknown, pointer: string): unknown {
  return pointerSegments(pointer).reduce<unknown>((node, key) => (node as Container)[key], document);
}

/** Below these anything goes: JSON Schemas, bodies, defaults, members of keys that nobody knows. */
const FREE =
  /^\/spec\/(input_schema|output_schema|output|capabilities\/0\/arguments|steps\/\d\/(body|query|defaults))(\/|$)/;

const violations = (kind: Kind, document: unknown): string[] =>
  validateManifest(kind, document).map(({ pointer, at, message }) => `${pointer} ${at}: ${message}`);

describe.each(KINDS)('%s', (kind) => {
  test('a full manifest is valid, and has every field of its schema', () => {
    expect(violations(kind, written(kind))).toEqual([]);
    const { definitions = {} } = readSchema(kind);
    expect(Object.keys(written(kind).spec as object).sort()).toEqual(
      Object.keys(definitions[`${kind}Spec`]!.properties!).sort(),
    );
  });

  test('a value of another type is one mistake, and it is told where it is', () => {
    for (const { pointer, value } of places(written(kind)).filter((place) => !FREE.test(place.pointer))) {
      for (const wrong of [null, 7.5, true, 'no such thing', [], {}, [{}], { x: 1 }]) {
        const sameType =
          typeof wrong === typeof value && Array.isArray(wrong) === Array.isArray(value) && wrong !== null;
        if (sameType || accepts(kind, pointer, wrong)) continue;
        const document = written(kind);
        const holder = valueAt(document, pointer.slice(0, pointer.lastIndexOf('/'))) as Container;
        holder[pointerSegments(pointer).at(-1)!] = wrong;
        const found = validateManifest(kind, document);
        expect(
          found,
          `${pointer} = ${JSON.stringify(wrong)}: ${violations(kind, document).join(' | ')}`,
        ).toHaveLength(1);
        expect(found[0]!.pointer.startsWith(pointer), violations(kind, document)[0]).toBe(true);
      }
    }
  });

  test('an unknown field is one mistake, told at its key with a suggestion', () => {
    for (const { pointer, value } of [{ pointer: '', value: written(kind) }, ...places(written(kind))]) {
      if (typeof value !== 'object' || value === null || Array.isArray(value) || FREE.test(pointer)) continue;
      const document = written(kind);
      const holder = valueAt(document, pointer) as Container;
      // Where any name will do, the value is a good one.
      holder['no such field'] = Object.values(holder)[0] ?? 'x';
      const found = validateManifest(kind, document);
      expect(found.length, `${pointer}: ${violations(kind, document).join(' | ')}`).toBeLessThanOrEqual(1);
      if (found.length === 0) continue;
      expect(found[0]).toMatchObject({
        hint: found[0]!.rule === 'unknown-field' ? expect.any(String) : null,
      });
    }
  });

  test('a field that is missing is one mistake', () => {
    for (const { pointer } of places(written(kind)).filter((place) => !FREE.test(place.pointer))) {
      const document = written(kind);
      const holder = valueAt(document, pointer.slice(0, pointer.lastIndexOf('/'))) as Container;
      if (Array.isArray(holder)) continue;
      delete holder[pointerSegments(pointer).at(-1)!];
      const found = violations(kind, document);
      expect(found.length, `${pointer}: ${found.join(' | ')}`).toBeLessThanOrEqual(1);
    }
  });
});

/** Where several types are right. */
function accepts(kind: Kind, pointer: string, value: unknown): boolean {
  const scalar = typeof value !== 'object';
  if (kind === 'ToolWorkflow') {
    if (/\/path_params\//.test(pointer)) return scalar;
    if (/\/when$/.test(pointer)) return typeof value === 'string' || typeof value === 'boolean';
    if (/\/for_each\/in$/.test(pointer)) return typeof value === 'string' || Array.isArray(value);
  }
  if (kind === 'CliTool' && /\/enum\/0$/.test(pointer)) return scalar;
  if (kind === 'CliTool' && /\/cpus$/.test(pointer)) return typeof value === 'number';
  if (kind === 'TokenIssuer' && /\/audience$/.test(pointer)) return typeof value === 'string';
  return false;
}

/** What is said when the field at this pointer has another value, or (undefined) is not there. */
function said(kind: Kind, pointer: string, value: unknown): string[] {
  const document = written(kind);
  const holder = valueAt(document, pointer.slice(0, pointer.lastIndexOf('/'))) as Container;
  const key = pointerSegments(pointer).at(-1)!;
  if (value === undefined) delete holder[key];
  else holder[key] = value;
  return validateManifest(kind, document).map(
    ({ message, hint }) => `${message}${hint === null ? '' : ` (${hint})`}`,
  );
}

const CREDENTIALS = 'static_ref, system_jit, human_delegated, auto, user_bound or none';

describe('what is said', () => {
  test.each<[string, Kind, string, unknown, string]>([
    [
      'wrong type',
      'Tenant',
      '/spec/suspended',
      'yes',
      'spec.suspended must be true or false, not text (write true or false)',
    ],
    [
      'a number in quotes',
      'Tenant',
      '/spec/max_concurrency',
      '5',
      'spec.max_concurrency must be a whole number, not text (remove the quotes)',
    ],
    [
      'a text without quotes',
      'Tenant',
      '/spec/display_name',
      12,
      'spec.display_name must be text, not a whole number (put quotes around it)',
    ],
    [
      'nothing',
      'Tenant',
      '/spec/display_name',
      null,
      'spec.display_name must be text, not empty (nothing is written after the colon, or only null)',
    ],
    [
      'one instead of a list',
      'SecurityContext',
      '/spec/deny_list',
      '*.delete',
      'spec.deny_list must be a list, not text (write a list: ["*.delete"])',
    ],
    [
      'out of range',
      'CliTool',
      '/spec/default_timeout_seconds',
      301,
      'spec.default_timeout_seconds must be from 1 to 300, not 301',
    ],
    [
      'not above zero',
      'CliTool',
      '/spec/resources/cpus',
      0,
      'spec.resources.cpus must be more than 0, not 0',
    ],
    [
      'a choice',
      'ToolWorkflow',
      '/spec/steps/0/on_error',
      'contine',
      'spec.steps[0].on_error must be one of fail or continue, not "contine" (did you mean continue?)',
    ],
    [
      'a choice of another type',
      'ToolWorkflow',
      '/spec/steps/0/on_error',
      true,
      'spec.steps[0].on_error must be text, not true (put quotes around it)',
    ],
    [
      'no form',
      'ApiSpec',
      '/spec/credential',
      {},
      `spec.credential must be exactly one of ${CREDENTIALS}, but is empty`,
    ],
    [
      'two forms',
      'ApiSpec',
      '/spec/credential',
      { none: {}, static_ref: { key: 'a' } },
      `spec.credential must be exactly one of ${CREDENTIALS}, but has none and static_ref`,
    ],
    [
      'a form by its name',
      'ApiSpec',
      '/spec/inject',
      'bearer',
      'spec.inject must be a mapping, not text (write bearer: {...} below it)',
    ],
    [
      'an unknown form',
      'ApiSpec',
      '/spec/inject',
      { baerer: {} },
      'spec.inject has no field "baerer" (did you mean bearer?)',
    ],
    [
      'two sources',
      'ApiSpec',
      '/spec/source/inline',
      {},
      'spec.source must have exactly one of file, inline or url, but has file and inline',
    ],
    [
      'url without sha256',
      'ApiSpec',
      '/spec/source',
      { url: 'https://a.example/x' },
      'spec.source has url but not sha256',
    ],
    [
      'neither operation nor path',
      'ToolWorkflow',
      '/spec/steps/0/operation_id',
      undefined,
      'spec.steps[0] must have exactly one of operation_id or method and path, but has none of them',
    ],
    [
      'both operation and path',
      'ToolWorkflow',
      '/spec/steps/1/operation_id',
      'x',
      'spec.steps[1] must have exactly one of operation_id or method and path, but has operation_id, method and path',
    ],
    [
      'method without path',
      'ToolWorkflow',
      '/spec/steps/1/path',
      undefined,
      'spec.steps[1] must have exactly one of operation_id or method and path, but has method',
    ],
    [
      'two bodies',
      'ToolWorkflow',
      '/spec/steps/0/body_template',
      '{}',
      'spec.steps[0] must not have both body and body_template',
    ],
    [
      'a credential that goes nowhere',
      'CliTool',
      '/spec/inject',
      undefined,
      'spec has a credential but no inject: say whether it goes into env or a file',
    ],
    [
      'a model for its protocol',
      'SemanticJudge',
      '/spec/model',
      undefined,
      'spec needs model, for its protocol is openai_chat',
    ],
    [
      'a name',
      'Tenant',
      '/metadata/name',
      'Acme',
      'metadata.name must be lower-case letters, digits and "-", beginning and ending with a letter or digit, at most 63 characters, not "Acme"',
    ],
    ['an empty name', 'Tenant', '/metadata/name', '', 'metadata.name must not be empty'],
    ['an empty list', 'ToolWorkflow', '/spec/steps', [], 'spec.steps must not be empty'],
    [
      'the same twice',
      'CliTool',
      '/spec/allowed_subcommands',
      ['get', 'get'],
      'spec.allowed_subcommands has the same entry twice (remove one)',
    ],
    [
      'a bad key',
      'ToolWorkflow',
      '/spec/steps/0/extract',
      { Id: '$.id' },
      'spec.steps[0].extract: "Id" must be a lower-case letter, then lower-case letters, digits and "_", at most 64 characters',
    ],
    [
      'a JSONPath without $',
      'ToolWorkflow',
      '/spec/steps/0/extract/id',
      'data.id',
      'spec.steps[0].extract.id must be an RFC 9535 JSONPath, which begins with "$", not "data.id"',
    ],
    ['a missing field', 'Tenant', '/spec', undefined, 'spec is missing'],
    [
      'an unknown field at the top',
      'Tenant',
      '/sepc',
      {},
      'the manifest has no field "sepc" (did you mean spec?)',
    ],
    [
      'a field of no name',
      'Tenant',
      '/spec/zzzzzz',
      1,
      'spec has no field "zzzzzz" (its fields are display_name, suspended, rate_limit, max_concurrency, allowed_security_contexts and openbao_namespace)',
    ],
    [
      'a header with a line end',
      'ApiSpec',
      '/spec/headers/A',
      'b\r\nC: d',
      'spec.headers.A must be one line of text, not "b\\r\\nC: d"',
    ],
    [
      'a private key',
      'TokenIssuer',
      '/spec/jwks/inline/keys/0/d',
      'x',
      'spec.jwks.inline.keys[0].d is a private key: publish the public key alone, and replace this key, for it is no longer secret',
    ],
  ])('%s', (_what, kind, pointer, value, line) => {
    expect(said(kind, pointer, value)).toEqual([line]);
  });

  test('never the value of what looks like a secret', () => {
    const token = `ghp_${'a1'.repeat(18)}`;
    const lines = [
      said('Tenant', '/metadata/name', token),
      said('ToolWorkflow', '/spec/steps/0/on_error', token),
      said('Tenant', `/spec/${token}`, 1),
    ];
    expect(lines.flat()).toHaveLength(3);
    expect(lines.join()).not.toContain(token);
  });

  test('at most fifty of one manifest', () => {
    const spec = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`x${index}`, 1]));
    expect(said('Tenant', '/spec', { display_name: 'x', ...spec })).toHaveLength(50);
  });
});

test('a key set that is a file of its own is held to the same schema', () => {
  expect(validateKeySet('Jwks', { keys: [{ kty: 'OKP' }] })).toEqual([]);
  expect(validateKeySet('EnvelopeJwks', { keys: [{ kty: 'OKP' }] })).toHaveLength(2);
  expect(validateKeySet('Jwks', [])).toMatchObject([
    { pointer: '', message: 'the manifest must be a mapping, not a list' },
  ]);
});
