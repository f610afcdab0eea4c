/** Runs a permitted exploration and turns what came of it, good or bad, into its outcome event (docs/reference/audit.md). */
import { redactArguments } from '../audit/redact.ts';
import { type ExplorerDeps, explore as runExploration } from '../execute/explorer.ts';
import { asGatewayError } from './call.ts';
import type { ExplorePermit } from './decide.ts';
import { type Execution, failureFacts, type Outcome } from './execute.ts';
import { checkSize, sliceLimit } from './result-size.ts';

/** Never rejects: a failure is an outcome too. */
export async function explore(
  deps: ExplorerDeps,
  { tool, exploration, capability }: ExplorePermit,
  { call_id, gone, timeout_ms }: Execution,
): Promise<Outcome> {
  const { api, operation, fields } = exploration;
  const started = deps.clock.monotonic();
  const facts = () => ({
    call_id,
    api_spec_id: api.name,
    operation_id: operation.id,
    ...redactArguments({ fields_requested: fields.map((field) => field.text) }),
    duration_ms: Math.round(deps.clock.monotonic() - started),
  });
  try {
    const { result_json, ...found } = await runExploration(deps, exploration, {
      signal: AbortSignal.any([gone, AbortSignal.timeout(timeout_ms)]),
      timeout_ms,
      max_bytes: sliceLimit(capability),
    });
    const result_bytes = checkSize(tool.name, result_json, capability);
    const payload = {
      ...facts(),
      http_status: found.status,
      response_bytes_before_slice: found.bytes_before,
      response_bytes_after_slice: found.bytes_after,
      matches: found.matches,
      result_bytes,
    };
    return { result_json, event: { event_type: 'ExplorerRequestExecuted', payload } };
  } catch (thrown) {
    const error = asGatewayError(thrown);
    const { status } = error.details;
    const failure = { http_status: typeof status === 'number' ? status : 0, ...failureFacts(error) };
    return { error, event: { event_type: 'ExplorerRequestFailed', payload: { ...facts(), ...failure } } };
  }
}
