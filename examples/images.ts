/**
 * `node examples/images.ts [kubectl] [git]`: makes the images of the examples from Debian's packages and puts them into
 * the container engine, without a registry. An image holds one program and the libraries that it is linked to: what is
 * not there cannot be run.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { containerHosts } from '../src/config.ts';

/** Name of the image -> where its program comes from. */
const PROGRAMS: Readonly<Record<string, () => { readonly path: string; remove(): void }>> = {
  kubectl: () => fromPackage('kubernetes-client', 'usr/bin/kubectl'),
  git: () => fromPackage('git', 'usr/bin/git'),
};

export type ExampleImage = 'kubectl' | 'git';

/** As the manifests of the examples name it. */
export function imageName(name: ExampleImage): string {
  return `localhost/seal-examples/${name}:1`;
}

/** Puts the image into the engine at this `unix://` address, unless it is there. */
export async function haveImage(name: ExampleImage, address: string): Promise<void> {
  const image = imageName(name);
  if ((await ask(address, 'GET', `/images/${image}/json`)).status === 200) return;
  const { path, remove } = PROGRAMS[name]!();
  try {
    const [repo, tag] = [image.slice(0, image.lastIndexOf(':')), '1'];
    const tar = programTar(path);
    const made = await ask(address, 'POST', `/images/create?fromSrc=-&repo=${repo}&tag=${tag}`, tar);
    const id = /sha256:[0-9a-f]{64}/.exec(made.body)?.[0];
    if (id === undefined) throw new Error(`the image ${image} could not be imported: ${made.body}`);
    // Podman names it `latest`, whatever it is asked.
    await ask(address, 'POST', `/images/${id}/tag?repo=${repo}&tag=${tag}`);
  } finally {
    remove();
  }
}

/** A root file system of one program, which is found in /usr/bin. */
function programTar(program: string): Buffer {
  const root = mkdtempSync(join(tmpdir(), 'seal-image-'));
  try {
    const put = (from: string, to: string): void => {
      mkdirSync(dirname(join(root, to)), { recursive: true });
      copyFileSync(from, join(root, to));
    };
    put(program, join('usr/bin', program.slice(program.lastIndexOf('/') + 1)));
    const linked = spawnSync('ldd', [program], { encoding: 'utf8' }).stdout;
    for (const [library] of linked.matchAll(/\/\S+\.so\S*/g)) put(library, library);
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'etc/passwd'), 'nobody:x:65534:65534:nobody:/tmp:/nonexistent\n');
    mkdirSync(join(root, 'tmp'));
    chmodSync(join(root, 'tmp'), 0o1777);
    return spawnSync('tar', ['-C', root, '-cf', '-', '.'], { maxBuffer: 512 * 1024 * 1024 }).stdout;
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** A file of a Debian package: the installed one, else that of the package as it is downloaded. */
function fromPackage(name: string, file: string): { readonly path: string; remove(): void } {
  if (existsSync(`/${file}`)) return { path: `/${file}`, remove: () => {} };
  const dir = mkdtempSync(join(tmpdir(), 'seal-package-'));
  const script = 'apt-get download -q "$1" && dpkg-deb -x "$1"_*.deb tree';
  const { status, stderr } = spawnSync('sh', ['-ec', script, 'sh', name], { cwd: dir, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the package ${name} could not be had (apt-get update?): ${stderr}`);
  return { path: join(dir, 'tree', file), remove: () => rmSync(dir, { recursive: true, force: true }) };
}

function ask(
  address: string,
  method: string,
  path: string,
  body?: Buffer,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const socketPath = address.slice('unix://'.length);
    const headers = { 'content-type': 'application/x-tar', 'content-length': body?.length ?? 0 };
    request({ socketPath, method, path, headers }, async (response) => {
      const text = Buffer.concat(await response.toArray()).toString('utf8');
      resolve({ status: response.statusCode ?? 0, body: text });
    })
      .once('error', reject)
      .end(body);
  });
}

if (import.meta.main) {
  const hosts = containerHosts({ container_host: null }).filter((host) => host.startsWith('unix://'));
  const address = hosts.find((host) => existsSync(host.slice('unix://'.length)));
  if (address === undefined) throw new Error(`there is no container engine at ${hosts.join(', ')}`);
  const names = process.argv.slice(2);
  for (const name of (names.length > 0 ? names : Object.keys(PROGRAMS)) as ExampleImage[]) {
    await haveImage(name, address);
    console.log(`${imageName(name)} is in the engine at ${address}`);
  }
}
