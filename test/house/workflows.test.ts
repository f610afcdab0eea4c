/** docs/guides/workflows.md: its examples are one directory that is valid, whose tests pass, and that has every field. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCli } from '../cli/run.ts';
import { directory } from '../manifest/directory.ts';
import { ROOT, readText } from './page.ts';

const page = readText('docs/guides/workflows.md');
const files = Object.fromEntries(
  [...page.matchAll(/^```yaml\n# (\S+)\n([\s\S]*?)^```$/gm)].map(([, path, text]) => [path!, text!]),
);

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly definitions?: Readonly<Record<string, Schema>>;
}

test('every example is of the directory', () => {
  expect(Object.keys(files).length).toBeGreaterThan(6);
  expect(page.match(/^```yaml$/gm)).toHaveLength(Object.keys(files).length);
});

test('the directory is valid, and its tests pass', async () => {
  const dir = directory(files);
  const valid = await runCli(['validate', dir]);
  expect(valid.out.replaceAll(dir, 'DIR')).toMatch(/0 errors, 0 warnings\n$/);
  const tested = await runCli(['test', dir]);
  expect(tested).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/, 0 failed\n$/) });
  const cases = parse(files['shop.test.yaml']!).spec.workflows as { tool: string }[];
  const tools = Object.entries(files).flatMap(([path, text]) =>
    path.startsWith('workflows/') ? [parse(text).metadata.name as string] : [],
  );
  expect(new Set(cases.map(({ tool }) => tool))).toEqual(new Set(tools));
});

test('every field of a workflow, its steps, retry, for_each and paginate has an example', () => {
  const schema: Schema = JSON.parse(readFileSync(new URL('schemas/ToolWorkflow.schema.json', ROOT), 'utf8'));
  const { ToolWorkflowSpec, Step, Retry } = schema.definitions!;
  const workflows = Object.entries(files)
    .filter(([path]) => path.startsWith('workflows/'))
    .map(([, text]) => parse(text).spec as Record<string, unknown>);
  const steps = workflows.flatMap(({ steps: own }) => own as Record<string, object>[]);
  const within = (name: string) => steps.flatMap((step) => step[name] ?? []);
  const shown = (values: readonly object[]) => new Set(values.flatMap((value) => Object.keys(value)));
  const named = (of: Schema | undefined) => Object.keys(of?.properties ?? {});
  expect([...shown(workflows)]).toEqual(expect.arrayContaining(named(ToolWorkflowSpec)));
  expect([...shown(steps)]).toEqual(expect.arrayContaining(named(Step)));
  expect([...shown(within('retry'))]).toEqual(expect.arrayContaining(named(Retry)));
  for (const field of ['for_each', 'paginate'])
    expect([...shown(within(field))]).toEqual(expect.arrayContaining(named(Step?.properties?.[field])));
});

test('its numbers are those of the schema', () => {
  const { Step, Retry, ToolWorkflowSpec } = JSON.parse(
    readFileSync(new URL('schemas/ToolWorkflow.schema.json', ROOT), 'utf8'),
  ).definitions;
  const { for_each, paginate } = Step.properties;
  const n = (value: number) => value.toLocaleString('en');
  const { max_items, concurrency } = for_each.properties;
  const { max_pages } = paginate.properties;
  const { attempts, backoff_ms, statuses, methods } = Retry.properties;
  for (const line of [
    `| steps of a workflow | ${ToolWorkflowSpec.properties.steps.maxItems} |`,
    `| ${n(max_items.default)} unless \`max_items\` says otherwise, ${n(max_items.maximum)} at most |`,
    `| ${concurrency.default} unless \`concurrency\` says otherwise, ${concurrency.maximum} at most |`,
    `| ${max_pages.default} unless \`max_pages\` says otherwise, ${n(max_pages.maximum)} at most |`,
    `| ${attempts.default} where there is \`retry\`, ${attempts.maximum} at most |`,
    `| ${backoff_ms.default} ms at first unless \`backoff_ms\` says otherwise, ${backoff_ms.maximum / 1000} s at most;`,
    `sends a request again after ${statuses.default.slice(0, -1).join(', ')} and ${statuses.default.at(-1)},`,
    `Only ${methods.default.slice(0, -1).join(', ')} and ${methods.default.at(-1)} are sent again`,
  ])
    expect(page).toContain(line);
});
