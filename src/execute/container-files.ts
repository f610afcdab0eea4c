/** Files of the host that a container sees: the mounts of its manifest, and secrets, which lie in memory alone. */
import { mkdir, readdir, realpath, rm, statfs, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { type ContainerSecrets, reveal } from '../credentials/secret.ts';
import { GatewayError } from '../errors.ts';
import type { CliTool } from '../snapshot/snapshot.ts';
import type { Bind } from './container-create.ts';

/** statfs(2): a file system in memory. */
const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;
const PREFIX = 'seal-gateway.';

/** The manifest's mounts by real paths. Rejects with TOOL_UNAVAILABLE when one is missing or lies elsewhere. */
export async function mountsOf(tool: CliTool, roots: readonly string[]): Promise<Bind[]> {
  if (tool.mounts.length === 0) return [];
  const allowed = (await Promise.all(roots.map(realOrNull))).filter((root) => root !== null);
  return Promise.all(
    tool.mounts.map(async ({ source, target, read_only }) => {
      // A link below a root may lead out of it, and one that is swapped later must not be followed.
      const real = await realOrNull(source);
      if (real === null) throw unavailable(tool, `the source of the mount ${target} is not there`);
      if (!allowed.some((root) => real === root || real.startsWith(root === sep ? root : root + sep))) {
        throw unavailable(tool, `the source of the mount ${target} lies outside of cli.mount_roots`);
      }
      return { source: real, target, read_only };
    }),
  );
}

export interface SecretFiles {
  readonly binds: readonly Bind[];
  remove(): Promise<void>;
}

/** Writes secrets into memory, in a directory that only this user can enter; opens them. */
export async function writeSecrets(
  files: ContainerSecrets['files'],
  place: { readonly dir: string; readonly instance: string; readonly call_id: string },
): Promise<SecretFiles> {
  if (files.length === 0) return { binds: [], remove: async () => {} };
  const { type } = await statfs(place.dir).catch(() => ({ type: 0 }));
  if (type !== TMPFS_MAGIC && type !== RAMFS_MAGIC) {
    const message = 'there is no directory in memory for credential files (cli.secrets_dir)';
    throw new GatewayError('CREDENTIAL_UNAVAILABLE', message);
  }
  const own = join(place.dir, PREFIX + place.instance, place.call_id);
  const remove = () => rm(own, { recursive: true, force: true });
  try {
    await mkdir(own, { recursive: true, mode: 0o700 });
    const binds = await Promise.all(
      files.map(async ({ path, content }, index) => {
        const source = join(own, String(index));
        // Readable by whatever user the container runs as; who else is on the host cannot enter the directory.
        await writeFile(source, reveal(content), { mode: 0o444, flag: 'wx' });
        return { source, target: path, read_only: true };
      }),
    );
    return { binds, remove };
  } catch (cause) {
    await remove().catch(() => {});
    throw new GatewayError('CREDENTIAL_UNAVAILABLE', 'the credential file could not be written', { cause });
  }
}

/** Removes what instances left that `isDead`; what is in memory is gone with the machine anyway. */
export async function removeStaleSecrets(dir: string, isDead: (instance: string) => boolean): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  const stale = names.filter((name) => name.startsWith(PREFIX) && isDead(name.slice(PREFIX.length)));
  await Promise.all(
    stale.map((name) => rm(join(dir, name), { recursive: true, force: true }).catch(() => {})),
  );
}

/** At the end of the process. */
export async function removeOwnSecrets(dir: string, instance: string): Promise<void> {
  await rm(join(dir, PREFIX + instance), { recursive: true, force: true }).catch(() => {});
}

function realOrNull(path: string): Promise<string | null> {
  return realpath(path).catch(() => null);
}

function unavailable(tool: CliTool, what: string): GatewayError {
  return new GatewayError('TOOL_UNAVAILABLE', `${tool.name}: ${what}`, { layer: 'container' });
}
