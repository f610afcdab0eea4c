/**
 * A value as JSON on its way between threads, in pieces that are each parsed in a moment. A structured clone takes
 * three times as long to read, all of it at once.
 */
import type { Pace } from '../manifest/pace.ts';

/** Members of the list or object at this path, in their order; several pieces may be of one. */
export interface Piece {
  readonly path: readonly (string | number)[];
  readonly json: string;
}

type Container = unknown[] | Record<string, unknown>;

/** Characters; a megabyte is parsed in 10 ms. */
const PIECE = 256 * 1024;

/** The value must be JSON, without a member `__proto__`. `most`: characters of a piece, if its members allow it. */
export function cut(value: object, most = PIECE): Piece[] {
  const pieces: Piece[] = [];
  cutContainer(value as Container, [], most, pieces);
  return pieces;
}

function cutContainer(container: Container, path: Piece['path'], most: number, pieces: Piece[]): void {
  const isList = Array.isArray(container);
  const large: [string | number, Container][] = [];
  let members: string[] = [];
  let length = 0;
  const flush = (): void => {
    const inside = members.join(',');
    pieces.push({ path, json: isList ? `[${inside}]` : `{${inside}}` });
    members = [];
    length = 0;
  };
  for (const [name, member] of Object.entries(container)) {
    let json = JSON.stringify(member);
    if (json.length > most && typeof member === 'object' && member !== null) {
      // It has its place, and is filled later.
      json = Array.isArray(member) ? '[]' : '{}';
      large.push([isList ? Number(name) : name, member as Container]);
    }
    members.push(isList ? json : `${JSON.stringify(name)}:${json}`);
    length += json.length;
    if (length > most) flush();
  }
  if (length > 0 || pieces.length === 0) flush();
  for (const [name, member] of large) cutContainer(member, [...path, name], most, pieces);
}

/** The value, frozen. */
export async function join(pieces: readonly Piece[], breathe: Pace): Promise<unknown> {
  const [first, ...rest] = pieces;
  const root: Container = JSON.parse(first!.json);
  for (const { path, json } of rest) {
    await breathe();
    const members: Container = JSON.parse(json);
    const container = path.reduce<Container>((at, name) => at[name as keyof Container] as Container, root);
    if (Array.isArray(container)) for (const member of members as unknown[]) container.push(member);
    else Object.assign(container, members);
  }
  await breathe();
  await freeze(root, breathe);
  return root;
}

/** Nodes that are frozen between two looks at the clock. */
const STRIDE = 1_000;

async function freeze(root: Container, breathe: Pace): Promise<void> {
  const open: object[] = [root];
  for (let count = 1; open.length > 0; count += 1) {
    const container = Object.freeze(open.pop()!);
    for (const member of Object.values(container)) {
      if (typeof member === 'object' && member !== null) open.push(member);
    }
    if (count % STRIDE === 0) await breathe();
  }
}
