/** `seal-gateway can-i`: what the policy would say to a call, and which rule says it. */
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { ERRORS } from '../errors.ts';
import { policyNames } from '../invoke/decide.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { locate } from '../manifest/position.ts';
import { type Decision, explain, type TriedRule } from '../policy/evaluate.ts';
import type { Side } from '../reconcile/plan.ts';
import { type JsonObject, type Snapshot, visible } from '../snapshot/snapshot.ts';
import { argumentsOf } from './call.ts';
import { validSide } from './local-side.ts';
import { CliError, type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';

interface CanIOptions extends OutputOptions {
  readonly config?: string;
  readonly dir?: string;
  readonly context: string;
  readonly tenant?: string;
  readonly tool: string;
  readonly arg?: string[];
  readonly argsJson?: string;
  readonly explain?: boolean;
}

/** A rule with the place where it is written. */
export interface PlacedRule extends TriedRule {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Answer {
  readonly allowed: boolean;
  /** SEAL code and name; null: it is allowed. */
  readonly code: number | null;
  readonly name: string | null;
  readonly reason: string;
  /** The rule that decided; null: no such context, so there is no rule. */
  readonly rule: PlacedRule | null;
  readonly tried: readonly PlacedRule[];
  /** Problems with the arguments: the call would be allowed, and then refused with 4000. */
  readonly argument_problems: readonly string[];
}

export function addCanI(program: Command, { console }: CliDeps): void {
  program
    .command('can-i')
    .description('Say whether a security context allows a call, and by which rule (rate limits apart)')
    .requiredOption('--context <name>', 'SecurityContext of the caller')
    .requiredOption('--tool <name>', 'tool that would be called')
    .option('--tenant <name>', 'tenant of the caller')
    .option('--arg <key=value...>', 'an argument, as of call')
    .option('--args-json <json>', 'all arguments as one JSON object, or @FILE')
    .option('--dir <dir>', 'directory of manifests; else the one of the configuration')
    .option('--config <file>', 'gateway.yaml that names the directory')
    .option('--explain', 'show every rule that was tried')
    .action(async (options: CanIOptions) => {
      const dir = options.dir ?? loadConfig(options.config).config.manifests.dir;
      const { side, snapshot } = await validSide(dir);
      const call = { tool: options.tool, arguments: argumentsOf(options) as JsonObject };
      const answer = ask(side, snapshot, options.context, options.tenant ?? null, call);
      print(console, options, answer, textOf(answer, options.explain ?? false));
      if (!answer.allowed || answer.argument_problems.length > 0) throw new CliError('');
    });
}

/** What the policy of a set of manifests says. */
export function ask(
  side: Side,
  snapshot: Snapshot,
  contextName: string,
  tenant: string | null,
  call: { readonly tool: string; readonly arguments: JsonObject },
): Answer {
  const refused = (reason: string): Answer => ({
    ...{ allowed: false, code: ERRORS.POLICY_TOOL_NOT_ALLOWED.code, name: 'POLICY_TOOL_NOT_ALLOWED', reason },
    ...{ rule: null, tried: [], argument_problems: [] },
  });
  const context = visible(snapshot.contexts, tenant, contextName);
  if (context === undefined)
    return refused(`there is no SecurityContext ${contextName} that this caller may use`);
  if (tenant !== null && snapshot.tenants.get(tenant)?.suspended !== false) {
    return refused(`there is no Tenant ${tenant}, or it is suspended`);
  }
  const tool = visible(snapshot.tools, tenant, call.tool);
  const names = policyNames(tool, { ...call, inexact: null });
  const { decision, tried } = explain(context, { ...call, ...names, tool_patterns: null });
  const verdict = side.verdicts.get(`SecurityContext/${context.tenant ?? ''}/${context.name}`);
  const manifest = verdict?.applied?.manifest as Manifest;
  const placed = tried.map((rule) => place(manifest, rule));
  const argument_problems = !decision.allow
    ? []
    : tool?.kind === 'workflow'
      ? tool.validate(call.arguments)
      : tool === undefined
        ? [`there is no tool ${call.tool}`]
        : [];
  return {
    ...outcome(decision),
    rule: decidingRule(manifest, decision, placed),
    tried: placed,
    argument_problems,
  };
}

function outcome(decision: Decision): Pick<Answer, 'allowed' | 'code' | 'name' | 'reason'> {
  if (!decision.allow) {
    return {
      allowed: false,
      code: ERRORS[decision.error].code,
      name: decision.error,
      reason: decision.reason,
    };
  }
  const { index, tool_pattern } = decision.capability;
  return {
    allowed: true,
    code: null,
    name: null,
    reason: `capabilities[${index}] (${tool_pattern}) allows this call`,
  };
}

function decidingRule(manifest: Manifest, decision: Decision, tried: readonly PlacedRule[]): PlacedRule {
  const rule = decision.allow ? `capabilities[${decision.capability.index}].tool_pattern` : decision.rule;
  const known = tried.findLast((one) => one.rule === rule);
  return (
    known ?? place(manifest, { rule, outcome: 'not_matched', detail: decision.allow ? '' : decision.reason })
  );
}

/** `capabilities[2].path_allowlist` as the pointer `/spec/capabilities/2/path_allowlist`, and where that is. */
function place(manifest: Manifest, rule: TriedRule): PlacedRule {
  const pointer = `/spec/${rule.rule.replaceAll(/\[(\d+)\]/g, '/$1').replaceAll('.', '/')}`;
  return { ...rule, file: manifest.file, ...locate(manifest.document, pointer) };
}

function textOf(answer: Answer, all: boolean): string {
  const fits = answer.argument_problems.length === 0;
  const head = answer.allowed
    ? fits
      ? 'allowed'
      : 'allowed by policy, but refused: 4000 INVALID_ARGUMENTS'
    : `denied: ${answer.code} ${answer.name}`;
  const lines = [head, `  ${answer.reason}`];
  if (answer.rule !== null) lines.push(`  ${whereOf(answer.rule)} ${answer.rule.rule}`);
  lines.push(...answer.argument_problems.map((problem) => `  but the arguments do not fit: ${problem}`));
  if (all && answer.tried.length > 0) {
    lines.push('rules tried, in order:');
    for (const rule of answer.tried)
      lines.push(
        `  ${whereOf(rule)} ${rule.rule}: ${rule.outcome.replace('_', ' ')}${rule.detail === '' ? '' : `, ${rule.detail}`}`,
      );
  }
  return lines.join('\n');
}

function whereOf({ file, line, column }: PlacedRule): string {
  return `${file}:${line}:${column}`;
}
