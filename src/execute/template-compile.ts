/** Compiles the two kinds of template, and notes what they refer to and what is wrong with them. */
import { GatewayError } from '../errors.ts';
import type { Json, TemplateContext } from '../snapshot/snapshot.ts';
import { compileMustache, type Evaluate } from './template-expression.ts';
import type { Effort, Source } from './template-frame.ts';
import { createJsonPlace, PLAIN } from './template-json.ts';
import { type Findings, type Leaf, readLeaf, type TemplateOptions } from './template-leaf.ts';
import { compileStatements } from './template-text.ts';

export type Render = (context: TemplateContext, effort: Effort) => unknown;

/** A value whose texts are templates; null: it is the same in every rendering. */
export function compileStructure(
  value: Json,
  pointer: string,
  options: TemplateOptions,
  findings: Findings,
): Render | null {
  if (typeof value === 'string') {
    return value.includes('{{') ? compileLeaf(readLeaf(value, pointer, options, findings)) : null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const parts = Object.entries(value).map(([key, part]) => {
    const render = compileStructure(part, pointerTo(pointer, key), options, findings);
    return { key, render: render ?? (() => part), fixed: render === null };
  });
  if (parts.every(({ fixed }) => fixed)) return null;
  if (Array.isArray(value)) {
    return (context, effort) => parts.map(({ render }) => render(context, effort) ?? null);
  }
  return (context, effort) => {
    const members: [string, unknown][] = [];
    for (const { key, render } of parts) {
      const member = render(context, effort);
      if (member !== undefined) members.push([key, member]);
    }
    // Makes own members, also of one that is called __proto__.
    return Object.fromEntries(members);
  };
}

/** A text that is JSON once it is rendered. */
export function compileJsonText(text: string, options: TemplateOptions, findings: Findings): Render {
  const leaf = readLeaf(text, '', options, findings);
  const place = createJsonPlace();
  const write = compileStatements(leaf.statements, null, leaf, place);
  const unfit = findings.problems.length === 0 ? place.end() : null;
  if (unfit !== null) leaf.report(null, unfit);
  return renderLeaf(leaf, (frame) => parseJson(write(frame), frame.source));
}

function compileLeaf(leaf: Leaf): Render {
  const [only, ...more] = leaf.statements;
  const isExpression = only?.type === 'MustacheStatement' && more.length === 0;
  return renderLeaf(
    leaf,
    isExpression
      ? compileMustache(only as hbs.AST.MustacheStatement, null, leaf)
      : compileStatements(leaf.statements, null, leaf, PLAIN),
  );
}

function renderLeaf({ text, blame }: Leaf, evaluate: Evaluate): Render {
  const source: Source = { text, blame: blame() };
  return (context, effort) => evaluate({ source, context, turns: [], effort });
}

function parseJson(text: string, { blame }: Source): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new GatewayError(
      blame,
      'with these values the body_template gives no JSON; look at the commas and brackets around its blocks',
    );
  }
}

function pointerTo(parent: string, key: string): string {
  return `${parent}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
