/** `seal-gateway can-i`: what the policy would say to a call, and which rule says it. */
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { ERRORS, type ErrorName, GatewayError } from '../errors.ts';
import { type JudgedCli, judgeCliArguments } from '../execute/cli-arguments.ts';
import { prepareExploration } from '../execute/exploration.ts';
import { policyNames } from '../invoke/decide.ts';
import { formatDiagnostic } from '../manifest/diagnostic.ts';
import { type Identity, keyOf, type Manifest } from '../manifest/manifest.ts';
import { locate } from '../manifest/position.ts';
import { suggest } from '../manifest/suggest.ts';
import { andList } from '../manifest/words.ts';
import { type Decision, explain, permitsCommand, type TriedRule } from '../policy/evaluate.ts';
import { matchesAny } from '../policy/match.ts';
import type { Side } from '../reconcile/plan.ts';
import {
  type AnyTool,
  type ExplorerTool,
  type JsonObject,
  type SecurityContext,
  type Snapshot,
  toolNamed,
  visible,
} from '../snapshot/snapshot.ts';
import { argumentsOf } from './call.ts';
import { type LocalSet, readSet } from './local-side.ts';
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

/** Why a call that policy allows would be refused. */
export interface Problem {
  readonly code: number;
  readonly name: string;
  readonly message: string;
  /** What of a CliTool refuses its words, such as `args.flags`; null: no rule of a manifest does. */
  readonly rule: string | null;
}

export interface Answer {
  readonly allowed: boolean;
  /** SEAL code and name; null: it is allowed. */
  readonly code: number | null;
  readonly name: string | null;
  readonly reason: string;
  /** The rule that decided; null: what it would stand in does not exist, or is not valid. */
  readonly rule: PlacedRule | null;
  readonly tried: readonly PlacedRule[];
  /** Why the call would be refused whatever policy says: the tool is not there, or the arguments do not fit. */
  readonly problems: readonly Problem[];
}

export interface Question {
  readonly context: string;
  /** null: the caller has none. */
  readonly tenant: string | null;
  readonly tool: string;
  readonly arguments: JsonObject;
}

export function addCanI(program: Command, { console }: CliDeps): void {
  program
    .command('can-i')
    .description(
      'Say whether a security context allows a call, and by which rule (rate limits and issuers apart)',
    )
    .requiredOption('--context <name>', 'SecurityContext of the caller')
    .requiredOption('--tool <name>', 'tool that would be called')
    .option('--tenant <name>', 'tenant of the caller')
    .option('--arg <key=value...>', 'an argument, as of call')
    .option('--args-json <json>', 'all arguments as one JSON object, or @FILE')
    .option('--dir <dir>', 'directory of manifests; else the one of the configuration')
    .option('--config <file>', 'gateway.yaml that names the directory')
    .option('--explain', 'show every rule that was tried')
    .action(async (options: CanIOptions) => {
      const { context, tool, tenant = null } = options;
      const dir = options.dir ?? loadConfig(options.config).config.manifests.dir;
      const set = await readSet(dir);
      if (set.errors.length > 0)
        console.err(
          `seal-gateway: ${dir} has errors (see seal-gateway validate); this is what the rest of it says\n`,
        );
      const answer = ask(set, { context, tenant, tool, arguments: argumentsOf(options) as JsonObject });
      print(console, options, answer, textOf(answer, options.explain ?? false));
      if (!answer.allowed || answer.problems.length > 0) throw new CliError('');
    });
}

/** What the policy of a set of manifests says. */
export function ask({ side, snapshot }: Pick<LocalSet, 'side' | 'snapshot'>, question: Question): Answer {
  const { tenant, tool: name, arguments: args } = question;
  const refusal = tenantRefusal(side, snapshot, question) ?? contextRefusal(side, snapshot, question);
  if (refusal !== null) return refusal;
  const context = visible(snapshot.contexts, tenant, question.context)!;
  const tool = toolNamed(snapshot, tenant, name);
  const call = { tool: name, arguments: args };
  const judged = tool?.kind === 'cli' ? judgeCliArguments(tool, args) : null;
  const names = policyNames(tool, call, judged);
  const { decision, tried } = explain(context, { ...call, ...names, tool_patterns: null });
  const manifest = manifestOf(side, { kind: 'SecurityContext', tenant: context.tenant, name: context.name })!;
  const placed = tried.map((rule) => place(manifest, rule));
  return {
    ...outcome(decision, judged),
    rule: decidingRule(manifest, decision, placed),
    tried: placed,
    problems: decision.allow
      ? problemsOf(tool, question, context, judged, toolNames(snapshot, tenant))
      : namesNoPath(decision, judged)
        ? wordProblems(judged)
        : [],
  };
}

