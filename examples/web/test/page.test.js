import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Amplify } from 'aws-amplify';
import { identityOf } from '../src/identity.js';
import { useActivePool } from '../src/pool.js';
import { retrying } from '../src/retry.js';
import { screenForError, screenForStep } from '../src/screens.js';

const pool = (name) => ({ userPoolId: `ap-northeast-1_${name}`, clientId: name });
const configuration = (active) => ({ active, primary: pool('first'), secondary: pool('second') });

/** A localStorage: its values are properties, as in a browser. */
class Storage {
  getItem(key) {
    return this[key] ?? null;
  }
  setItem(key, value) {
    this[key] = value;
  }
  removeItem(key) {
    delete this[key];
  }
}

test('given a session, when another pool becomes active, then its tokens and device keys are deleted and nothing else', () => {
  const storage = new Storage();
  useActivePool(configuration('primary'), storage);
  const ofSession = ['first.LastAuthUser', 'first.taro.accessToken', 'first.taro.refreshToken', 'first.taro.deviceKey'];
  for (const key of ofSession) storage.setItem(`CognitoIdentityServiceProvider.${key}`, 'x');
  storage.setItem('basket', '3 apples');

  useActivePool(configuration('primary'), storage);
  assert.equal(storage.getItem('CognitoIdentityServiceProvider.first.taro.refreshToken'), 'x');

  useActivePool(configuration('secondary'), storage);
  assert.deepEqual({ ...storage }, { basket: '3 apples', pool: 'ap-northeast-1_second' });
  assert.equal(Amplify.getConfig().Auth.Cognito.userPoolClientId, 'second');
});

test('given tokens of both pools, when the identity is read, then it is the one of the first sign-up', () => {
  assert.equal(identityOf({ sub: 'in-tokyo' }), 'in-tokyo');
  assert.equal(identityOf({ sub: 'in-osaka', 'custom:origin_sub': 'in-tokyo' }), 'in-tokyo');
  assert.equal(identityOf({ sub: 'in-osaka', 'custom:origin_sub': '' }), 'in-osaka');
});

test('given what a person meets after a switch, when it is shown, then the screen leads them on', () => {
  const screen = (name) => screenForError({ name });

  assert.equal(screenForStep('CONTINUE_SIGN_IN_WITH_TOTP_SETUP'), 'set-up-authenticator');
  assert.equal(screenForStep('DONE'), 'home');
  assert.equal(screenForStep('CONFIRM_SIGN_IN_WITH_SMS_CODE'), 'unexpected');
  assert.equal(screen('PasswordResetRequiredException').screen, 'forgot-password');
  assert.equal(screen('NotAuthorizedException').message, 'wrong-or-switched');
  assert.equal(screen('ForbiddenException').message, 'closed-for-a-moment');
  for (const error of ['NetworkError', 'ForbiddenException']) assert.ok(screen(error).mayHaveSwitched, error);
  assert.equal(screen('SomethingNewException').message, 'unexpected');
});

test('given a throttled call, when it is repeated, then the pauses are random, bounded, and the last error is thrown', async () => {
  const throttled = Object.assign(new Error(), { name: 'TooManyRequestsException' });
  const pauses = [];
  const sleep = async (milliseconds) => pauses.push(milliseconds);
  let calls = 0;
  const succeedingAt = (call) => async () => {
    calls += 1;
    if (calls < call) throw throttled;
    return 'done';
  };

  assert.equal(await retrying(succeedingAt(3), { sleep }), 'done');
  await assert.rejects(retrying(succeedingAt(99), { attempts: 8, sleep }), throttled);
  const other = new Error('another');
  await assert.rejects(
    retrying(() => Promise.reject(other), { sleep }),
    other,
  );

  assert.equal(pauses.length, 2 + 7);
  assert.equal(new Set(pauses).size, 9);
  assert.ok(pauses.every((pause) => pause >= 0 && pause <= 30_000));
});
