/**
 * `make demo EXAMPLE=github`: what an agent does with the tools of this directory, and what it may not do. Exit code
 * 1 when something is not as it should be.
 */
import { SealError } from '../../src/client.ts';
import type { GatewayProcess } from '../gateway.ts';
import { expect, heading, say, walk } from '../walk.ts';
import { type Context, type Example, setUp } from './setup.ts';

async function demo(example: Example, gateway: GatewayProcess): Promise<void> {
  const { requests, grants, url } = example.github;
  say(`the stand-in listens at ${url}, the gateway at ${gateway.url}`);
  const call = async (context: Context, tool: string, args: Record<string, unknown>): Promise<unknown> => {
    try {
      return (await example.client(gateway, { scp: context }).call(tool, args)).result;
    } catch (error) {
      if (error instanceof SealError) return `${error.code} ${error.name}`;
      throw error;
    }
  };
  const seen = async <T>(work: Promise<T>): Promise<T> => {
    const before = requests.length;
    const result = await work;
    for (const request of requests.slice(before)) say(`  GitHub saw: ${request}`);
    return result;
  };
  const repository = {
    org: 'acme',
    name: 'svc-billing',
    description: 'Bills customers.',
    teams: [
      { slug: 'billing', permission: 'push' },
      { slug: 'sre', permission: 'maintain' },
    ],
  };

  heading('A repository and the access of two teams, in one call');
  const made = await seen(call('platform-bot', 'repository.create', repository));
  expect('answer', made, {
    repository: 'acme/svc-billing',
    url: 'https://github.example/acme/svc-billing',
    granted: [204, 204],
  });
  expect('granted', grants, ['acme/svc-billing billing: push', 'acme/svc-billing sre: maintain']);

  heading('What the context platform-bot does not allow');
  const foreign = await call('platform-bot', 'repository.create', { ...repository, org: 'globex' });
  expect('another organization', foreign, '2006 POLICY_NO_MATCHING_CAPABILITY');
  const deleted = { owner: 'acme', repo: 'svc-billing' };
  expect('deleting', await call('platform-bot', 'github.repos.delete', deleted), '2001 POLICY_TOOL_DENIED');
  const admin = {
    ...repository,
    name: 'svc-two',
    teams: repository.teams.map((one) => ({ ...one, permission: 'admin' })),
  };
  expect('administrators', await call('platform-bot', 'repository.create', admin), '4000 INVALID_ARGUMENTS');

  heading('The open issues of a repository, across pages, three fields of each');
  const website = { owner: 'acme', repo: 'website' };
  const list = (await seen(call('issue-triage', 'issues.list_open', website))) as Record<string, unknown[]>;
  expect('issues (pull requests are left out)', list.number?.length, 198);
  expect(
    'the newest',
    [list.number?.[0], list.title?.[0], list.url?.[0]],
    [230, 'Page 230 is blank', 'https://github.example/acme/website/issues/230'],
  );
  const upstream = await bytesOfPages(url);
  say(`  GitHub answered ${upstream} bytes, the agent reads ${JSON.stringify(list).length}`);
  console.log('\nAll as it should be. The manifests are in examples/github/gateway.d.');
}

async function bytesOfPages(url: string): Promise<number> {
  let bytes = 0;
  for (let page = 1; page <= 3; page += 1) {
    const reply = await fetch(`${url}/repos/acme/website/issues?per_page=100&page=${page}`);
    bytes += (await reply.arrayBuffer()).byteLength;
  }
  return bytes;
}

console.log(
  'GitHub through SEAL Gateway. A stand-in for GitHub and the gateway start on loopback; nothing leaves this machine.',
);
await walk(await setUp(), demo);
