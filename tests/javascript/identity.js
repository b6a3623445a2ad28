// A page with amazon-cognito-identity-js: sign-up, authenticator, renewal and the end of a session.

import assert from 'node:assert/strict';
import {
  AuthenticationDetails,
  CognitoUser,
  CognitoUserAttribute,
  CognitoUserPool,
} from 'amazon-cognito-identity-js';
import { Authenticator, code, PASSWORD, refused, tokyo } from './support.js';

const JIRO = 'jiro@example.jp';
const pool = new CognitoUserPool({ UserPoolId: tokyo.pool, ClientId: tokyo.client, endpoint: tokyo.endpoint });
const user = () => new CognitoUser({ Username: JIRO, Pool: pool });

/** A call with a callback as a promise. */
const called = (call) =>
  new Promise((resolve, reject) => call((error, answer) => (error ? reject(error) : resolve(answer))));

/** What the client asks next, or the session. */
const authenticate = (person, Password) =>
  new Promise((resolve, reject) =>
    person.authenticateUser(new AuthenticationDetails({ Username: JIRO, Password }), {
      onSuccess: (session) => resolve({ session }),
      onFailure: reject,
      mfaSetup: () => resolve({ asked: 'MFA_SETUP' }),
      totpRequired: () => resolve({ asked: 'SOFTWARE_TOKEN_MFA' }),
    }),
  );

const attributes = [new CognitoUserAttribute({ Name: 'email', Value: JIRO })];
await called((done) => pool.signUp(JIRO, PASSWORD, attributes, null, done));
await refused('UserNotConfirmedException', () => authenticate(user(), PASSWORD));
const digits = await code('TOKYO', JIRO);
await called((done) => user().confirmRegistration(digits, true, done));
await refused('NotAuthorizedException', () => authenticate(user(), 'Wrong-Horse-1'));

const first = user();
assert.equal((await authenticate(first, PASSWORD)).asked, 'MFA_SETUP');
const secret = await new Promise((resolve, reject) =>
  first.associateSoftwareToken({ associateSecretCode: resolve, onFailure: reject }),
);
const phone = new Authenticator(secret);
await new Promise((onSuccess, onFailure) => first.verifySoftwareToken(phone.next(), 'phone', { onSuccess, onFailure }));

const second = user();
assert.equal((await authenticate(second, PASSWORD)).asked, 'SOFTWARE_TOKEN_MFA');
const session = await new Promise((onSuccess, onFailure) =>
  second.sendMFACode(phone.next(), { onSuccess, onFailure }, 'SOFTWARE_TOKEN_MFA'),
);
assert.equal(session.getIdToken().payload.email, JIRO);
const renewed = await called((done) => second.refreshSession(session.getRefreshToken(), done));
assert.notEqual(renewed.getAccessToken().getJwtToken(), session.getAccessToken().getJwtToken());
const data = await called((done) => second.getUserData(done, { bypassCache: true }));
assert.deepEqual(data.UserMFASettingList, ['SOFTWARE_TOKEN_MFA']);
await called((done) => second.changePassword(PASSWORD, 'Another-Horse-2', done));
await new Promise((onSuccess, onFailure) => second.globalSignOut({ onSuccess, onFailure }));
await refused('NotAuthorizedException', () =>
  called((done) => second.refreshSession(session.getRefreshToken(), done)),
);
await refused('NotAuthorizedException', () => authenticate(user(), PASSWORD));
assert.equal((await authenticate(user(), 'Another-Horse-2')).asked, 'SOFTWARE_TOKEN_MFA');

process.exit();