/** In the order of policy/select.ts. */
function tenantRefusal(side: Side, snapshot: Snapshot, { tenant: name, context }: Question): Answer | null {
  if (name === null) return null;
  const tenant = snapshot.tenants.get(name);
  const manifest = manifestOf(side, { kind: 'Tenant', tenant: null, name });
  if (tenant === undefined || manifest === null)
    return refused(absent(side, { kind: 'Tenant', tenant: null, name }, null));
  const by = (rule: string): PlacedRule => place(manifest, { rule, outcome: 'failed', detail: '' });
  if (tenant.suspended) return refused(`tenant ${name} is suspended`, by('suspended'));
  const listed = tenant.allowed_security_contexts;
  if (listed === null || matchesAny(listed, context)) return null;
  return refused(`tenant ${name} may not use context ${context}`, by('allowed_security_contexts'));
}

function contextRefusal(side: Side, snapshot: Snapshot, { tenant, context: name }: Question): Answer | null {
  if (visible(snapshot.contexts, tenant, name) !== undefined) return null;
  const own = { kind: 'SecurityContext', tenant, name } as const;
  return refused(absent(side, side.verdicts.has(keyOf(own)) ? own : { ...own, tenant: null }, tenant));
}

/** Of a few, all; of many, none. */
function namesOf(seen: readonly Identity[]): string {
  const names = [...new Set(seen.map(({ name }) => name))].sort();
  return names.length === 0 || names.length > 10
    ? ''
    : ` (${names.length === 1 ? 'the only one is' : 'there are'} ${andList(names)})`;
}

/** Why something is not in force; `asker`: the tenant of the caller. */
function absent({ verdicts }: Side, identity: Identity, asker: string | null): string {
  const { kind, name } = identity;
  const verdict = verdicts.get(keyOf(identity));
  if (verdict === undefined) {
    const others = [...verdicts.values()].flatMap((one) =>
      one.identity.kind === kind ? [one.identity] : [],
    );
    const owner = others.find((one) => one.name === name)?.tenant ?? null;
    if (owner !== null) return `the ${kind} ${name} is for callers of tenant ${owner} alone`;
    const seen = others.filter((one) => one.tenant === null || one.tenant === asker);
    const near = suggest(
      name,
      seen.map((one) => one.name),
    );
    const hint = near === null ? namesOf(seen) : ` (did you mean ${near}?)`;
    return `there is no ${kind} ${name}${hint}`;
  }
  const error = verdict.diagnostics.find(({ severity }) => severity === 'error');
  return `the ${kind} ${name} is not valid${error === undefined ? '' : `: ${formatDiagnostic(error)}`}`;
}

function refused(reason: string, rule: PlacedRule | null = null): Answer {
  const { code } = ERRORS.POLICY_TOOL_NOT_ALLOWED;
  const tried = rule === null ? [] : [rule];
  return { allowed: false, code, name: 'POLICY_TOOL_NOT_ALLOWED', reason, rule, tried, problems: [] };
}

function problemsOf(
  tool: AnyTool | undefined,
  question: Question,
  context: SecurityContext,
  judged: JudgedCli | null,
  names: readonly string[],
): Problem[] {
  const { tool: name, arguments: args } = question;
  if (tool === undefined) {
    const near = suggest(name, names);
    const hint = near === null ? '' : ` (did you mean ${near}?)`;
    return [problem('TOOL_NOT_FOUND', `there is no tool ${name}${hint}`)];
  }
  if (tool.kind === 'unavailable') return [problem('TOOL_UNAVAILABLE', tool.reason)];
  if (tool.kind === 'cli') return wordProblems(judged);
  const problems = tool.validate(args).map((message) => problem('INVALID_ARGUMENTS', message));
  return tool.kind === 'explorer' && problems.length === 0
    ? explorationProblems(tool, question, context)
    : problems;
}

