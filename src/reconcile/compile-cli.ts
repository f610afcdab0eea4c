/** CliTool manifests -> tools of the snapshot. */
import type { Manifest } from '../manifest/manifest.ts';
import { pointerTo } from '../manifest/position.ts';
import { suggest } from '../manifest/suggest.ts';
import { orList, quoted } from '../manifest/words.ts';
import { compileValuePattern } from '../policy/match.ts';
import type { CliArguments, CliInject, CliTool, FlagRule, Judge, WordPattern } from '../snapshot/snapshot.ts';
import { cliInputSchema } from './cli-input-schema.ts';
import { credentialOf } from './compile-api.ts';
import type { Problems } from './problems.ts';

type Spec = Manifest<'CliTool'>['spec'];
type WrittenFlag = NonNullable<NonNullable<Spec['args']>['flags']>[string][string];

const UNITS: Readonly<Record<string, number>> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };
/** Engines refuse less than 6 MiB. */
const LEAST_MEMORY = 6 * 2 ** 20;

/** `judge`: the one that the manifest names; null: it names none, or none that is valid. */
export function compileCliTool(
  { spec, name, tenant }: Manifest<'CliTool'>,
  problems: Problems,
  judge: Judge | null,
): CliTool {
  const rules = compileArguments(spec, problems);
  const { allowed_subcommands, stdin = false } = spec;
  if (spec.semantic_judge !== undefined && spec.require_semantic_judge !== true) {
    const hint = 'set require_semantic_judge: true';
    problems.warn('/spec/semantic_judge', 'unused-judge', 'this judge is never asked', hint);
  }
  if (stdin && spec.inject?.stdin !== undefined) {
    problems.error(
      '/spec/stdin',
      'two-inputs',
      'the credential is what the command reads from standard input',
    );
  }
  if ((spec.prewarm ?? 0) > 0 && spec.inject?.file !== undefined) {
    const hint = 'leave prewarm out, or inject into the environment';
    problems.error(
      '/spec/prewarm',
      'prewarm-file',
      'a credential file is made for one call, a waiting container before it',
      hint,
    );
  }
  const { memory = '256Mi', cpus = 1, pids = 64, open_files = 1_024 } = spec.resources ?? {};
  return {
    kind: 'cli',
    name,
    tenant,
    description: spec.description,
    input_schema: cliInputSchema({ allowed_subcommands, arguments: rules, stdin }),
    tags: spec.tags ?? [],
    category: spec.category ?? null,
    annotations: spec.annotations ?? {},
    image: spec.image,
    pull_policy: spec.pull_policy ?? 'if_not_present',
    prepull: spec.prepull ?? false,
    registry_credential: credentialOf(spec.registry_credential),
    command: spec.command,
    allowed_subcommands,
    arguments: rules,
    stdin,
    require_judge: spec.require_semantic_judge ?? false,
    judge,
    timeout_ms: (spec.default_timeout_seconds ?? 30) * 1_000,
    mounts: (spec.mounts ?? []).map((mount) => ({ read_only: true, ...mount })),
    workdir: spec.workdir ?? null,
    env: spec.env ?? {},
    credential: credentialOf(spec.credential),
    inject: injectOf(spec.inject),
    network: spec.network === undefined || spec.network === 'none' ? null : spec.network,
    resources: { memory_bytes: memoryOf(memory, problems), cpus, pids, open_files },
    user: spec.user ?? '65534:65534',
    runtime: spec.runtime ?? null,
    max_output_bytes: spec.max_output_bytes ?? 1_048_576,
    prewarm: spec.prewarm ?? 0,
    prewarm_idle: spec.prewarm_idle ?? ['sleep', '2147483647'],
  };
}

export function compileJudge({ spec, name }: Manifest<'SemanticJudge'>): Judge {
  return {
    name,
    url: new URL(spec.url),
    protocol: spec.protocol ?? 'http_json',
    model: spec.model ?? null,
    instructions: spec.instructions ?? null,
    timeout_ms: spec.timeout_ms ?? 5_000,
    credential: credentialOf(spec.credential),
  };
}

