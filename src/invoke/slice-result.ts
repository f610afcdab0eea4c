/** Cuts the result of a tool down to the fields that the call carries; the answer has the explorer's form. */
import { GatewayError } from '../errors.ts';
import type { Slicer } from '../execute/slicer.ts';
import type { Query } from '../snapshot/snapshot.ts';

/** The result is masked already, as all that upstreams answer. Rejects as {@link Slicer.slice} does. */
export async function sliceResult(
  slicer: Slicer,
  result_json: string,
  fields: readonly Query[],
  { max_bytes, signal }: { readonly max_bytes: number; readonly signal: AbortSignal },
): Promise<string> {
  const bytes = Buffer.from(result_json);
  const bytes_before = bytes.length;
  const body = { bytes, content_type: 'application/json' };
  const slices = await slicer.slice({ body, mask: null, fields, probes: [], max_bytes }, signal);
  if ('problem' in slices) throw new GatewayError('UPSTREAM_FAILED', `the result ${slices.problem}`);
  const { json, bytes: bytes_after } = slices;
  return `{"sliced_data":${json},"bytes_before":${bytes_before},"bytes_after":${bytes_after}}`;
}
