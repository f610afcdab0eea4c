/** The example as a whole: the stand-in for GitHub, and the gateway over the manifests beside this file. */
import { createExampleGateway, type ExampleGateway } from '../gateway.ts';
import { type GitHub, startGitHub } from './server.ts';

export const MANIFESTS = new URL('gateway.d', import.meta.url).pathname;

export type Context = 'platform-bot' | 'issue-triage';

export interface Example extends Omit<ExampleGateway, 'remove'> {
  readonly github: GitHub;
  close(): Promise<void>;
}

/** Makes the directory and starts the stand-in; the gateway is started by the caller. */
export async function setUp(): Promise<Example> {
  const github = await startGitHub();
  const { remove, ...gateway } = await createExampleGateway({
    name: 'github',
    manifests: MANIFESTS,
    replace: { 'http://127.0.0.1:9002': github.url },
    contexts: ['platform-bot', 'issue-triage'],
  });
  return {
    ...gateway,
    github,
    async close() {
      await github.close();
      remove();
    },
  };
}
