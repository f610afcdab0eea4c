/** Compiles the statements of a template text: fixed text, expressions, and the blocks if, unless, each, with. */
import { compileExpression, compileMustache, type Evaluate, type Scope } from './template-expression.ts';
import { type Frame, fail, spend, type Turn } from './template-frame.ts';
import { holds } from './template-helpers.ts';
import type { Place } from './template-json.ts';
import type { Leaf } from './template-leaf.ts';
import type { Program, Statement } from './template-parse.ts';

export type Write = (frame: Frame) => string;

/** A block whose program is the value's, once, many times or not at all. */
type BlockKind = 'if' | 'unless' | 'each' | 'with';

const BLOCKS: readonly BlockKind[] = ['if', 'unless', 'each', 'with'];

const SILENT: Write = () => '';

/** The text of these statements. What is wrong with them is reported to the leaf. */
export function compileStatements(
  statements: readonly Statement[],
  scope: Scope | null,
  leaf: Leaf,
  place: Place,
): Write {
  const writes = statements.map((statement) => compileStatement(statement, scope, leaf, place));
  return (frame) => {
    let text = '';
    for (const write of writes) text += write(frame);
    return text;
  };
}

function compileStatement(statement: Statement, scope: Scope | null, leaf: Leaf, place: Place): Write {
  switch (statement.type) {
    case 'CommentStatement':
      return SILENT;
    case 'ContentStatement':
      return compileContent(statement as hbs.AST.ContentStatement, leaf, place);
    case 'MustacheStatement':
      return compileInsertion(statement as hbs.AST.MustacheStatement, scope, leaf, place);
    case 'BlockStatement':
      return compileBlock(statement as hbs.AST.BlockStatement, scope, leaf, place);
    default:
      leaf.report(statement, 'partials and decorators are not available; write what they would give');
      return SILENT;
  }
}

function compileContent(content: hbs.AST.ContentStatement, leaf: Leaf, place: Place): Write {
  const text = content.value;
  const problem = place.pass(text);
  if (problem !== null) leaf.report(content, problem);
  return (frame) => {
    spend(frame, text.length);
    return text;
  };
}

function compileInsertion(
  mustache: hbs.AST.MustacheStatement,
  scope: Scope | null,
  leaf: Leaf,
  place: Place,
): Write {
  const evaluate = compileMustache(mustache, scope, leaf);
  const insert = place.insert();
  if (typeof insert !== 'function') {
    leaf.report(mustache, insert.problem);
    return SILENT;
  }
  return (frame) => {
    const text = insert(evaluate(frame));
    spend(frame, text.length);
    return text;
  };
}

function compileBlock(block: hbs.AST.BlockStatement, scope: Scope | null, leaf: Leaf, place: Place): Write {
  const { original } = block.path;
  const kind = BLOCKS.find((known) => known === original);
  const isRaw = Object.keys(block.openStrip).length === 0;
  if (kind === undefined || isRaw) {
    const message = `there is no block ${original}; blocks are {{#if}}, {{#unless}}, {{#each}} and {{#with}}`;
    leaf.report(block, message, { word: original, known: BLOCKS });
    return SILENT;
  }
  checkBlock(block, kind, leaf);
  const subject = block.params[0];
  const evaluate = subject === undefined ? () => undefined : compileExpression(subject, scope, leaf);
  const inner = kind === 'each' || kind === 'with' ? innerScope(block, kind, scope) : scope;
  place.openBlock();
  const before = place.mark();
  const branch = (program: Program | undefined, names: Scope | null): Write => {
    const write = program === undefined ? SILENT : compileStatements(program.body, names, leaf, place);
    if (place.mark() !== before) {
      leaf.report(
        block,
        'a block must begin and end at the same place: within one string, or outside strings',
      );
    }
    return write;
  };
  // Handlebars leaves the program out of an inverse block.
  const body = branch(block.program as Program | undefined, inner);
  const otherwise = branch(block.inverse as Program | undefined, scope);
  return writeBlock(kind, evaluate, body, otherwise);
}

function checkBlock(block: hbs.AST.BlockStatement, kind: BlockKind, leaf: Leaf): void {
  if (block.params.length !== 1) leaf.report(block, `${kind} takes one value, as in {{#${kind} input.x}}`);
  const pair = block.hash?.pairs[0];
  if (pair !== undefined) leaf.report(pair, `${kind} takes no named arguments such as ${pair.key}=`);
  const names = block.program?.blockParams ?? [];
  const most = { if: 0, unless: 0, each: 2, with: 1 }[kind];
  if (names.length > most) leaf.report(block, `${kind} gives ${most} names after as`);
  const taken = names.find((name) => name === 'input' || name === 'steps' || name === leaf.item);
  if (taken !== undefined) leaf.report(block, `${taken} already has a meaning; give the value another name`);
}

function innerScope(block: hbs.AST.BlockStatement, kind: 'each' | 'with', outer: Scope | null): Scope {
  const depth = outer === null ? 0 : outer.depth + 1;
  return { outer, block: kind, depth, names: block.program?.blockParams ?? [] };
}

function writeBlock(kind: BlockKind, evaluate: Evaluate, body: Write, otherwise: Write): Write {
  switch (kind) {
    case 'if':
      return (frame) => (holds(evaluate(frame)) ? body(frame) : otherwise(frame));
    case 'unless':
      return (frame) => (holds(evaluate(frame)) ? otherwise(frame) : body(frame));
    case 'with':
      return (frame) => {
        const value = evaluate(frame);
        if (!holds(value)) return otherwise(frame);
        return writeTurn(frame, { value, key: 0, index: 0, last: true }, body);
      };
    case 'each':
      return (frame) => {
        const value = evaluate(frame);
        return (holds(value) ? writeTurns(frame, value, body) : null) ?? otherwise(frame);
      };
  }
}

function writeTurn(frame: Frame, turn: Turn, body: Write): string {
  frame.turns.push(turn);
  const text = body(frame);
  frame.turns.pop();
  return text;
}

/** One turn for each element of a list or member of an object; null when there is none. */
function writeTurns(frame: Frame, value: unknown, body: Write): string | null {
  if (typeof value !== 'object' || value === null) fail(frame, 'repeats a block for what is no list');
  const names = Array.isArray(value) ? null : Object.keys(value);
  const turns = names?.length ?? (value as readonly unknown[]).length;
  let text = '';
  for (let index = 0; index < turns; index++) {
    spend(frame, 1);
    const key = names === null ? index : names[index]!;
    text += writeTurn(
      frame,
      { value: value[key as keyof object], key, index, last: index === turns - 1 },
      body,
    );
  }
  return turns === 0 ? null : text;
}
