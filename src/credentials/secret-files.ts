/**
 * Development: secrets as a directory of files, laid out as Kubernetes mounts Secrets, `<dir>/<key>/<field>`. A
 * tenant's are below `<prefix><tenant>`, as in OpenBao.
 */
import { constants } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { credentialOf } from './fields.ts';
import { checkForeign, scopeOf, segments } from './openbao-path.ts';
import { unavailable } from './problem.ts';
import type { CredentialProvider } from './resolve.ts';

const MAX_BYTES = 1024 * 1024;
/** The group may read (fsGroup); nobody else may, and only the owner may write. */
const FORBIDDEN_MODE = 0o027;

/** `prefix`: before a tenant's name. */
export function createSecretFiles(dir: string, prefix: string): CredentialProvider<'static_ref'> {
  const tenancy = { namespace: null, by: 'path', prefix } as const;
  return async ({ key, field }, { tenant, tenants }) => {
    const below = segments(key, 'the key of the secret');
    checkForeign(below, tenancy, tenants, 'the key of the secret');
    const path = join(dir, ...scopeOf(tenancy, tenant).below, ...below);
    const root = await existing(dir, 'the directory of secrets');
    const folder = await existing(path, `the secret ${key}`);
    if (!folder.startsWith(`${root}${sep}`))
      throw unavailable(`the secret ${key} lies outside of the directory of secrets`);
    const names = field === undefined ? await fieldsIn(folder, key) : [field];
    const data: Record<string, string> = Object.create(null);
    for (const name of names) data[name] = await readField(root, folder, key, name);
    return credentialOf(data, field);
  };
}

/** What is wrong with the files of a directory of secrets, before a call finds out. */
export async function fileProblems(dir: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(dir, { recursive: true });
  } catch (error) {
    return [`${dir} cannot be read (${(error as NodeJS.ErrnoException).code})`];
  }
  const problems = await Promise.all(
    names.sort().map(async (name) => {
      const found = await stat(join(dir, name)).catch(() => null);
      if (found?.isFile() !== true || (found.mode & FORBIDDEN_MODE) === 0) return null;
      return `${join(dir, name)} ${modeProblem(found.mode)}`;
    }),
  );
  return problems.filter((problem) => problem !== null);
}

function modeProblem(mode: number): string {
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  return `has mode ${octal}: others may read or change it; make it 0440 or 0400`;
}

/** Kubernetes keeps the files themselves behind names that begin with dots. */
async function fieldsIn(folder: string, key: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => {
    throw unavailable(`the secret ${key} is no directory of fields`);
  });
  return names.filter((name) => !name.startsWith('.'));
}

async function readField(root: string, folder: string, key: string, field: string): Promise<string> {
  if (/[/\\\0]/.test(field) || field.startsWith('.'))
    throw unavailable(`the secret ${key} has no field ${field}`);
  const file = await existing(join(folder, field), `the field ${field} of the secret ${key}`);
  if (!file.startsWith(`${root}${sep}`))
    throw unavailable(`the field ${field} of the secret ${key} lies outside of the directory of secrets`);
  // The real path, so that what is checked is what is read.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => {
      throw unavailable(`the field ${field} of the secret ${key} cannot be read`);
    },
  );
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw unavailable(`the field ${field} of the secret ${key} is no file`);
    const { mode, size } = found;
    if ((mode & FORBIDDEN_MODE) !== 0)
      throw unavailable(`the file of the field ${field} of the secret ${key} ${modeProblem(mode)}`);
    if (size > MAX_BYTES) throw unavailable(`the field ${field} of the secret ${key} is larger than 1 MiB`);
    const text = await handle.readFile('utf8');
    // The line end that editors and echo leave is no part of a password.
    return /^[^\n]*\r?\n$/.test(text) ? text.replace(/\r?\n$/, '') : text;
  } finally {
    await handle.close();
  }
}

async function existing(path: string, what: string): Promise<string> {
  const real = await realpath(path).catch(() => null);
  if (real === null || (await stat(real).catch(() => null)) === null)
    throw unavailable(`there is no file for ${what}`);
  return real;
}
