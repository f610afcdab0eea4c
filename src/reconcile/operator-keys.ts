/** The keys of the operators' and the workloads' issuers, behind a URL or in a file. Here because those of the TokenIssuers are. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { GatewayError } from '../errors.ts';
import type { TokenKeys } from '../snapshot/snapshot.ts';
import { localKeys, type RemoteKeysDeps, remoteKeys } from './keys.ts';

/**
 * `whose`: named in messages, in the plural. `uri`: an https URL (http to a loopback address), a file URL or a path. Throws an Error for a URL that may not be
 * fetched; `candidates` rejects with TOKEN_VERIFICATION_FAILED while the keys cannot be had.
 */
export function operatorKeys(
  uri: string,
  algorithms: readonly string[],
  deps: RemoteKeysDeps,
  whose = 'operators',
): TokenKeys {
  if (uri.startsWith('file://')) return fileKeys(fileURLToPath(uri), algorithms, deps, whose);
  if (!uri.includes('://')) return fileKeys(uri, algorithms, deps, whose);
  return remoteKeys(uri, algorithms, deps);
}

/** Reads the file for each token: such tokens are few, and a key that was taken out of it must be no key any more. */
function fileKeys(
  path: string,
  algorithms: readonly string[],
  { log }: RemoteKeysDeps,
  whose: string,
): TokenKeys {
  let last: { readonly text: string; readonly keys: TokenKeys } | null = null;
  return {
    async candidates(header) {
      try {
        const text = await readFile(path, 'utf8');
        if (last?.text !== text) last = { text, keys: localKeys(JSON.parse(text), algorithms) };
        return await last.keys.candidates(header);
      } catch (cause) {
        log.error({ file: path, err: cause }, `the keys of the ${whose} cannot be read`);
        throw new GatewayError(
          'TOKEN_VERIFICATION_FAILED',
          `the ${whose}' keys cannot be read; the gateway's log says why`,
          { cause },
        );
      }
    },
  };
}
