/** What people, programs and accidents do to a directory of manifests: each edit makes one tree from another. */
import { posix } from 'node:path';
import type { Random } from './random.ts';
import { type Doc, doc, type Entry, fileOf, type Kind, OPERATIONS, type Tree } from './tree.ts';

/** Two files that every edit changes together: a call that met one of each version would tell. */
export const PAIR = { name: 'pair', tool: 'pair.tool', iss: 'https://pair.example' };
const pairOf = (tag: string): [string, Entry][] => [
  [
    'pair-rights.yaml',
    fileOf(doc('SecurityContext', PAIR.name, { tag }), doc('TokenIssuer', PAIR.name, { tag })),
  ],
  [
    'pair-tool.yaml',
    fileOf(
      doc('ApiSpec', PAIR.name, { tag, document: 'pair.openapi.yaml' }),
      doc('ToolWorkflow', PAIR.tool, { tag, needs: PAIR.name }),
    ),
  ],
];

/** The working set that a run begins with. */
export const FIRST: Tree = new Map<string, Entry>([
  ['crm.openapi.yaml', { is: 'document', tag: 'd0', operations: OPERATIONS }],
  ['apis/crm.yaml', fileOf(doc('ApiSpec', 'crm', { document: '../crm.openapi.yaml' }))],
  ['find.yaml', fileOf(doc('ToolWorkflow', 'find', { needs: 'crm' }))],
  ['get.yaml', fileOf(doc('ToolWorkflow', 'get', { needs: 'crm', operation: 'getMore' }))],
  ['cli/kubectl.yaml', fileOf(doc('CliTool', 'kubectl', { needs: 'house' }))],
  ['cli/judge.yaml', fileOf(doc('SemanticJudge', 'house'))],
  ['cli/git.yaml', fileOf(doc('CliTool', 'git'))],
  ['rights/all.yaml', fileOf(doc('SecurityContext', 'all'), doc('SecurityContext', 'some'))],
  ['rights/issuers.yaml', fileOf(doc('TokenIssuer', 'ci'), doc('TokenIssuer', 'people'))],
  ['rights/tenants.yaml', fileOf(doc('Tenant', 'acme'), doc('Tenant', 'beta'))],
  [
    'team/billing.yaml',
    fileOf(
      doc('ToolWorkflow', 'billing', { needs: 'pay' }),
      doc('ApiSpec', 'pay', { document: 'pay.openapi.yaml' }),
    ),
  ],
  ['team/pay.openapi.yaml', { is: 'document', tag: 'd0', operations: OPERATIONS }],
  ['team/more.yaml', fileOf(doc('SecurityContext', 'team'), doc('CliTool', 'terraform'))],
  ['tenants/acme/own.yaml', fileOf(doc('ToolWorkflow', 'own', { needs: 'crm' }))],
  ['tenants/acme/rights.yaml', fileOf(doc('SecurityContext', 'all', { tenant: 'acme' }))],
  ['pair.openapi.yaml', { is: 'document', tag: 'd0', operations: OPERATIONS }],
  ...pairOf('v0'),
]);

export interface Edited {
  readonly tree: Tree;
  /** For the list of steps of a run that failed. */
  readonly what: string;
}

interface Desk {
  readonly tree: Tree;
  readonly random: Random;
  /** Of this edit, and of no other. */
  readonly tag: string;
  /** Trees of before, the last one last: what a revert goes back to. */
  readonly past: readonly Tree[];
  /** As status tells it. */
  readonly revision: string | null;
  readonly held: boolean;
}

type Edit = (desk: Desk) => Edited | null;

const NAMES: Readonly<Record<Kind, readonly string[]>> = {
  ApiSpec: ['crm', 'pay', 'extra'],
  CliTool: ['kubectl', 'git', 'terraform', 'find', 'own'],
  SecurityContext: ['all', 'some', 'team', 'more'],
  SemanticJudge: ['house', 'strict'],
  Tenant: ['acme', 'beta', 'gamma'],
  TokenIssuer: ['ci', 'people', 'robots'],
  ToolWorkflow: ['find', 'get', 'billing', 'own', 'kubectl'],
};
const KINDS = Object.keys(NAMES) as Kind[];
const PLACES = ['', 'team/', 'deep/er/', 'tenants/acme/', 'tenants/beta/'];
const RIGHTS: readonly Kind[] = ['SecurityContext', 'TokenIssuer', 'Tenant'];

