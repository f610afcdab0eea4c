/**
 * A stand-in for a few operations of GitHub's REST API: what is made is there until it is stopped. `node
 * examples/github/server.ts [port]` starts it alone.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface GitHub {
  readonly url: string;
  /** Every request so far, such as `POST /orgs/acme/repos`. */
  readonly requests: readonly string[];
  /** What each team may do, such as `acme/svc-billing sre: maintain`. */
  readonly grants: readonly string[];
  close(): Promise<void>;
}

interface Repository {
  readonly id: number;
  readonly name: string;
  readonly full_name: string;
  readonly html_url: string;
  readonly visibility: string;
  readonly description: string;
}

const TEAMS = ['billing', 'sre', 'platform'];
/** Open issues of acme/website, the newest first; every seventh is a pull request. */
const ISSUES = 230;

/** Starts it on loopback; port 0 binds a free one. */
export async function startGitHub(port = 0): Promise<GitHub> {
  const requests: string[] = [];
  const grants: string[] = [];
  const repositories = new Map<string, Repository>();
  add(repositories, 'acme', { name: 'website', visibility: 'public', description: 'www.acme.example' });
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    answer({ request, response, repositories, grants }).catch((error: Error) =>
      send(response, 400, { message: error.message }),
    );
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    grants,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly repositories: Map<string, Repository>;
  readonly grants: string[];
}

async function answer({ request, response, repositories, grants }: Exchange): Promise<void> {
  const url = new URL(request.url ?? '/', `http://${request.headers.host}`);
  const [first = '', owner = '', third = '', ...rest] = url.pathname
    .split('/')
    .slice(1)
    .map(decodeURIComponent);
  if (first === 'orgs' && request.method === 'POST' && third === 'repos') {
    create(response, repositories, owner, (await bodyOf(request)) as Partial<Repository>);
  } else if (first === 'orgs' && request.method === 'PUT' && third === 'teams') {
    const [team = '', , repoOwner, repo] = rest;
    const repository = repositories.get(`${repoOwner}/${repo}`);
    if (repository === undefined || !TEAMS.includes(team))
      return send(response, 404, { message: 'Not Found' });
    const { permission = 'push' } = ((await bodyOf(request)) ?? {}) as { permission?: string };
    grants.push(`${repository.full_name} ${team}: ${permission}`);
    send(response, 204, null);
  } else if (first === 'repos' && repositories.has(`${owner}/${third}`)) {
    if (request.method === 'DELETE')
      send(response, repositories.delete(`${owner}/${third}`) ? 204 : 404, null);
    else if (rest[0] === 'issues') listIssues(response, url);
    else send(response, 200, repositories.get(`${owner}/${third}`));
  } else {
    send(response, 404, { message: 'Not Found' });
  }
}

function create(
  response: ServerResponse,
  repositories: Map<string, Repository>,
  org: string,
  wanted: Partial<Repository>,
): void {
  const problem =
    typeof wanted?.name !== 'string'
      ? 'name is missing'
      : repositories.has(`${org}/${wanted.name}`)
        ? 'Repository creation failed: name already exists on this account'
        : null;
  if (problem === null) send(response, 201, add(repositories, org, wanted));
  else send(response, 422, { message: problem });
}

function add(repositories: Map<string, Repository>, org: string, wanted: Partial<Repository>): Repository {
  const { name = '', visibility = 'private', description = '' } = wanted;
  const full_name = `${org}/${name}`;
  const html_url = `https://github.example/${full_name}`;
  const repository = { id: repositories.size + 1, name, full_name, html_url, visibility, description };
  repositories.set(full_name, repository);
  return repository;
}

/** One page, with the next one in the Link header (RFC 8288), as GitHub names it. */
function listIssues(response: ServerResponse, url: URL): void {
  const size = Math.min(Number(url.searchParams.get('per_page') ?? 30), 100);
  const page = Number(url.searchParams.get('page') ?? 1);
  const numbers = Array.from({ length: ISSUES }, (_, index) => ISSUES - index);
  const shown = numbers.slice((page - 1) * size, page * size);
  if (page * size < ISSUES) {
    url.searchParams.set('page', String(page + 1));
    response.setHeader('link', `<${url}>; rel="next"`);
  }
  send(response, 200, shown.map(issue));
}

/** As large as a real one, or nearly: what an agent would have to read. */
function issue(number: number): object {
  const html_url = `https://github.example/acme/website/issues/${number}`;
  return {
    ...{ id: 1_000 + number, number, state: 'open', title: `Page ${number} is blank`, html_url },
    body: 'Steps to reproduce, and all that one sees. '.repeat(40),
    user: { login: 'ada', id: 1, html_url: 'https://github.example/ada' },
    labels: [{ id: 1, name: 'bug', color: 'ee0701' }],
    comments: number % 5,
    created_at: '2026-02-01T09:00:00Z',
    ...(number % 7 === 0 && { pull_request: { url: `${html_url}/pull` } }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? null : JSON.parse(text);
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(value === null ? '' : JSON.stringify(value));
}

if (import.meta.main) {
  const { url } = await startGitHub(Number(process.argv[2] ?? 9002));
  console.log(`the stand-in for GitHub listens at ${url}`);
}
