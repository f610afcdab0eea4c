/**
 * What a schema violation means, in the words of the manifest's author: one message for one mistake. The rule
 * behind a pattern or a combination of keywords is written in words beside it, as the schema's `$comment`.
 */
import type { ErrorObject } from 'ajv';
import type { JsonSchema } from './kind.ts';
import { pointerTo } from './position.ts';
import { suggest } from './suggest.ts';
import { andList, fieldPath, nounOf, nounsOfType, orList, quoted } from './words.ts';

export interface Violation {
  /** Where, from the top of the manifest. */
  readonly pointer: string;
  /** Whether the key or the value is to blame. */
  readonly at: 'key' | 'value';
  readonly rule: string;
  readonly message: string;
  readonly hint: string | null;
}

/** More than this on one manifest help nobody. */
const MAX_VIOLATIONS = 50;

/** The violations that ajv found, echoes left out. */
export function explain(errors: readonly ErrorObject[]): Violation[] {
  const found = new Set(errors.map((error) => failure(keywordOf(error), error.instancePath)));
  const told = errors.filter((error) => !isEcho(error, found));
  return told.slice(0, MAX_VIOLATIONS).map(explainOne);
}

/** Whether another error, at the same place, says it better. */
function isEcho(error: ErrorObject, found: ReadonlySet<string>): boolean {
  // A branch that failed says nothing by itself; the rule with its words is one level up.
  if (/\/(oneOf|anyOf)\/\d+\//.test(error.schemaPath)) return true;
  if (error.propertyName !== undefined) return true;
  const beside = (keyword: string): boolean => found.has(failure(keyword, error.instancePath));
  switch (error.keyword) {
    case 'dependencies':
      return beside('oneOf') || beside('type');
    case 'additionalProperties':
      return beside('tooManyForms');
    case 'pattern':
      return beside('minLength') || beside('maxLength');
    // What is of the wrong type is not one of the choices, and has no combination of fields either.
    case 'enum':
    case 'const':
    case 'oneOf':
    case 'anyOf':
    case 'not':
      return beside('type');
    default:
      return false;
  }
}

function keywordOf(error: ErrorObject): string {
  const tooMany = error.keyword === 'maxProperties' && isOneOf(schemaOf(error));
  return tooMany ? 'tooManyForms' : error.keyword;
}

function failure(keyword: string, pointer: string): string {
  return `${keyword} ${pointer}`;
}

function explainOne(error: ErrorObject): Violation {
  const pointer = error.instancePath;
  const path = fieldPath(pointer);
  const schema = schemaOf(error);
  const value: unknown = error.data;
  const params: Readonly<Record<string, unknown>> = error.params;
  const fault = (
    rule: string,
    message: string,
    hint: string | null = null,
    at: 'key' | 'value' = 'value',
  ) => ({
    pointer,
    at,
    rule,
    message,
    hint,
  });

  switch (error.keyword) {
    case 'required':
      return fault(
        'missing-field',
        `${subfield(path, String(params.missingProperty))} is missing`,
        null,
        'key',
      );
    case 'additionalProperties':
      return unknownField(error, path, String(params.additionalProperty));
    case 'propertyNames':
      return {
        ...fault(
          'bad-name',
          `${path}: ${quoted(String(params.propertyName))} must be ${ruleOf(schema.propertyNames)}`,
        ),
        pointer: pointerTo(pointer, String(params.propertyName)),
        at: 'key',
      };
    case 'type':
      return fault(
        'wrong-type',
        `${path} must be ${nounsOfType(schema.type ?? 'object')}, not ${nounOf(value)}`,
        typeHint(schema, value),
      );
    case 'const':
      return fault('wrong-value', `${path} must be ${JSON.stringify(schema.const)}`);
    case 'enum':
      return wrongChoice(fault, path, schema, value);
    case 'pattern':
      return fault('bad-format', `${path} must be ${ruleOf(schema)}, not ${quoted(String(value))}`);
    case 'minProperties':
    case 'maxProperties':
      return isOneOf(schema)
        ? notOneForm(fault, path, schema, value)
        : fault('empty', `${path} must not be empty`);
    case 'oneOf':
      return notOneGroup(fault, path, schema, value);
    case 'dependencies':
      return fault(
        'wrong-form',
        `${path} has ${String(params.property)} but not ${String(params.missingProperty)}`,
        isGroup(schema, String(params.missingProperty)) ? `give exactly one of ${groupsOf(schema)}` : null,
      );
    case 'not':
      // A field that may never be there, or a combination of fields.
      return fault('wrong-form', `${path} ${ruleOf(schema)}`, null, isNever(schema) ? 'key' : 'value');
    case 'anyOf':
      return fault('wrong-form', `${path} ${ruleOf(schema)}`);
    case 'minimum':
    case 'maximum':
      return fault(
        'out-of-range',
        `${path} must be from ${schema.minimum} to ${schema.maximum}, not ${String(value)}`,
      );
    case 'exclusiveMinimum':
      return fault('out-of-range', `${path} must be more than ${String(params.limit)}, not ${String(value)}`);
    case 'minLength':
    case 'minItems':
      return fault('empty', `${path} must not be empty`);
    case 'maxLength':
      return fault('too-long', `${path} must have at most ${String(params.limit)} characters`);
    case 'maxItems':
      return fault('too-long', `${path} must have at most ${String(params.limit)} entries`);
    case 'uniqueItems':
      return {
        ...fault('duplicate-entry', `${path} has the same entry twice`, 'remove one'),
        pointer: pointerTo(pointer, Math.max(Number(params.i), Number(params.j))),
      };
    default:
      return fault('invalid', `${path} ${error.message ?? 'is not valid'}`);
  }
}

type Fault = (rule: string, message: string, hint?: string | null, at?: 'key' | 'value') => Violation;

function unknownField(error: ErrorObject, path: string, name: string): Violation {
  const known = fieldsOf(schemaOf(error));
  const meant = suggest(name, known);
  return {
    pointer: pointerTo(error.instancePath, name),
    at: 'key',
    rule: 'unknown-field',
    message: `${path} has no field ${quoted(name)}`,
    hint: meant === null ? `its fields are ${andList(known)}` : `did you mean ${meant}?`,
  };
}

function wrongChoice(fault: Fault, path: string, schema: JsonSchema, value: unknown): Violation {
  const choices = (schema.enum ?? []).map(String);
  const meant = typeof value === 'string' ? suggest(value, choices) : null;
  const given = typeof value === 'string' ? quoted(value) : nounOf(value);
  return fault(
    'wrong-value',
    `${path} must be one of ${orList(choices)}, not ${given}`,
    meant === null ? null : `did you mean ${meant}?`,
  );
}

/** A mapping that must have exactly one of its fields. */
function notOneForm(fault: Fault, path: string, schema: JsonSchema, value: unknown): Violation {
  const given = Object.keys(value as object).map((key) =>
    key in (schema.properties ?? {}) ? key : quoted(key),
  );
  const has = given.length === 0 ? 'is empty' : `has ${andList(given.slice(0, 5))}`;
  return fault('wrong-form', `${path} must be exactly one of ${orList(fieldsOf(schema))}, but ${has}`);
}

/** A mapping that must have exactly one of several groups of fields. */
function notOneGroup(fault: Fault, path: string, schema: JsonSchema, value: unknown): Violation {
  const fields = (schema.oneOf ?? []).flatMap((group) => group.required ?? []);
  const given = fields.filter((field) => Object.hasOwn(value as object, field));
  const has = given.length === 0 ? 'has none of them' : `has ${andList(given)}`;
  return fault('wrong-form', `${path} must have exactly one of ${groupsOf(schema)}, but ${has}`);
}

function groupsOf(schema: JsonSchema): string {
  const groups = (schema.oneOf ?? []).map((group) => andList(group.required ?? []));
  return orList(groups);
}

/** Whether this field, by itself, is one of the groups of which there must be one. */
function isGroup(schema: JsonSchema, field: string): boolean {
  return (schema.oneOf ?? []).some(({ required = [] }) => required.length === 1 && required[0] === field);
}

function typeHint(schema: JsonSchema, value: unknown): string | null {
  const types = [schema.type ?? []].flat();
  const text = typeof value === 'string' ? value.trim() : '';
  if (value === null) return 'nothing is written after the colon, or only null';
  if (types.includes('boolean') && /^(yes|no|on|off|y|n|true|false)$/i.test(text))
    return 'write true or false';
  if ((types.includes('integer') || types.includes('number')) && /^-?[0-9]+(\.[0-9]+)?$/.test(text)) {
    return 'remove the quotes';
  }
  if (types.includes('string') && (typeof value === 'number' || typeof value === 'boolean')) {
    return 'put quotes around it';
  }
  if (types.includes('array') && typeof value === 'object') {
    const dashed = Object.keys(value).some((key) => key.startsWith('-'));
    return dashed ? 'write a space behind each "-"' : 'begin each entry with "- "';
  }
  if (types.includes('object') && /^[A-Za-z_]+( |:\S)/.test(text))
    return 'write a colon and a space behind a field';
  if (types.includes('array') && text !== '' && text.length <= 40) return `write a list: [${quoted(text)}]`;
  if (isOneOf(schema) && text in (schema.properties ?? {})) return `write ${text}: {...} below it`;
  return null;
}

function isOneOf(schema: JsonSchema): boolean {
  return schema.minProperties === 1 && schema.maxProperties === 1;
}

function isNever({ not }: JsonSchema): boolean {
  return not !== undefined && Object.keys(not).length === 0;
}

/** The fields that may be given: one that only exists to be refused is not told. */
function fieldsOf(schema: JsonSchema): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => (field.not ? [] : [name]));
}

function ruleOf(schema: JsonSchema | undefined): string {
  return schema?.$comment ?? 'as the schema says';
}

function subfield(path: string, name: string): string {
  return path === 'the manifest' ? name : `${path}.${name}`;
}

/** The schema that the failed keyword stands in; ajv gives it with `verbose`. */
function schemaOf(error: ErrorObject): JsonSchema {
  return (error.parentSchema ?? {}) as JsonSchema;
}