const change: Edit = ({ tree, random, tag }) => editDoc(tree, random, 'change', () => ({ tag }));

const breakOne: Edit = ({ tree, random, tag }) =>
  editDoc(tree, random, 'break', () => ({ tag, fault: random.pick(['schema', 'compile'] as const) }));

const breakRight: Edit = ({ tree, random, tag }) =>
  editDoc(
    tree,
    random,
    'break a right',
    () => ({ tag, fault: 'compile' }),
    ({ kind }) => RIGHTS.includes(kind),
  );

const mend: Edit = ({ tree, random, tag }) =>
  editDoc(
    tree,
    random,
    'mend',
    () => ({ tag, fault: null }),
    ({ fault }) => fault !== null,
  );

const suspend: Edit = ({ tree, random, tag }) =>
  editDoc(
    tree,
    random,
    'suspend',
    ({ suspended }) => ({ tag, suspended: !suspended }),
    ({ kind }) => kind === 'Tenant',
  );

const take: Edit = ({ tree, random, tag }) =>
  editDoc(
    tree,
    random,
    'take the iss of another',
    () => ({ tag, iss: random.pick(['https://ci.example', 'https://people.example']) }),
    ({ kind }) => kind === 'TokenIssuer',
  );

const needOther: Edit = ({ tree, random, tag }) =>
  editDoc(
    tree,
    random,
    'need something else',
    ({ kind }) => ({
      tag,
      operation: random.pick(OPERATIONS),
      needs:
        kind === 'CliTool'
          ? random.pick([null, ...NAMES.SemanticJudge])
          : random.pick([...NAMES.ApiSpec, 'gone']),
    }),
    ({ kind }) => kind === 'CliTool' || kind === 'ToolWorkflow',
  );

const renameOne: Edit = ({ tree, random }) =>
  editDoc(tree, random, 'rename', ({ kind }) => ({ name: random.pick(NAMES[kind]) }));

/** A right that is revoked, a tool that is no more. */
const removeOne: Edit = ({ tree, random }) => {
  const [path, docs] = pickFile(tree, random) ?? [];
  if (path === undefined || docs === undefined) return null;
  const at = random.below(docs.length);
  const rest = docs.filter((_, index) => index !== at);
  const what = `remove ${nameOf(docs[at]!)} from ${path}`;
  return { what, tree: rest.length === 0 ? without(tree, path) : with_(tree, path, fileOf(...rest)) };
};

const add: Edit = ({ tree, random, tag }) => {
  const kind = random.pick(KINDS);
  const one = doc(kind, random.pick(NAMES[kind]), {
    ...{ tag, tenant: random.pick([null, null, 'acme']), operation: random.pick(OPERATIONS) },
    needs: kind === 'ToolWorkflow' ? random.pick(NAMES.ApiSpec) : null,
    document: random.pick(['crm.openapi.yaml', 'pay.openapi.yaml', '../crm.openapi.yaml']),
  });
  const path = `${random.pick(PLACES)}${tag}.yaml`;
  return { what: `add ${nameOf(one)} as ${path}`, tree: with_(tree, path, fileOf(one)) };
};