function compileArguments({ args, allowed_subcommands }: Spec, problems: Problems): CliArguments {
  const flags = new Map<string, ReadonlyMap<string, FlagRule>>();
  for (const [subcommand, written] of Object.entries(args?.flags ?? {})) {
    const pointer = pointerTo('/spec/args/flags', subcommand);
    if (!allowed_subcommands.includes(subcommand))
      refuseSubcommand(subcommand, pointer, allowed_subcommands, problems);
    const rules = Object.entries(written).map(
      ([flag, rule]) => [flag, compileFlag(rule, pointerTo(pointer, flag), problems)] as const,
    );
    flags.set(subcommand, new Map(rules));
  }
  const { positionals } = args ?? {};
  const pattern =
    positionals && compilePattern(positionals.pattern, '/spec/args/positionals/pattern', problems);
  return {
    flags,
    positionals: pattern ? { pattern, type: positionals.type ?? 'string', max: positionals.max ?? 16 } : null,
    deny: (args?.deny ?? []).flatMap((text, index) => {
      const matches = problems.attempt(pointerTo('/spec/args/deny', index), 'bad-pattern', () =>
        compileValuePattern(text),
      );
      return matches === null ? [] : [{ text, matches }];
    }),
    max_count: args?.max_count ?? 64,
  };
}

/** Flags of a subcommand that nobody may call are a mistyped name. */
function refuseSubcommand(
  subcommand: string,
  pointer: string,
  allowed: readonly string[],
  problems: Problems,
): void {
  const near = suggest(subcommand, allowed);
  const hint = near === null ? `they are ${orList(allowed.slice(0, 10))}` : `did you mean ${near}?`;
  const message = `allowed_subcommands does not list ${quoted(subcommand)}`;
  problems.error(pointer, 'unknown-subcommand', message, hint, 'key');
}

function compileFlag(written: WrittenFlag, pointer: string, problems: Problems): FlagRule {
  const { type = 'string', pattern, enum: values } = written;
  if (type === 'boolean' && (pattern !== undefined || values !== undefined)) {
    const at = `${pointer}/${pattern === undefined ? 'enum' : 'pattern'}`;
    problems.error(at, 'value-of-boolean', 'a boolean flag takes no value that this could hold for');
  }
  return {
    type,
    pattern: pattern === undefined ? null : compilePattern(pattern, `${pointer}/pattern`, problems),
    enum: values?.map(String) ?? null,
  };
}

function compilePattern(text: string, pointer: string, problems: Problems): WordPattern | null {
  return problems.attempt(pointer, 'bad-pattern', () => {
    // Alone first: what it is put into must not mend it, as `)(` would be.
    regularExpression(text);
    const whole = regularExpression(`^(?:${text})$`);
    return { text, fits: (word) => whole.test(word) };
  });
}

function regularExpression(text: string): RegExp {
  try {
    return new RegExp(text, 'u');
  } catch (error) {
    const why = (error as SyntaxError).message.replace(/^.*: /, '');
    throw new Error(`this is no regular expression: ${why}`);
  }
}

function memoryOf(text: string, problems: Problems): number {
  const [, number = '0', unit = ''] = /^(\d+)(Ki|Mi|Gi)?$/.exec(text) ?? [];
  const bytes = Number(number) * (UNITS[unit] ?? 1);
  if (bytes < LEAST_MEMORY || !Number.isSafeInteger(bytes)) {
    const hint = 'no engine runs a container with less than 6Mi; did you leave out the unit?';
    problems.error(
      '/spec/resources/memory',
      'bad-memory',
      `${text} is no amount of memory for a container`,
      hint,
    );
  }
  return bytes;
}

function injectOf(written: Spec['inject']): CliInject | null {
  if (written?.env !== undefined) return { kind: 'env', fields: written.env };
  if (written?.file !== undefined) return { kind: 'file', ...written.file };
  return written?.stdin === undefined ? null : { kind: 'stdin', ...written.stdin };
}
