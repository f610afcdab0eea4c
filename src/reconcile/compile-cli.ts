/** CliTool manifests -> tools of the snapshot. */
import type { Manifest } from '../manifest/manifest.ts';
import { pointerTo } from '../manifest/position.ts';
import { suggest } from '../manifest/suggest.ts';
import { orList, quoted } from '../manifest/words.ts';
import type { CliTool } from '../snapshot/snapshot.ts';
import type { Problems } from './problems.ts';

type Spec = Manifest<'CliTool'>['spec'];

export function compileCliTool({ spec, name, tenant }: Manifest<'CliTool'>, problems: Problems): CliTool {
  checkFlags(spec, problems);
  if (spec.args?.positionals !== undefined)
    checkPattern(spec.args.positionals.pattern, '/spec/args/positionals/pattern', problems);
  return {
    kind: 'cli',
    name,
    tenant,
    description: spec.description,
    input_schema: { type: 'object' },
    tags: spec.tags ?? [],
    category: spec.category ?? null,
    annotations: spec.annotations ?? {},
    image: spec.image,
    command: spec.command,
    allowed_subcommands: spec.allowed_subcommands,
  };
}

/** Flags of a subcommand that nobody may call are a mistyped name. */
function checkFlags({ args, allowed_subcommands }: Spec, problems: Problems): void {
  for (const [subcommand, flags] of Object.entries(args?.flags ?? {})) {
    const pointer = pointerTo('/spec/args/flags', subcommand);
    if (!allowed_subcommands.includes(subcommand)) {
      const hint = (): string => {
        const near = suggest(subcommand, allowed_subcommands);
        return near === null
          ? `they are ${orList(allowed_subcommands.slice(0, 10))}`
          : `did you mean ${near}?`;
      };
      const message = `allowed_subcommands does not list ${quoted(subcommand)}`;
      problems.error(pointer, 'unknown-subcommand', message, hint, 'key');
    }
    for (const [flag, { pattern }] of Object.entries(flags)) {
      if (pattern !== undefined) checkPattern(pattern, `${pointerTo(pointer, flag)}/pattern`, problems);
    }
  }
}

function checkPattern(pattern: string, pointer: string, problems: Problems): void {
  problems.attempt(pointer, 'bad-pattern', () => {
    try {
      return new RegExp(pattern, 'u');
    } catch (error) {
      const why = (error as SyntaxError).message.replace(/^.*: /, '');
      throw new Error(`this is no regular expression: ${why}`);
    }
  });
}
