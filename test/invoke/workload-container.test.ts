import { expect, test } from 'vitest';
import type { ContainerEvidence } from '../../src/execute/container-evidence.ts';
import { containerVerifier } from '../../src/invoke/workload-container.ts';

const KEY = 'ERERERERERERERERERERERERERERERERERERERERERE';
const ID = '0123456789abcdef'.repeat(4);
const FILE = '/run/seal.pub';

const evidence = (part: Partial<ContainerEvidence> = {}): ContainerEvidence => ({
  ...{ id: ID, labels: { 'com.example.workload': 'payments-7' }, image_labels: {}, mounts: [] },
  ...{ file: `${KEY}\n`, ...part },
});

function ask(found: ContainerEvidence | null, claimed: { id?: string; workload_id?: string | null } = {}) {
  const { id = ID, workload_id = null } = claimed;
  const asked: unknown[] = [];
  const verifier = containerVerifier({
    ...{ name: 'containers', label: 'com.example.workload', container_file: FILE },
    rules: [
      { subject: 'payments-*', workload_ids: null, security_contexts: ['billing-*'], tenant: 'acme' },
      { subject: 'builder', workload_ids: ['build-*'], security_contexts: ['ci'], tenant: null },
    ],
    look: async (...args) => {
      asked.push(args);
      return found;
    },
  });
  const proof = `seal-container-${id}`;
  return { asked, verdict: verifier.verify({ workload_id, proof, public_key: KEY }, 0) };
}

const unproven = expect.objectContaining({ name: 'WORKLOAD_VERIFICATION_FAILED' });

test('a container whose file holds the key is the workload that its label says', async () => {
  const { asked, verdict } = ask(evidence());
  expect(await verdict).toMatchObject({
    ...{ verifier: 'containers', workload_id: 'payments-7', tenant_id: 'acme', once: null },
  });
  expect(asked).toEqual([[ID, FILE]]);
});

test('its host name, the beginning of its id, and its key in hex do', async () => {
  const hex = evidence({ file: Buffer.from(KEY, 'base64url').toString('hex') });
  await expect(ask(hex, { id: ID.slice(0, 12) }).verdict).resolves.toMatchObject({
    workload_id: 'payments-7',
  });
});

test('it speaks for the workloads that its rule names, and no others', async () => {
  const builder = evidence({ labels: { 'com.example.workload': 'builder' } });
  await expect(ask(builder, { workload_id: 'build-9' }).verdict).resolves.toMatchObject({
    workload_id: 'build-9',
    tenant_id: null,
  });
  for (const workload_id of ['payments-7', null])
    await expect(ask(builder, { workload_id }).verdict).rejects.toEqual(unproven);
  await expect(ask(evidence(), { workload_id: 'payments-8' }).verdict).rejects.toEqual(unproven);
});

test.each<[string, ContainerEvidence | null, RegExp]>([
  ['a container that is gone', null, /no container of this id runs/],
  ['a container that is only named so', evidence({ id: 'f'.repeat(64) }), /no container of this id runs/],
  ["another container's id", evidence({ file: null }), /cannot be read in the container/],
  ['a container of another workload', evidence({ file: KEY.replace('E', 'F') }), /holds another public key/],
  ['a file that holds more than the key', evidence({ file: `${KEY}\n${KEY}` }), /holds another public key/],
  ['a container without the label', evidence({ labels: { other: 'x' } }), /has no label/],
  [
    'a label of the prototype',
    evidence({ labels: Object.create({ 'com.example.workload': 'x' }) }),
    /no label/,
  ],
  ['an empty label', evidence({ labels: { 'com.example.workload': '' } }), /has no label/],
  ['a label that no rule names', evidence({ labels: { 'com.example.workload': 'thief' } }), /no rule/],
  [
    'a label that came with the image',
    evidence({ image_labels: { 'com.example.workload': 'payments-7' } }),
    /the image brings the label/,
  ],
  ['a file on a volume', evidence({ mounts: ['/data', '/run/'] }), /lies in the mount \/run\//],
  ['a file that is a volume', evidence({ mounts: [FILE] }), /lies in the mount/],
])('%s proves nothing; the caller is not told why, the audit trail is', async (_, found, reason) => {
  await expect(ask(found).verdict).rejects.toMatchObject({
    name: 'WORKLOAD_VERIFICATION_FAILED',
    message: 'container: it does not prove this workload; the audit trail says why',
    cause: { message: expect.stringMatching(reason) },
  });
});

test('a mount beside the file is no matter', async () => {
  await expect(ask(evidence({ mounts: ['/run/seal', '/ru'] })).verdict).resolves.not.toBeNull();
});

test.each(['', 'payments', '0123456789a', `${ID}0`, '../../etc/passwd', ID.toUpperCase()])(
  'the engine is not asked for "%s"',
  async (id) => {
    const { asked, verdict } = ask(evidence(), { id });
    await expect(verdict).rejects.toEqual(unproven);
    expect(asked).toEqual([]);
  },
);
