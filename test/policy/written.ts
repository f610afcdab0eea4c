/** Contexts as a manifest writes them, compiled by the real compilers. */
import { Ajv } from 'ajv';
import {
  compileDenyRule,
  compileDomainPattern,
  compilePathPattern,
  compileToolPattern,
  compileValuePattern,
} from '../../src/policy/match.ts';
import type { Capability, Matcher, RateLimit, SecurityContext } from '../../src/snapshot/snapshot.ts';

export interface WrittenCapability {
  tool_pattern: string;
  path_allowlist?: string[];
  command_allowlist?: string[];
  subcommand_allowlist?: string[];
  domain_allowlist?: string[];
  arguments?: object;
  rate_limit?: RateLimit;
  path_arguments?: string[];
  url_arguments?: string[];
}

export interface WrittenContext {
  deny_list?: string[];
  capabilities?: WrittenCapability[];
}

export function compileContext(written: WrittenContext, name = 'test'): SecurityContext {
  return {
    name,
    tenant: null,
    deny: (written.deny_list ?? []).map(compileDenyRule),
    capabilities: (written.capabilities ?? []).map(compileCapability),
    audit_arguments: false,
  };
}

const ajv = new Ajv();

function compileCapability(written: WrittenCapability, index: number): Capability {
  const list = (patterns: string[] | undefined, compile: (text: string) => Matcher): Matcher[] | null =>
    patterns?.map(compile) ?? null;
  return {
    index,
    tool_pattern: written.tool_pattern,
    tool: compileToolPattern(written.tool_pattern),
    path_allowlist: list(written.path_allowlist, compilePathPattern),
    command_allowlist: list(written.command_allowlist, compileValuePattern),
    subcommand_allowlist: list(written.subcommand_allowlist, compileValuePattern),
    domain_allowlist: list(written.domain_allowlist, compileDomainPattern),
    arguments: written.arguments === undefined ? null : ajv.compile(written.arguments),
    rate_limit: written.rate_limit ?? null,
    max_response_size: null,
    allow_human_delegated: false,
    path_arguments: written.path_arguments ?? ['path'],
    url_arguments: written.url_arguments ?? ['url'],
  };
}
