/** The manifests of a commit, read from git's objects: no checkout, no filter, no work tree that somebody may change. */
import { compareText, type Diagnostic, errorAt } from '../manifest/diagnostic.ts';
import { isManifestFile, MAX_DATA_BYTES, makeTree, type Tree, treeFile } from '../manifest/tree.ts';
import { type Git, readObjects } from './git.ts';

export interface CommitInfo {
  /** Full object id. */
  readonly commit: string;
  /** `Name <e-mail>` of the author. */
  readonly author: string;
  readonly subject: string;
}

interface Entry {
  readonly mode: string;
  readonly id: string;
  readonly size: number;
  readonly path: string;
}

const START = { line: 1, column: 1 };

/** Author and subject of a commit. Rejects with GitError when there is no such revision. */
export async function describeCommit(git: Git, gitDir: string, revision: string): Promise<CommitInfo> {
  const format = '--format=%H%x00%an <%ae>%x00%s';
  const text = await git.text([
    '--git-dir',
    gitDir,
    'log',
    '-1',
    '--no-show-signature',
    format,
    '--end-of-options',
    revision,
    '--',
  ]);
  const [commit = '', author = '', subject = ''] = text.split('\0');
  return { commit, author: author.slice(0, 256), subject: subject.slice(0, 256) };
}

/** The files below `path` (empty: the top) that a directory of the same content would give. */
export async function readCommitTree(git: Git, gitDir: string, commit: string, path: string): Promise<Tree> {
  const entries = (await listCommit(git, gitDir, commit, path)).filter((entry) => isManifestFile(entry.path));
  const diagnostics: Diagnostic[] = [];
  const wanted = entries.filter((entry) => {
    const problem = problemOf(entry);
    if (problem !== null) diagnostics.push(errorAt(entry.path, START, problem.rule, problem.message));
    return problem === null;
  });
  const contents = await readObjects(
    git,
    gitDir,
    wanted.map(({ id }) => id),
  );
  return makeTree(
    wanted.map((entry, index) => treeFile(entry.path, contents[index]!)),
    diagnostics,
  );
}

/** Every file of a commit below `path`, its name relative to that, in order. */
export async function listCommit(git: Git, gitDir: string, commit: string, path: string): Promise<Entry[]> {
  const prefix = path === '' || path === '.' ? '' : `${path.replace(/^\.?\/+|\/+$/g, '')}/`;
  const output = await git.run([
    '--git-dir',
    gitDir,
    'ls-tree',
    '-r',
    '-l',
    '-z',
    '--full-tree',
    commit,
    ...(prefix === '' ? [] : ['--', prefix]),
  ]);
  const rows = output.toString('utf8').split('\0').filter(Boolean);
  const entries = rows.map((row) => {
    const tab = row.indexOf('\t');
    const [mode = '', , id = '', size = '0'] = row.slice(0, tab).split(/ +/);
    return { mode, id, size: Number(size), path: row.slice(tab + 1 + prefix.length) };
  });
  return entries.sort((a, b) => compareText(a.path, b.path));
}

function problemOf({ mode, size }: Entry): { rule: string; message: string } | null {
  if (mode === '120000') return { rule: 'not-a-file', message: 'links are not followed in a commit' };
  if (mode !== '100644' && mode !== '100755')
    return { rule: 'not-a-file', message: 'this is no regular file' };
  if (size <= MAX_DATA_BYTES) return null;
  return {
    rule: 'file-too-large',
    message: `the file has ${size} bytes; at most ${MAX_DATA_BYTES / 1024 / 1024} MiB are read`,
  };
}
