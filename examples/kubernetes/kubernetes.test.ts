/** The example holds what it says: a mount as the kubelet makes it, valid manifests, a restricted pod. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { validateDirectory } from '../../src/cli/validate.ts';

const HERE = import.meta.dirname;
const yaml = (file: string) => parse(readFileSync(join(HERE, file), 'utf8'));
const documents = parseAllDocuments(readFileSync(join(HERE, 'base/gateway.yaml'), 'utf8')).map((one) =>
  one.toJS(),
);
const pod = documents.find(({ kind }) => kind === 'Deployment').spec.template.spec;

/** What `configMapGenerator` and the volume's `items` make of the files, with the kubelet's links. */
function mount(): string {
  const root = mkdtempSync(join(tmpdir(), 'seal-kubernetes-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const files = new Map<string, string>(
    yaml('base/kustomization.yaml').configMapGenerator[0].files.map((entry: string) => entry.split('=')),
  );
  const { items } = pod.volumes.find(({ name }: { name: string }) => name === 'manifests').configMap;
  expect(items.map(({ key }: { key: string }) => key).sort()).toEqual([...files.keys()].sort());
  for (const { key, path } of items) {
    const target = join(root, '..2026_01_01', path);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(HERE, 'base', files.get(key)!), target);
    const top = path.split('/')[0];
    rmSync(join(root, top), { force: true });
    symlinkSync(join('..data', top), join(root, top));
  }
  symlinkSync('..2026_01_01', join(root, '..data'));
  return root;
}

test('the ConfigMap, mounted, is a valid directory of manifests', async () => {
  const { manifests, diagnostics } = await validateDirectory(mount());
  expect({ manifests, diagnostics }).toEqual({ manifests: 4, diagnostics: [] });
});

test('the pod runs as Pod Security "restricted" asks, with probes and no subPath', () => {
  const [container] = pod.containers;
  expect(pod.securityContext).toMatchObject({
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  expect(container.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  expect(container.livenessProbe.httpGet.path).toBe('/healthz');
  expect(container.readinessProbe.httpGet.path).toBe('/readyz');
  expect(JSON.stringify(container.volumeMounts)).not.toContain('subPath');
});

test('the git-sync variant watches the link that the sidecar swaps', () => {
  const [gateway, sidecar] = yaml('git-sync/deployment.yaml').spec.template.spec.containers;
  const link = sidecar.args.find((arg: string) => arg.startsWith('--link='))?.slice('--link='.length);
  const root = sidecar.args.find((arg: string) => arg.startsWith('--root='))?.slice('--root='.length);
  expect(gateway.env[0].value).toBe(`${root}/${link}/gateway.d`);
});

describe.skipIf(process.env.SEAL_TEST_FULL !== '1')(
  'as kustomize builds it (SKIPPED without SEAL_TEST_FULL=1: make ci)',
  () => {
    const build = (variant: string) =>
      parseAllDocuments(
        execFileSync('kubectl', ['kustomize', join(HERE, variant)], { encoding: 'utf8' }),
      ).map((one) => one.toJS());
    const kindOf = (built: readonly { kind: string }[], kind: string) =>
      built.find((one) => one.kind === kind) as never;

    test('base: the ConfigMap holds the files, byte for byte', () => {
      const built = build('base');
      const { data } = kindOf(built, 'ConfigMap') as { data: Record<string, string> };
      for (const entry of yaml('base/kustomization.yaml').configMapGenerator[0].files) {
        const [key, file] = entry.split('=');
        expect(data[key]).toBe(readFileSync(join(HERE, 'base', file), 'utf8'));
      }
      expect(
        built.every((one) => one.kind === 'Namespace' || one.metadata.namespace === 'seal-gateway'),
      ).toBe(true);
    });

    test('git-sync: the sidecar is added, and both containers stay restricted', () => {
      const deployment: { spec: { template: { spec: typeof pod } } } = kindOf(
        build('git-sync'),
        'Deployment',
      );
      const { containers } = deployment.spec.template.spec;
      expect(containers.map(({ name }: { name: string }) => name)).toEqual(['gateway', 'git-sync']);
      for (const { securityContext } of containers)
        expect(securityContext).toMatchObject({
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
        });
      expect(containers[0].livenessProbe.httpGet.path).toBe('/healthz');
    });
  },
);
