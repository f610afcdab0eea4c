/** `seal-gateway init`: scaffolds a directory that works at once: an issuer, a context and one tool. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { AGENT_KEY, ISSUER_KEY, newKey, publicHalf, writeKey } from './keys.ts';
import { CliError, type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';

export function addInit(program: Command, { console }: CliDeps): void {
  program
    .command('init')
    .argument('[dir]', 'directory to make', '.')
    .description('Scaffold a working directory: gateway.yaml, gateway.d and development keys')
    .action(async (dir: string, options: OutputOptions) => {
      const issuer = await newKey('dev-issuer');
      const agent = await newKey('dev-agent');
      const files = scaffold(JSON.stringify(publicHalf(issuer)), JSON.stringify(publicHalf(agent)));
      const taken = [...Object.keys(files), ISSUER_KEY, AGENT_KEY].filter((file) =>
        existsSync(join(dir, file)),
      );
      if (taken.length > 0) {
        throw new CliError(
          `${dir} has ${taken.join(', ')} already; nothing was written. Choose an empty directory.`,
        );
      }
      for (const [file, text] of Object.entries(files)) {
        mkdirSync(dirname(join(dir, file)), { recursive: true });
        writeFileSync(join(dir, file), text, { flag: 'wx' });
      }
      writeKey(join(dir, ISSUER_KEY), issuer);
      writeKey(join(dir, AGENT_KEY), agent);
      const written = [...Object.keys(files), ISSUER_KEY, AGENT_KEY];
      const cd = dir === '.' ? '' : `  cd ${dir}\n`;
      print(
        console,
        options,
        { dir, files: written },
        `wrote ${written.map((file) => join(dir, file)).join(', ')}\n\nNext:\n${cd}  seal-gateway validate\n  seal-gateway serve &\n  seal-gateway status\n  seal-gateway tools\n  seal-gateway call gateway.health\n  seal-gateway audit list`,
      );
    });
}

function scaffold(issuerJwk: string, agentJwk: string): Record<string, string> {
  return {
    '.gitignore': '# Private keys and the store never go into git.\n.seal/\ndata/\n',
    'gateway.yaml': `apiVersion: seal.gateway/v1
kind: GatewayConfig
spec:
  manifests: {dir: ./gateway.d}
  network: {bind_addr: 127.0.0.1:8089}
  database: {url: sqlite://data/gateway.db}
  # Whoever is on this machine may look at what is in force (seal-gateway status). Not for a machine of many.
  auth: {development: true}
`,
    'gateway.d/issuer.yaml': `# Who may sign. This issuer's private key is in ${ISSUER_KEY}: for development only.
apiVersion: seal.gateway/v1
kind: TokenIssuer
metadata: {name: dev}
spec:
  issuer: https://issuer.dev.invalid
  audience: seal-gateway
  algorithms: [EdDSA]
  jwks: {inline: {keys: [${issuerJwk}]}}
  envelope_keys: {inline: {keys: [${agentJwk}]}}
  default_security_context: developer
  allowed_security_contexts: [developer]
`,
    'gateway.d/context.yaml': `# What the development issuer's callers may do.
apiVersion: seal.gateway/v1
kind: SecurityContext
metadata: {name: developer}
spec:
  description: Read-only tools.
  deny_list: ["*.delete"]
  capabilities:
    - tool_pattern: "gateway.*"
`,
    'gateway.d/health.yaml': `# One tool, which asks the gateway itself whether it is well, so that it works without any other server.
apiVersion: seal.gateway/v1
kind: ApiSpec
metadata: {name: gateway}
spec:
  source:
    inline:
      openapi: 3.0.3
      info: {title: SEAL Gateway, version: "1"}
      paths:
        /healthz:
          get: {operationId: health, summary: Whether the gateway is up., responses: {"200": {description: It is.}}}
  base_url: http://127.0.0.1:8089
  egress: {allow_private: true}
---
apiVersion: seal.gateway/v1
kind: ToolWorkflow
metadata: {name: gateway.health}
spec:
  description: Whether the gateway is up.
  api_spec: gateway
  annotations: {read_only: true, idempotent: true}
  input_schema: {type: object, additionalProperties: false}
  steps:
    - name: health
      operation_id: health
      extract: {state: "$.status"}
  output: {status: "{{steps.health.state}}"}
`,
  };
}
