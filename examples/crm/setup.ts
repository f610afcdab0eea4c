/** The example as a whole: the CRM, and the gateway over the manifests of gateway.d. The demo and the tests run it. */
import { createExampleGateway, type ExampleGateway, type ExampleGatewayOptions } from '../gateway.ts';
import { type Crm, startCrm } from './server.ts';

const MANIFESTS = new URL('../../gateway.d', import.meta.url).pathname;

export interface Example extends Omit<ExampleGateway, 'remove'> {
  readonly crm: Crm;
  close(): Promise<void>;
}

/** Makes the directory and starts the CRM; the gateway is started by the caller, or several when they share a store. */
export async function setUp(
  options: Pick<ExampleGatewayOptions, 'database' | 'configuration'> = {},
): Promise<Example> {
  const crm = await startCrm();
  const { remove, ...gateway } = await createExampleGateway({
    name: 'crm',
    manifests: MANIFESTS,
    replace: { 'http://127.0.0.1:9001': crm.url },
    contexts: ['billing-*'],
    context: 'billing-read',
    ...options,
  });
  return {
    ...gateway,
    crm,
    async close() {
      await crm.close();
      remove();
    },
  };
}
