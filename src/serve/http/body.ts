/** Reads a request body within limits: size before the first byte where it is announced, else while it comes. */
import type { IncomingMessage } from 'node:http';
import getRawBody from 'raw-body';
import { GatewayError } from '../../errors.ts';

/**
 * A body over the limit: 413 with code 1000 . The connection stays open: what is still on its
 * way is dropped, within the request's time, for a sender that is cut off in the midst never reads the answer.
 */
export class BodyTooLarge extends GatewayError {
  constructor(limit: number) {
    super('MALFORMED_ENVELOPE', `the body is larger than the limit of ${limit} bytes`, {
      details: { limit },
    });
  }
}

/** The whole body. Rejects with {@link BodyTooLarge}, or MALFORMED_ENVELOPE when it is encoded or cut short. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new GatewayError(
      'MALFORMED_ENVELOPE',
      `content-encoding ${encoding} is not accepted; send the body as it is`,
    );
  }
  try {
    return await getRawBody(request, { limit, length: request.headers['content-length'] ?? null });
  } catch (error) {
    const type = (error as { type?: string }).type;
    if (type === 'entity.too.large') throw new BodyTooLarge(limit);
    throw new GatewayError('MALFORMED_ENVELOPE', 'the body ended before its announced length', {
      cause: error,
    });
  }
}
