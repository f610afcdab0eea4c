/** The seven kinds of manifest and their JSON Schemas, which live in `schemas/` for editors to read too. */
import { readFileSync } from 'node:fs';

export const API_VERSION = 'seal.gateway/v1';

export const KINDS = [
  'ApiSpec',
  'CliTool',
  'SecurityContext',
  'SemanticJudge',
  'Tenant',
  'TokenIssuer',
  'ToolWorkflow',
] as const;

export type Kind = (typeof KINDS)[number];

/** The kinds that share the one namespace of tools. */
export const TOOL_KINDS: readonly Kind[] = ['ToolWorkflow', 'CliTool'];

/** Names that a tool may not take: the explorer is called by one. */
export const RESERVED_TOOLS: readonly string[] = ['api.explore'];

/** The part of draft-07 that the schemas of the kinds are written in. */
export interface JsonSchema {
  readonly $ref?: string;
  /** A rule in words, for messages: what a pattern means, or what a combination of keywords demands. */
  readonly $comment?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly propertyNames?: JsonSchema;
  readonly items?: JsonSchema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly definitions?: Readonly<Record<string, JsonSchema>>;
  readonly not?: JsonSchema;
  readonly allOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly dependencies?: Readonly<Record<string, readonly string[]>>;
}

export function isKind(text: unknown): text is Kind {
  return (KINDS as readonly unknown[]).includes(text);
}

/** The schema of a whole manifest of this kind, as its file has it. */
export function readSchema(kind: Kind | 'GatewayTest'): JsonSchema {
  const file = new URL(`../../schemas/${kind}.schema.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as JsonSchema;
}
