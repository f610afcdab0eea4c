/** Values for the parameters and bodies of a document, made from its schemas; the same ones in every run. */

export type Json = Record<string, unknown>;

/** Reads a document in the plainest way, for the side of the wire that shares no code with the gateway. */
export function deref(document: unknown, value: unknown): Json {
  let at = value as Json | undefined;
  while (at !== undefined && typeof at.$ref === 'string') {
    const path = decodeURIComponent(at.$ref).split('/').slice(1);
    at = path.reduce(
      (node, key) => node?.[key.replaceAll('~1', '/').replaceAll('~0', '~')] as Json | undefined,
      document as Json | undefined,
    );
  }
  return at ?? {};
}

export function createRandom(seed: number) {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return {
    pick: <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!,
    word: (alphabet: string): string =>
      `v${Array.from({ length: 3 }, () => alphabet[Math.floor(next() * alphabet.length)]).join('')}`,
  };
}

export type Random = ReturnType<typeof createRandom>;

const ALPHABETS: Readonly<Record<string, string>> = {
  path: 'ab :?#[]@!$&\'()*+;"<>^{}é☃',
  query: 'ab /:?#[]@!$&\'()*+,;="<>^{}%é☃\n',
  header: 'ab:?#@!$&\'()*+;"<>é',
  cookie: 'ab /:?#@!$&;,=%é☃',
  // A form that joins texts by a delimiter cannot hold the delimiter.
  styled: 'ab/&=+;"é☃',
  body: 'ab /&=+%;"\\é☃\r\n',
};

export function kindOf(document: unknown, schema: unknown): 'text' | 'list' | 'map' {
  const { type, properties, items } = deref(document, schema);
  if (type === 'array' || items !== undefined) return 'list';
  return type === 'object' || properties !== undefined ? 'map' : 'text';
}

/** A value of the schema's kind, with leaves that are texts, numbers and booleans. */
export function generate(
  document: unknown,
  schema: unknown,
  place: string,
  random: Random,
  depth = 0,
): unknown {
  const known = deref(document, schema);
  const leaf = () => {
    const type = [known.type].flat()[0];
    if (type === 'integer') return random.pick([0, 1, -5, 100]);
    if (type === 'number') return random.pick([0.5, -1, 1e21]);
    if (type === 'boolean') return random.pick([true, false]);
    return random.word(ALPHABETS[place]!);
  };
  const deeper = depth === 0 || place === 'body';
  const kind = depth > 3 || !deeper ? 'text' : kindOf(document, known);
  if (kind === 'list') {
    const item = () => generate(document, known.items ?? {}, place, random, depth + 1);
    return random.pick([1, 2]) === 1 ? [item()] : [item(), item()];
  }
  if (kind === 'map') {
    const properties = Object.entries((known.properties ?? { a: {}, b: {} }) as Json).slice(0, 4);
    return Object.fromEntries(
      properties.map(([key, one]) => [key, generate(document, one, place, random, depth + 1)]),
    );
  }
  return leaf();
}
