/** One request of a step, and whether its reply is one that the step can use. */
import type { BuiltRequest } from '../openapi/request.ts';
import type { Step } from '../snapshot/snapshot.ts';
import { abortError, unlessAborted } from './abort.ts';
import { upstreamError } from './exchange.ts';
import { type Reply, sendRequest } from './rest.ts';
import { retryAfterSeconds } from './retry-after.ts';
import { placeOf, type Run, type StepDeps, type Tally } from './run.ts';

/**
 * Adds the credential and sends. Rejects with what `sendRequest` does, and with UPSTREAM_FAILED when the status is
 * not an expected one: that error has the reply's excerpt, and its `Retry-After`.
 */
export async function attempt(
  deps: StepDeps,
  run: Run,
  step: Step,
  request: BuiltRequest,
  tally: Tally,
): Promise<Reply> {
  const { api, operation } = step;
  if (run.signal.aborted) throw abortError(run.signal);
  const secrets =
    api.credential.kind === 'none' ? null : await unlessAborted(deps.credentials(api), run.signal);
  tally.attempts += 1;
  const reply = await sendRequest(
    deps,
    api,
    { ...request, method: operation.method, path: operation.path, secrets },
    { signal: run.signal },
  );
  tally.bytes += reply.bytes;
  if (isExpected(step, reply.status)) {
    tally.done += 1;
    return reply;
  }
  const said = reply.excerpt();
  const seconds = retryAfterSeconds(reply.headers['retry-after'], deps.clock.now());
  throw upstreamError('UPSTREAM_FAILED', placeOf(step), `answered ${reply.status}`, {
    details: { status: reply.status, ...(said !== null && { excerpt: said }) },
    ...(seconds !== null && { retry_after_seconds: seconds }),
  });
}

function isExpected({ expect_status }: Step, status: number): boolean {
  return expect_status?.includes(status) ?? (status >= 200 && status < 300);
}
