/** Token exchange against a real Keycloak (standard, V2): `make ci`, which fetches it from Maven Central. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createHumanDelegated } from '../../src/credentials/human-delegated.ts';
import { reveal, Secret } from '../../src/credentials/secret.ts';
import { createTokenExchange, type TokenExchange } from '../../src/credentials/token-exchange.ts';
import { USER_ALGORITHMS, verifyUser } from '../../src/envelope/user.ts';
import { silentLog } from '../../src/log.ts';
import { operatorKeys } from '../../src/reconcile/operator-keys.ts';
import { type Keycloak, keycloakHome, startKeycloak } from '../support/keycloak/server.ts';
import { aPrincipal, aTenant } from '../support/principal.ts';

const full = process.env.SEAL_TEST_FULL === '1';

describe.skipIf(!full)('token exchange with Keycloak (SKIPPED without SEAL_TEST_FULL=1: make ci)', () => {
  let keycloak: Keycloak;
  const exchanges: TokenExchange[] = [];

  beforeAll(async () => {
    const home = keycloakHome();
    if (home === null) throw new Error('there is no Keycloak in node_modules/.cache/keycloak: make keycloak');
    keycloak = await startKeycloak(home);
  }, 450_000);
  afterAll(async () => {
    for (const exchange of exchanges) await exchange.close();
    await keycloak?.close();
  });

  function delegated(client_secret = 'gateway-secret') {
    const url = `${keycloak.issuer}/protocol/openid-connect/token`;
    const client = {
      client_id: 'seal-gateway',
      client_secret: new Secret(client_secret),
      client_auth: 'basic' as const,
    };
    const exchange = createTokenExchange({ url, ...client, timeout_ms: 30_000, ca: null });
    exchanges.push(exchange);
    const keys = operatorKeys(`${keycloak.issuer}/protocol/openid-connect/certs`, USER_ALGORITHMS, {
      clock: systemClock,
      log: silentLog,
    });
    const issuer = { issuer: keycloak.issuer, audience: 'seal-gateway', keys, tenant_claim: 'tenant_id' };
    const verify = (jwt: string) => verifyUser(jwt, issuer, systemClock.now());
    return createHumanDelegated({ exchange: exchange.exchange, verify, clock: systemClock });
  }
  const olga = async () => {
    const user_token = new Secret(await keycloak.userToken());
    return aPrincipal({ tenant: aTenant('acme'), user_token, allow_human_delegated: true });
  };

  test("a user's token becomes one of the target service", async () => {
    const principal = await olga();
    const { value, facts } = await delegated()({ kind: 'human_delegated', target_service: 'crm' }, principal);
    const claims = decodeJwt(reveal(value!));
    expect([claims.aud].flat()).toContain('crm');
    expect(claims).toMatchObject({
      iss: keycloak.issuer,
      azp: 'seal-gateway',
      sub: decodeJwt(reveal(principal.user_token!)).sub,
    });
    expect(facts).toMatchObject({ cached: false, user: claims.sub });
  });

  test('an audience that is not available is told', async () => {
    const failed = delegated()({ kind: 'human_delegated', target_service: 'erp' }, await olga());
    await expect(failed).rejects.toThrow(
      /the audience may not be available to this client \(invalid_request\)/,
    );
  });

  test('a client that is not known is told', async () => {
    const failed = delegated('wrong-secret')(
      { kind: 'human_delegated', target_service: 'crm' },
      await olga(),
    );
    await expect(failed).rejects.toThrow(/\((?:invalid_client|unauthorized_client)\)/);
  });
});