/** The same manifest twice: harmless while the two are equal. */
const duplicate: Edit = ({ tree, random, tag }) => {
  const [path, docs] = pickFile(tree, random) ?? [];
  if (path === undefined || docs === undefined) return null;
  const one = random.pick(docs);
  const copy = random.oneIn(2) ? one : { ...one, tag };
  const target = `${posix.dirname(path)}/${tag}.yaml`.replace(/^\.\//, '');
  return { what: `copy ${nameOf(one)} to ${target}`, tree: with_(tree, target, fileOf(copy)) };
};

/** Another tool of a name that is taken: of the other kind, or of a tenant. */
const clash: Edit = ({ tree, random, tag }) => {
  const tools = docsOf(tree).filter(({ one }) => one.kind === 'CliTool' || one.kind === 'ToolWorkflow');
  if (tools.length === 0) return null;
  const { one } = random.pick(tools);
  const kind = random.pick(['CliTool', 'ToolWorkflow'] as const);
  const path = `${random.pick(PLACES)}clash-${tag}.yaml`;
  const other = doc(kind, one.name, {
    tag,
    needs: kind === 'ToolWorkflow' ? 'crm' : null,
    tenant: random.pick([null, 'acme']),
  });
  return { what: `clash ${nameOf(other)} as ${path}`, tree: with_(tree, path, fileOf(other)) };
};

const swap: Edit = ({ tree, random }) => {
  const [one, two] = [pickFile(tree, random), pickFile(tree, random)];
  if (one === null || two === null || one[0] === two[0]) return null;
  const swapped = with_(with_(tree, one[0], fileOf(...two[1])), two[0], fileOf(...one[1]));
  return { what: `swap ${one[0]} and ${two[0]}`, tree: swapped };
};

const moveFile: Edit = ({ tree, random, tag }) => {
  const [path, docs] = pickFile(tree, random) ?? [];
  if (path === undefined || docs === undefined) return null;
  const target = `${random.pick(PLACES)}${posix.basename(path, '.yaml').slice(0, 12)}-${tag}.yaml`;
  return { what: `move ${path} to ${target}`, tree: with_(without(tree, path), target, fileOf(...docs)) };
};

const moveDirectory: Edit = ({ tree, random, tag }) => {
  const from = random.pick(['team', 'cli', 'rights', 'apis', 'deep', 'tenants/acme']);
  const to = random.pick([`moved-${tag}`, from, 'tenants/beta', `deep/${tag}`]);
  const moved = [...tree].map(
    ([path, entry]) => [path.startsWith(`${from}/`) ? to + path.slice(from.length) : path, entry] as const,
  );
  return { what: `move ${from}/ to ${to}/`, tree: new Map(moved) };
};

const spoil: Edit = ({ tree, random, tag }) => {
  const path = random.oneIn(4) ? `notes-${tag}.yaml` : pickFile(tree, random)?.[0];
  if (path === undefined) return null;
  const bytes = random.pick(['syntax', 'binary', 'half', 'foreign'] as const);
  return { what: `spoil ${path}: ${bytes}`, tree: with_(tree, path, { is: 'garbage', bytes, tag }) };
};

const empty: Edit = ({ tree, random }) => {
  const path = pickFile(tree, random)?.[0];
  return path === undefined ? null : { what: `empty ${path}`, tree: with_(tree, path, fileOf()) };
};

const replaceFile: Edit = ({ tree, random }) => {
  const path = pickFile(tree, random)?.[0];
  if (path === undefined) return null;
  const entry = random.pick<Entry>([
    { is: 'directory' },
    { is: 'refused', what: 'leads-out' },
    { is: 'refused', what: 'leads-nowhere' },
    { is: 'refused', what: 'pipe' },
  ]);
  return {
    what: `replace ${path}: ${'what' in entry ? entry.what : 'directory'}`,
    tree: with_(tree, path, entry),
  };
};

const replaceDirectory: Edit = ({ tree, random }) => {
  const path = random.pick(['team', 'cli', 'rights']);
  const rest = [...tree].filter(([file]) => !file.startsWith(`${path}/`));
  if (rest.length === tree.size) return null;
  return {
    what: `replace ${path}/: leads-out`,
    tree: new Map([...rest, [path, { is: 'refused', what: 'leads-out' }]]),
  };
};

const changeDocument: Edit = ({ tree, random, tag }) => {
  const paths = [...tree].flatMap(([path, entry]) =>
    entry.is === 'document' && !path.startsWith(PAIR.name) ? [path] : [],
  );
  if (paths.length === 0) return null;
  const path = random.pick(paths);
  const operations = random.pick([OPERATIONS, OPERATIONS, OPERATIONS.slice(0, 1), OPERATIONS.slice(1), null]);
  if (random.oneIn(5)) return { what: `document ${path}: none`, tree: without(tree, path) };
  return {
    what: `document ${path}: ${operations?.join() ?? 'bad'}`,
    tree: with_(tree, path, { is: 'document', tag, operations }),
  };
};

/** What must only ever be seen whole. */
const changePair: Edit = ({ tree, tag }) => ({
  what: `pair ${tag}`,
  tree: new Map([...tree, ...pairOf(tag)]),
});

const removeMost: Edit = ({ tree, random }) => {
  const kept = [...tree].filter(([, entry]) => entry.is === 'document' || random.oneIn(5));
  return { what: `remove all but ${kept.map(([path]) => path).join()}`, tree: new Map(kept) };
};

const removeAll: Edit = ({ random, tree }) => {
  const kept = random.oneIn(2) ? [] : [...tree].filter(([, entry]) => entry.is === 'document');
  return { what: 'remove all', tree: new Map(kept) };
};

const confirm: Edit = ({ tree, random, revision }) => {
  if (revision === null) return null;
  const named = random.oneIn(4) ? 'sha256:0123456789ab' : revision.slice(0, revision.indexOf(':') + 13);
  return editDoc(
    tree,
    random,
    `confirm ${named} on`,
    () => ({ allow_prune: named }),
    ({ fault }) => fault === null,
  );
};

const revert: Edit = ({ past, random }) => {
  const back = 1 + random.below(4);
  const tree = past.at(-1 - back);
  return tree === undefined ? null : { what: `revert ${back}`, tree };
};

const restore: Edit = () => ({ what: 'restore the first set', tree: FIRST });

/** How often each is drawn. */
const DRAWN: readonly (readonly [times: number, edit: Edit])[] = [
  [8, change],
  [5, breakOne],
  [3, breakRight],
  [6, mend],
  [3, suspend],
  [2, take],
  [3, needOther],
  [2, renameOne],
  [4, removeOne],
  [5, add],
  [3, duplicate],
  [3, clash],
  [2, swap],
  [3, moveFile],
  [3, moveDirectory],
  [4, spoil],
  [1, empty],
  [3, replaceFile],
  [2, replaceDirectory],
  [5, changeDocument],
  [6, changePair],
  [2, removeMost],
  [1, removeAll],
  [3, confirm],
  [5, revert],
  [2, restore],
];
const EDITS = DRAWN.flatMap(([times, edit]) => Array.from({ length: times }, () => edit));

/** Some edit that can be made of this tree. */
export function editAt(desk: Desk): Edited {
  for (;;) {
    // What is held back is looked into before long.
    const edits = desk.held && desk.random.oneIn(3) ? [restore, revert, confirm] : EDITS;
    const edited = desk.random.pick(edits)(desk);
    if (edited !== null) return { ...edited, tree: settled(edited.tree) };
  }
}

/** What is a file or a link cannot be the directory of another. */
function settled(tree: Tree): Tree {
  const directories = new Set([...tree.keys()].flatMap(above));
  return new Map([...tree].filter(([path]) => !directories.has(path)));
}

function above(path: string): string[] {
  const directory = posix.dirname(path);
  return directory === '.' ? [] : [directory, ...above(directory)];
}

function editDoc(
  tree: Tree,
  random: Random,
  verb: string,
  edit: (one: Doc) => Partial<Doc>,
  fits: (one: Doc) => boolean = () => true,
): Edited | null {
  const candidates = docsOf(tree).filter(({ one }) => fits(one));
  if (candidates.length === 0) return null;
  const { path, at, docs, one } = random.pick(candidates);
  const edited = { ...one, ...edit(one) };
  const list = docs.map((other, index) => (index === at ? edited : other));
  const fields = Object.keys(edited) as (keyof Doc)[];
  const changes = fields
    .filter((field) => edited[field] !== one[field])
    .map((field) => `${field}=${edited[field]}`);
  return {
    what: `${verb} ${nameOf(one)} in ${path}: ${changes.join(' ')}`,
    tree: with_(tree, path, fileOf(...list)),
  };
}

/** The pair is only ever changed whole. */
function docsOf(tree: Tree) {
  return [...tree].flatMap(([path, entry]) =>
    entry.is === 'manifests' && !path.startsWith('pair-')
      ? entry.docs.map((one, at) => ({ path, at, one, docs: entry.docs }))
      : [],
  );
}

function pickFile(tree: Tree, random: Random): readonly [string, readonly Doc[]] | null {
  const files = docsOf(tree);
  if (files.length === 0) return null;
  const { path, docs } = random.pick(files);
  return [path, docs];
}

function nameOf({ kind, tenant, name }: Doc): string {
  return `${kind} ${tenant === null ? '' : `${tenant}/`}${name}`;
}

function with_(tree: Tree, path: string, entry: Entry): Tree {
  return new Map(tree).set(path, entry);
}

function without(tree: Tree, path: string): Tree {
  const rest = new Map(tree);
  rest.delete(path);
  return rest;
}
