/**
 * Schemas of which it can be told without compiling them that they can be compiled. Ajv takes a millisecond to make
 * code of a schema, and of ten thousand tools few are called before the next change: those that are plain are
 * compiled at their first call.
 */

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown, formats: ReadonlySet<string>) => boolean;

const fine: Check = () => true;
const schema: Check = (value, formats) => typeof value === 'boolean' || isPlainSchema(value, formats);
const schemas: Check = (value, formats) => Array.isArray(value) && value.every((one) => schema(one, formats));
const named: Check = (value, formats) =>
  isFields(value) && Object.values(value).every((one) => schema(one, formats));

/** Every keyword that means the same in both dialects and needs nothing beside it. */
const KEYWORDS: Readonly<Record<string, Check>> = {
  title: fine,
  description: fine,
  $comment: fine,
  default: fine,
  examples: fine,
  type: fine,
  const: fine,
  enum: (value) => Array.isArray(value) && value.length > 0,
  required: fine,
  minimum: fine,
  maximum: fine,
  exclusiveMinimum: fine,
  exclusiveMaximum: fine,
  multipleOf: fine,
  minLength: fine,
  maxLength: fine,
  minItems: fine,
  maxItems: fine,
  uniqueItems: fine,
  minProperties: fine,
  maxProperties: fine,
  pattern: isPattern,
  format: (value, formats) => typeof value === 'string' && formats.has(value),
  properties: named,
  additionalProperties: schema,
  items: schema,
  allOf: schemas,
  anyOf: schemas,
  oneOf: schemas,
  not: schema,
};

/** For a schema that fits the schema of schemas, which says what each keyword may hold. */
export function isPlainSchema(value: unknown, formats: ReadonlySet<string>): boolean {
  if (!isFields(value)) return false;
  return Object.entries(value).every(
    ([keyword, part]) => Object.hasOwn(KEYWORDS, keyword) && KEYWORDS[keyword]!(part, formats),
  );
}

/** As ajv reads patterns. */
export function isPattern(value: unknown): boolean {
  try {
    return new RegExp(String(value), 'u') instanceof RegExp;
  } catch {
    return false;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
