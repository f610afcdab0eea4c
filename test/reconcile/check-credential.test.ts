import { expect, test } from 'vitest';
import { createCompiler } from './compiled.ts';

const api = (credential: string, base_url: string, more = '') => `apiVersion: seal.gateway/v1
kind: ApiSpec
metadata: {name: crm}
spec:
  source: {inline: {openapi: 3.0.3, info: {title: CRM, version: "1"}, paths: {/a: {get: {responses: {"200": {description: Fine.}}}}}}}
  base_url: ${base_url}
  credential: ${credential}
${more}`;

const said = async (text: string, bindings?: boolean) => {
  const compiler = createCompiler({ bindings });
  await compiler.next({ 'crm.yaml': text });
  return compiler.said();
};

test('user_bound is refused where the store keeps no bindings, with the reason', async () => {
  const text = api('{user_bound: {provider: github}}', 'https://crm.example');
  expect(await said(text, false)).toEqual([
    expect.stringMatching(
      /^crm\.yaml:7:28: .*kept in Postgres, and this gateway keeps its data in SQLite.*set database\.url to a postgres/s,
    ),
  ]);
  expect(await said(text, true)).toEqual([]);
  expect(await said(text)).toEqual([]);
});

test('a credential over plain HTTP is refused, save to this machine or where the manifest says so', async () => {
  const credential = '{static_ref: {key: crm}}';
  expect(await said(api(credential, 'http://crm.example'))).toEqual([
    expect.stringContaining('the credential would go over plain HTTP to crm.example'),
  ]);
  const here = api(credential, 'http://127.0.0.1:9001', '  egress: {allow_private: true}\n');
  expect(await said(here)).toEqual([]);
  expect(await said(api(credential, 'https://crm.example'))).toEqual([]);
  expect(await said(api('{none: {}}', 'http://crm.example'))).toEqual([]);
  expect(
    await said(api(credential, 'http://crm.example', '  egress: {plain_http_credentials: true}\n')),
  ).toEqual([]);
});
