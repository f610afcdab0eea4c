/** `seal-gateway keygen`: an Ed25519 key pair for an agent or a development issuer. */
import type { Command } from 'commander';
import { AGENT_KEY, newKey, publicHalf, writeKey } from './keys.ts';
import { type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';

export function addKeygen(program: Command, { console }: CliDeps): void {
  program
    .command('keygen')
    .description('Make an Ed25519 key pair: the private key into a file, the public one on standard output')
    .option('--out <file>', 'file of the private key (JWK, mode 0600)', AGENT_KEY)
    .option('--kid <id>', 'key id', 'agent')
    .action(async (options: OutputOptions & { out: string; kid: string }) => {
      const key = await newKey(options.kid);
      writeKey(options.out, key);
      const jwks = { keys: [publicHalf(key)] };
      print(
        console,
        options,
        { private_key_file: options.out, jwks },
        `private key: ${options.out}\npublic key, for the jwks or envelope_keys of a TokenIssuer manifest:\n  inline: ${JSON.stringify(jwks)}`,
      );
    });
}
