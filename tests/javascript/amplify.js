// A failover and the way back as a page with aws-amplify lives it, and as a back end with aws-jwt-verify sees its tokens.

import assert from 'node:assert/strict';
import { Amplify } from 'aws-amplify';
import {
  confirmResetPassword,
  confirmSignIn,
  confirmSignUp,
  fetchAuthSession,
  fetchUserAttributes,
  resetPassword,
  signIn,
  signOut,
  signUp,
} from 'aws-amplify/auth';
import { CognitoJwtVerifier } from 'aws-jwt-verify';
import { Authenticator, ask, code, osaka, PASSWORD, refused, tokyo } from './support.js';

const TARO = 'taro@example.jp';
const HANAKO = 'hanako@example.jp';

function use({ pool, client, endpoint }) {
  Amplify.configure({
    Auth: { Cognito: { userPoolId: pool, userPoolClientId: client, userPoolEndpoint: endpoint } },
  });
}

// The back end trusts both pools. Their keys are where the documentation says, but on this machine.
const backEnd = CognitoJwtVerifier.create(
  [tokyo, osaka].map(({ pool, client, endpoint }) => ({
    userPoolId: pool,
    clientId: client,
    tokenUse: 'id',
    jwksUri: `${endpoint}/${pool}/.well-known/jwks.json`,
  })),
);
await Promise.all(
  [tokyo, osaka].map(async ({ pool, endpoint }) => {
    const keys = await (await fetch(`${endpoint}/${pool}/.well-known/jwks.json`)).json();
    backEnd.cacheJwks(keys, pool);
  }),
);

/** Signs in without an authenticator, registers one, and returns it with what the back end reads in the ID token. */
async function enroll(username, password) {
  const step = await signIn({ username, password });
  assert.equal(step.nextStep.signInStep, 'CONTINUE_SIGN_IN_WITH_TOTP_SETUP');
  const phone = new Authenticator(step.nextStep.totpSetupDetails.sharedSecret);
  const { nextStep } = await confirmSignIn({ challengeResponse: phone.next() });
  assert.equal(nextStep.signInStep, 'DONE');
  return { phone, claims: await verified() };
}

async function verified(options) {
  const { tokens } = await fetchAuthSession(options);
  return backEnd.verify(tokens.idToken.toString());
}

async function forgotten(city, username, newPassword) {
  const { nextStep } = await resetPassword({ username });
  assert.equal(nextStep.resetPasswordStep, 'CONFIRM_RESET_PASSWORD_WITH_CODE');
  await confirmResetPassword({ username, newPassword, confirmationCode: await code(city, username) });
}

// A normal day in Tokyo.
use(tokyo);
const { nextStep } = await signUp({
  username: TARO,
  password: PASSWORD,
  options: { userAttributes: { email: TARO, 'custom:tenant': 'acme' } },
});
assert.equal(nextStep.signUpStep, 'CONFIRM_SIGN_UP');
await refused('CodeMismatchException', () => confirmSignUp({ username: TARO, confirmationCode: 'wrong' }));
await confirmSignUp({ username: TARO, confirmationCode: await code('TOKYO', TARO) });
const taro = await enroll(TARO, PASSWORD);
assert.equal(taro.claims.email, TARO);
assert.equal((await fetchUserAttributes())['custom:tenant'], 'acme');
const renewed = await verified({ forceRefresh: true });
assert.equal(renewed.origin_jti, taro.claims.origin_jti);
assert.notEqual(renewed.jti, taro.claims.jti);
await signOut({ global: true });

await refused('NotAuthorizedException', () => signIn({ username: TARO, password: 'Wrong-Horse-1' }));
await refused('NotAuthorizedException', () => signIn({ username: 'nobody@example.jp', password: PASSWORD }));
const asked = await signIn({ username: TARO, password: PASSWORD });
assert.equal(asked.nextStep.signInStep, 'CONFIRM_SIGN_IN_WITH_TOTP_CODE');
await confirmSignIn({ challengeResponse: taro.phone.next() });
assert.equal((await verified()).sub, taro.claims.sub);
await signOut();

// Tokyo is lost. Osaka's fence is closed until the operator opens it.
await ask('lose Tokyo');
await refused('NetworkError', () => signIn({ username: TARO, password: PASSWORD }));
use(osaka);
await refused('ForbiddenException', () => resetPassword({ username: TARO }));
await ask('open the fence');

// The replica has neither the password nor the authenticator.
await refused('NotAuthorizedException', () => signIn({ username: TARO, password: PASSWORD }));
await forgotten('OSAKA', TARO, 'Osaka-Horse-2');
const replica = await enroll(TARO, 'Osaka-Horse-2');
assert.equal(replica.claims['custom:origin_sub'], taro.claims.sub);
assert.notEqual(replica.claims.iss, taro.claims.iss);
assert.equal((await verified({ forceRefresh: true })).sub, replica.claims.sub);
await signOut();

// A newcomer signs up in Osaka.
await signUp({ username: HANAKO, password: PASSWORD, options: { userAttributes: { email: HANAKO } } });
await confirmSignUp({ username: HANAKO, confirmationCode: await code('OSAKA', HANAKO) });
const hanako = await enroll(HANAKO, PASSWORD);
await signOut();

// Home again: she is in Tokyo, without her password and her authenticator.
assert.equal(await ask('go home'), 'complete');
use(tokyo);
await refused('NotAuthorizedException', () => signIn({ username: HANAKO, password: PASSWORD }));
await forgotten('TOKYO', HANAKO, 'Tokyo-Horse-3');
const home = await enroll(HANAKO, 'Tokyo-Horse-3');
assert.equal(home.claims['custom:origin_sub'], hanako.claims.sub);
await signOut();
const back = await signIn({ username: TARO, password: PASSWORD });
assert.equal(back.nextStep.signInStep, 'CONFIRM_SIGN_IN_WITH_TOTP_CODE');

process.exit();
