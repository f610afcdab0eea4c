/**
 * The other side of the wire: reads parameters from a request as OpenAPI says, knowing nothing of the gateway's own
 * code. Leaves come out as texts.
 */

export interface Described {
  readonly name: string;
  readonly in: string;
  readonly style: string;
  readonly explode: boolean;
  /** What the schema says that the value is. */
  readonly kind: 'text' | 'list' | 'map' | 'json';
}

export type Read = string | Read[] | { [key: string]: Read };

const decode = decodeURIComponent;

/** A value with its leaves as texts, to compare with what was read. */
export function texts(value: unknown): Read {
  if (Array.isArray(value)) return value.map(texts);
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, texts(item)]));
}

/** The raw values in a path; each name of `template` must be a whole segment, or stand between fixed texts. */
export function splitPath(template: string, path: string): Record<string, string> {
  const names: string[] = [];
  const pattern = template.split(/\{([^{}]+)\}/).map((part, index) => {
    if (index % 2 === 0) return encodeURI(part).replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    names.push(part);
    return '([^/]*)';
  });
  const match = new RegExp(`^${pattern.join('')}$`).exec(path);
  if (match === null) throw new Error(`${path} is not of the shape ${template}`);
  return Object.fromEntries(names.map((name, index) => [name, match[index + 1]!]));
}

export function readPathValue(one: Described, raw: string): Read {
  const { style, explode, kind, name } = one;
  const prefix = { simple: '', label: '.', matrix: ';' }[style]!;
  if (!raw.startsWith(prefix)) throw new Error(`${raw} does not begin with ${prefix}`);
  const bare = raw.slice(prefix.length);
  const ownName = style === 'matrix' && !(explode && kind === 'map');
  const separator = explode && style !== 'simple' ? prefix : ',';
  const parts = kind === 'text' || kind === 'json' ? [bare] : bare.split(separator);
  const values = parts.map((part, index) => {
    const named = ownName && (explode || index === 0);
    if (named && !part.startsWith(`${encodeURIComponent(name)}=`))
      throw new Error(`${part} is not of ${name}`);
    return named ? part.slice(part.indexOf('=') + 1) : part;
  });
  return assemble(one, values, decode);
}

export function readHeader(one: Described, text: string): Read {
  return assemble(one, one.kind === 'text' || one.kind === 'json' ? [text] : text.split(','), (part) => part);
}

/** Texts, lists or maps from their parts, in which keys and values come in turn or are joined by `=`. */
function assemble({ kind, explode }: Described, parts: string[], undo: (text: string) => string): Read {
  if (kind === 'json') return texts(JSON.parse(undo(parts[0]!)));
  if (kind === 'text') return undo(parts[0]!);
  if (kind === 'list') return parts.map(undo);
  const flat = explode ? parts.flatMap((part) => part.split('=')) : parts;
  const pairs: [string, string][] = [];
  for (let at = 0; at < flat.length; at += 2) pairs.push([undo(flat[at]!), undo(flat[at + 1]!)]);
  return Object.fromEntries(pairs);
}

/** The parameters that a query, or the cookies, hold. What an exploded map brings in is what nobody else names. */
export function readPairs(
  described: readonly Described[],
  text: string,
  separator = '&',
): Record<string, Read> {
  const pairs =
    text === ''
      ? []
      : text.split(separator).map((pair) => {
          const at = pair.indexOf('=');
          return [decode(pair.slice(0, at)), pair.slice(at + 1)] as const;
        });
  const left = new Set(pairs);
  const read: [string, Read][] = [];
  const take = (wanted: (name: string) => boolean) => {
    const taken = [...left].filter(([name]) => wanted(name));
    for (const pair of taken) left.delete(pair);
    return taken;
  };
  const isFreeMap = (one: Described) => one.kind === 'map' && one.explode && one.style !== 'deepObject';
  for (const one of described.filter((each) => !isFreeMap(each))) {
    const { name } = one;
    if (one.style === 'deepObject') {
      const taken = take((given) => given === name || given.startsWith(`${name}[`));
      if (taken.length > 0) read.push([name, deep(name, taken)]);
      continue;
    }
    const taken = take((given) => given === name).map(([, value]) => value);
    if (taken.length === 0) continue;
    const delimiter = { spaceDelimited: '%20', pipeDelimited: '%7C' }[one.style] ?? ',';
    const isOne = one.kind === 'text' || one.kind === 'json';
    const parts = isOne || one.explode ? taken : taken[0]!.split(delimiter);
    read.push([name, assemble({ ...one, explode: false }, parts, decode)]);
  }
  for (const one of described.filter(isFreeMap)) {
    const taken = take(() => true);
    if (taken.length > 0)
      read.push([one.name, Object.fromEntries(taken.map(([key, value]) => [key, decode(value)]))]);
  }
  if (left.size > 0) throw new Error(`nobody asked for ${[...left].join(' ')}`);
  return Object.fromEntries(read);
}

function deep(name: string, pairs: readonly (readonly [string, string])[]): Read {
  if (pairs[0]![0] === name) return decode(pairs[0]![1]);
  const root: Record<string, Read> = {};
  for (const [key, value] of pairs) {
    const steps = [...key.slice(name.length).matchAll(/\[([^\]]*)\]/g)].map((match) => match[1]!);
    let at = root;
    for (const step of steps.slice(0, -1)) {
      at[step] ??= {};
      at = at[step] as Record<string, Read>;
    }
    at[steps.at(-1)!] = decode(value);
  }
  return listed(root);
}

/** Objects with the keys 0, 1, 2 are lists. */
function listed(value: Read): Read {
  if (typeof value !== 'object' || Array.isArray(value)) return value;
  const keys = Object.keys(value);
  const items = keys.map((key) => [key, listed(value[key]!)] as const);
  return keys.every((key, index) => key === String(index))
    ? items.map(([, item]) => item)
    : Object.fromEntries(items);
}
