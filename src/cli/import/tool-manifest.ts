/** One operation of a document as a ToolWorkflow of one step. */
import { API_VERSION } from '../../manifest/kind.ts';
import { secretIn } from '../../manifest/secret-scan.ts';
import { type InputProperty, inputProperties, inputSchema } from '../../openapi/input-schema.ts';
import type { Operation, Parameter } from '../../openapi/operation.ts';
import { derivedId } from '../../openapi/path-template.ts';
import { OPERATION, STATE } from './annotations.ts';
import { fieldsOf, writeFingerprint } from './fingerprint.ts';
import { prose } from './prose.ts';

export interface ToolPlace {
  readonly name: string;
  /** Name of the ApiSpec. */
  readonly api: string;
  /** By which the operation is known again. */
  readonly origin: string;
  /** The parameter in which its ApiSpec sends the credential; null: in none that a document describes. */
  readonly credential: Pick<Parameter, 'in' | 'name'> | null;
  /** Of the document, for an operation that says nothing of itself. */
  readonly title: string;
}

/** A manifest as plain values, or why there is none. */
export type ToolManifest = { readonly value: Readonly<Record<string, unknown>> } | { readonly skip: string };

const STEP = 'call';
const MAX_DESCRIPTION = 600;
const MAX_PROPERTY_DESCRIPTION = 300;
const MAX_TAG = 64;

/** What looks as if it were for a credential: it must never be for a caller to give. */
const CREDENTIAL =
  /^(authorization|proxy-authorization|cookie|(x[-_])?(api[-_]?key|auth[-_]?token|access[-_]?token|secret))$/i;

export function toolManifest(
  document: unknown,
  operation: Operation,
  { name, api, origin, title, credential }: ToolPlace,
): ToolManifest {
  const isOwn = ({ parameter }: InputProperty): boolean =>
    parameter !== null && parameter.in === credential?.in && parameter.name === credential.name;
  const inputs = inputProperties(operation).filter((input) => !isOwn(input));
  const bad = inputs.find((input) => isLeftOut(input) && input.parameter!.required);
  if (bad !== undefined) return { skip: whyNot(bad) };
  const taken = argumentNames(inputs.filter((input) => !isLeftOut(input)));
  const spec = {
    description: describe(operation, title),
    api_spec: api,
    ...tagsOf(operation),
    ...annotationsOf(operation),
    input_schema: argumentsSchema(document, operation, inputs, taken),
    steps: [stepOf(operation, taken)],
  };
  const manifest = (annotations: object) => ({
    apiVersion: API_VERSION,
    kind: 'ToolWorkflow',
    metadata: { name, annotations },
    spec,
  });
  const state = writeFingerprint(fieldsOf(manifest({})));
  return { value: manifest({ [OPERATION]: `${api} ${origin}`, [STATE]: state }) };
}

function isLeftOut({ parameter }: InputProperty): boolean {
  if (parameter === null) return false;
  return parameter.in === 'cookie' || (parameter.in !== 'path' && CREDENTIAL.test(parameter.name));
}

function whyNot({ parameter }: InputProperty): string {
  const { in: place, name } = parameter!;
  return place === 'cookie'
    ? `it needs the cookie ${name}, which a step cannot send`
    : `it needs ${place} parameter ${name}, which looks like a credential: those come from credential and inject`;
}

/** What each input is called as an argument: clients of models take no other characters than these. */
function argumentNames(inputs: readonly InputProperty[]): ReadonlyMap<InputProperty, string> {
  const names = new Map<InputProperty, string>();
  const used = new Set<string>();
  for (const input of inputs) {
    const base = input.name.replace(/[^A-Za-z0-9_-]+/g, '_').replace(/^_+|_+$/g, '') || 'value';
    let name = base.slice(0, 60);
    for (let count = 2; used.has(name); count += 1) name = `${base.slice(0, 60)}_${count}`;
    used.add(name);
    names.set(input, name);
  }
  return names;
}

type Schema = Record<string, unknown>;

