/** A registry on loopback (`with-engines.ts` starts one), and images that are put into it without an engine. */
import { hash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe } from 'vitest';
import { busyboxTar, describeOnEngines, type TestEngine } from './engines.ts';
import { PULLER } from './with-engines.ts';

/** `host:port`; null: there is none. */
export const REGISTRY = process.env.SEAL_TEST_REGISTRY ?? null;

/** {@link describeOnEngines} where there is a registry too; elsewhere skipped aloud. */
export function describeWithRegistry(title: string, body: (engine: TestEngine) => void): void {
  if (REGISTRY !== null || process.env.SEAL_TEST_ENGINES === 'required') {
    describeOnEngines(title, body);
  } else {
    console.warn(`*** SKIPPED: ${title}: there is no registry (make test starts one) ***`);
    describe.skip(title);
  }
}

const AUTHORIZATION = `Basic ${Buffer.from(`${PULLER.username}:${PULLER.password}`).toString('base64')}`;
const TYPES = 'application/vnd.docker';

export interface Pushed {
  /** `host:port/name:tag`. */
  readonly by_tag: string;
  /** `host:port/name@sha256:...`. */
  readonly by_digest: string;
}

/** Puts an image of busybox under this name; `config` goes into its configuration, such as `Volumes`. */
export async function pushBusybox(name: string, config: Record<string, unknown> = {}): Promise<Pushed> {
  const layer = busyboxTar();
  const packed = gzipSync(layer, { level: 1 });
  const about = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      // Of its own, so that no engine has it already.
      config: { Labels: { name }, ...config },
      rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    }),
  );
  for (const blob of [packed, about]) await pushBlob(name, blob);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${TYPES}.distribution.manifest.v2+json`,
      config: { mediaType: `${TYPES}.container.image.v1+json`, size: about.length, digest: digestOf(about) },
      layers: [
        { mediaType: `${TYPES}.image.rootfs.diff.tar.gzip`, size: packed.length, digest: digestOf(packed) },
      ],
    }),
  );
  await send(`/v2/${name}/manifests/1`, 'PUT', manifest, `${TYPES}.distribution.manifest.v2+json`);
  return { by_tag: `${REGISTRY}/${name}:1`, by_digest: `${REGISTRY}/${name}@${digestOf(manifest)}` };
}

async function pushBlob(name: string, blob: Buffer): Promise<void> {
  const started = await send(`/v2/${name}/blobs/uploads/`, 'POST');
  const at = new URL(started.headers.get('location')!, `http://${REGISTRY}`);
  at.searchParams.set('digest', digestOf(blob));
  await send(`${at.pathname}${at.search}`, 'PUT', blob, 'application/octet-stream');
}

async function send(path: string, method: string, body?: Buffer, type?: string): Promise<Response> {
  const response = await fetch(`http://${REGISTRY}${path}`, {
    method,
    headers: { authorization: AUTHORIZATION, ...(type !== undefined && { 'content-type': type }) },
    ...(body !== undefined && { body: new Uint8Array(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response;
}

function digestOf(content: Buffer): string {
  return `sha256:${hash('sha256', content, 'hex')}`;
}
