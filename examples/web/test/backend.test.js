import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { handler } from '../backend/pre-token-generation.js';
import { createVerifier, whoIs } from '../backend/verifier.js';

const folder = mkdtempSync(join(tmpdir(), 'keys-'));
after(() => rmSync(folder, { recursive: true }));

/** A pool with a key pair, whose key document is in a file. */
function poolWithKeys(region, name) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const userPoolId = `${region}_${name}`;
  const keys = join(folder, `${name}.json`);
  const key = { ...publicKey.export({ format: 'jwk' }), kid: 'key', alg: 'RS256', use: 'sig' };
  writeFileSync(keys, JSON.stringify({ keys: [key] }));
  const encoded = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const sign = (claims) => {
    const now = Math.floor(Date.now() / 1000);
    const all = {
      iss: `https://cognito-idp.${region}.amazonaws.com/${userPoolId}`,
      client_id: name,
      token_use: 'access',
      iat: now,
      exp: now + 3600,
      ...claims,
    };
    const text = `${encoded({ alg: 'RS256', kid: 'key' })}.${encoded(all)}`;
    return `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey, 'base64url')}`;
  };
  return { userPoolId, clientId: name, keys, sign };
}

const primary = poolWithKeys('ap-northeast-1', 'first');
const secondary = poolWithKeys('ap-northeast-3', 'second');
const stranger = poolWithKeys('ap-northeast-3', 'stranger');

test('given the key documents in files, when tokens of either pool come, then both are accepted without a call', async () => {
  const verifier = createVerifier({ primary, secondary });

  assert.equal(await whoIs(verifier, primary.sign({ sub: 'a', identity: 'a' })), 'a');
  assert.equal(await whoIs(verifier, secondary.sign({ sub: 'b', identity: 'a' })), 'a');
});

test('given tokens that are not for this back end, when they come, then they are refused', async () => {
  const verifier = createVerifier({ primary, secondary });
  const { iss } = JSON.parse(Buffer.from(secondary.sign({}).split('.')[1], 'base64url'));

  for (const token of [
    stranger.sign({ identity: 'a' }),
    stranger.sign({ identity: 'a', iss, client_id: 'second' }),
    secondary.sign({ identity: 'a', client_id: 'another' }),
    secondary.sign({ identity: 'a', token_use: 'id' }),
    secondary.sign({ identity: 'a', exp: 1 }),
    secondary.sign({ sub: 'without an identity' }),
  ]) {
    await assert.rejects(whoIs(verifier, token));
  }
});

test('given the events of both pools, when tokens are generated, then both tokens carry the identity', async () => {
  const event = (userAttributes) => ({
    request: { userAttributes },
    response: { claimsAndScopeOverrideDetails: null },
  });
  const identity = async (attributes) => {
    const { idTokenGeneration, accessTokenGeneration } = (await handler(event(attributes))).response
      .claimsAndScopeOverrideDetails;
    assert.deepEqual(idTokenGeneration, accessTokenGeneration);
    return accessTokenGeneration.claimsToAddOrOverride.identity;
  };

  assert.equal(await identity({ sub: 'a' }), 'a');
  assert.equal(await identity({ sub: 'b', 'custom:origin_sub': 'a' }), 'a');
});