function argumentsSchema(
  document: unknown,
  operation: Operation,
  inputs: readonly InputProperty[],
  taken: ReadonlyMap<InputProperty, string>,
): Schema {
  const {
    required = [],
    properties = {},
    ...rest
  } = inputSchema(document, operation) as {
    readonly required?: readonly string[];
    readonly properties?: Readonly<Record<string, Schema>>;
  };
  const listed = [...taken].filter(([input]) => Object.hasOwn(properties, input.name));
  const needed = listed.filter(([input]) => required.includes(input.name)).map(([, name]) => name);
  // An operation of very many parameters has a schema that does not list them all.
  const open = inputs.some((input) => !Object.hasOwn(properties, input.name));
  return {
    type: 'object',
    ...(needed.length > 0 && { required: needed }),
    ...(!open && { additionalProperties: false }),
    ...without(rest, ['type', 'additionalProperties']),
    properties: Object.fromEntries(listed.map(([input, name]) => [name, readable(properties[input.name]!)])),
  };
}

function without(value: Schema, keys: readonly string[]): Schema {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)));
}

/** Keywords whose values are schemas by name, and those whose values are data. */
const NAMED = new Set(['properties', 'patternProperties']);
const DATA = new Set(['enum', 'const', 'default', 'examples']);

/**
 * A schema as people read it: the type first, short descriptions, no titles, which repeat names, and no examples that
 * look like secrets.
 */
function readable(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(readable);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema);
  const typeFirst = entries.sort(([a], [b]) => Number(b === 'type') - Number(a === 'type'));
  return Object.fromEntries(
    typeFirst.flatMap(([key, value]): [string, unknown][] => {
      if (key === 'title' && typeof value === 'string') return [];
      if (key === 'examples' && secretIn(JSON.stringify(value)) !== null) return [];
      if (key === 'description' && typeof value === 'string')
        return [[key, prose(value, MAX_PROPERTY_DESCRIPTION)]];
      if (DATA.has(key)) return [[key, value]];
      if (!NAMED.has(key)) return [[key, readable(value)]];
      const named = Object.entries(value as Schema).map(([name, one]) => [name, readable(one)] as const);
      return [[key, Object.fromEntries(named)]];
    }),
  );
}

function describe({ method, path, summary, description, deprecated }: Operation, title: string): string {
  const [head, body] = [summary?.trim() ?? '', description?.trim() ?? ''];
  const whole = body.startsWith(head) || head === body ? body : `${head}\n\n${body}`;
  const text = prose(whole, MAX_DESCRIPTION);
  const said =
    text !== '' ? text : `${derivedId(method, path)}${title === '' ? '' : ` of ${prose(title, 100)}`}.`;
  return deprecated ? `Deprecated. ${said}` : said;
}

function tagsOf({ tags, deprecated }: Operation): { tags?: string[] } {
  const words = tags.map((tag) => prose(tag, MAX_TAG)).filter((tag) => tag !== '');
  const all = [...new Set([...words, ...(deprecated ? ['deprecated'] : [])])].slice(0, 50);
  return all.length === 0 ? {} : { tags: all };
}

/** What HTTP says of the method (RFC 9110 section 9.2). */
function annotationsOf({ method }: Operation): { annotations?: object } {
  if (method === 'DELETE') return { annotations: { destructive: true, idempotent: true } };
  if (method === 'PUT') return { annotations: { idempotent: true } };
  const reads = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
  return reads ? { annotations: { read_only: true, idempotent: true } } : {};
}

const FIELDS = { path: 'path_params', query: 'query', header: 'headers' } as const;

function stepOf({ id }: Operation, taken: ReadonlyMap<InputProperty, string>): Record<string, unknown> {
  const step: Record<string, unknown> = { name: STEP, operation_id: id };
  for (const place of ['path', 'query', 'header'] as const) {
    const values = [...taken].flatMap(([{ parameter }, name]): [string, string][] =>
      parameter?.in === place ? [[parameter.name, `{{input.${name}}}`]] : [],
    );
    if (values.length > 0) step[FIELDS[place]] = Object.fromEntries(values);
  }
  const body = [...taken].find(([{ parameter }]) => parameter === null);
  if (body !== undefined) step.body = `{{input.${body[1]}}}`;
  return step;
}