function problem(name: ErrorName, message: string, rule: string | null = null): Problem {
  return { code: ERRORS[name].code, name, message, rule };
}

/** What the manifest of a CliTool says to the words of a call. */
function wordProblems(judged: JudgedCli | null): Problem[] {
  if (judged === null || 'invocation' in judged) return [];
  return [problem('INVALID_ARGUMENTS', judged.problem.message, judged.problem.rule)];
}

/** The limits of the ApiSpec, and what its document knows. */
function explorationProblems(
  tool: ExplorerTool,
  { tenant, arguments: args }: Question,
  context: SecurityContext,
): Problem[] {
  try {
    prepareExploration(tool, tenant, args, (command) => permitsCommand(context, tool.name, command));
    return [];
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return [problem(error.name, error.message)];
  }
}

/** Of the tools that a tenant sees. */
function toolNames({ tools }: Snapshot, tenant: string | null): string[] {
  const seen = [...tools.values()].filter((tool) => tool.tenant === null || tool.tenant === tenant);
  return seen.map(({ name }) => name);
}

function outcome(
  decision: Decision,
  judged: JudgedCli | null,
): Pick<Answer, 'allowed' | 'code' | 'name' | 'reason'> {
  if (!decision.allow) {
    const { error, reason } = decision;
    const [refused] = namesNoPath(decision, judged) ? wordProblems(judged) : [];
    if (refused !== undefined) {
      return { allowed: false, code: refused.code, name: refused.name, reason: refused.message };
    }
    return { allowed: false, code: ERRORS[error].code, name: error, reason };
  }
  const { index, tool_pattern } = decision.capability;
  const reason = `capabilities[${index}] (${tool_pattern}) allows this call`;
  return { allowed: true, code: null, name: null, reason };
}

/** As `decide` has it: words that the manifest refuses name no paths, and that is what is to be mended. */
function namesNoPath(decision: Decision, judged: JudgedCli | null): boolean {
  return (
    !decision.allow && decision.error === 'POLICY_PATH_NOT_ALLOWED' && judged !== null && 'problem' in judged
  );
}

function decidingRule(manifest: Manifest, decision: Decision, tried: readonly PlacedRule[]): PlacedRule {
  const rule = decision.allow ? `capabilities[${decision.capability.index}].tool_pattern` : decision.rule;
  const known = tried.findLast((one) => one.rule === rule);
  return (
    known ?? place(manifest, { rule, outcome: 'not_matched', detail: decision.allow ? '' : decision.reason })
  );
}

function manifestOf({ verdicts }: Side, identity: Identity): Manifest | null {
  return verdicts.get(keyOf(identity))?.applied?.manifest ?? null;
}

/** `capabilities[2].path_allowlist` as the pointer `/spec/capabilities/2/path_allowlist`, and where that is. */
function place(manifest: Manifest, rule: TriedRule): PlacedRule {
  const pointer = `/spec/${rule.rule.replaceAll(/\[(\d+)\]/g, '/$1').replaceAll('.', '/')}`;
  return { ...rule, file: manifest.file, ...locate(manifest.document, pointer) };
}

function textOf(answer: Answer, all: boolean): string {
  const [problem] = answer.problems;
  const head = !answer.allowed
    ? `denied: ${answer.code} ${answer.name}`
    : problem === undefined
      ? 'allowed'
      : `allowed by policy, but refused: ${problemLine(problem)}`;
  const lines = [head, `  ${answer.reason}`];
  if (answer.rule !== null) lines.push(`  ${whereOf(answer.rule)} ${answer.rule.rule}`);
  lines.push(...answer.problems.slice(1).map((one) => `  also ${problemLine(one)}`));
  if (all && answer.tried.length > 0) lines.push('rules tried, in order:', ...answer.tried.map(triedLine));
  return lines.join('\n');
}

function problemLine({ code, name, message, rule }: Problem): string {
  return `${code} ${name}: ${message}${rule === null ? '' : ` (${rule})`}`;
}

function triedLine(rule: PlacedRule): string {
  const detail = rule.detail === '' ? '' : `, ${rule.detail}`;
  return `  ${whereOf(rule)} ${rule.rule}: ${rule.outcome.replace('_', ' ')}${detail}`;
}

function whereOf({ file, line, column }: PlacedRule): string {
  return `${file}:${line}:${column}`;
}
