// The sign-in page: which form is shown, and the calls of Amplify behind each.

import {
  confirmResetPassword,
  confirmSignIn,
  confirmSignUp,
  fetchAuthSession,
  resetPassword,
  signIn,
  signOut,
  signUp,
} from 'aws-amplify/auth';
import { readConfiguration, watchConfiguration } from './configuration.js';
import { showDrill } from './drill.js';
import { identityOf } from './identity.js';
import { forgetSession, useActivePool } from './pool.js';
import { retrying } from './retry.js';
import { screenForError, screenForStep } from './screens.js';

const MESSAGES = {
  'wrong-or-switched':
    'The email address or the password is not right. If you have not chosen a password since we moved our sign-in page to another region, choose a new one.',
  'choose-a-new-password': 'Choose a new password before you sign in.',
  'enter-the-code': 'Enter the code that we have sent to your address.',
  'you-have-an-account': 'You have an account already. Sign in, or choose a new password.',
  'closed-for-a-moment': 'This is closed for a moment. Please try again in some minutes.',
  unreachable: 'We cannot reach our sign-in service. Please try again in some minutes.',
  busy: 'Very many people are signing in. Please try again in a minute.',
  'wrong-code': 'This code is not right, or it is too old.',
  'weak-password': 'This password is too simple: it needs 8 characters, upper and lower case, a number and a symbol.',
  unexpected: 'Something went wrong. Please try again.',
  'signed-up': 'Your account is ready. Sign in.',
  'password-changed': 'Your new password is ready. Sign in.',
  'signed-out': 'You were signed out, because we moved our sign-in page to another region.',
};

const all = (selector) => document.querySelectorAll(selector);
const find = (selector) => document.querySelector(selector);
const drill = showDrill();
let email = '';
let active;

function show(screen, message) {
  for (const element of all('[data-screen]')) element.hidden = element.dataset.screen !== screen;
  for (const input of all('input[name=email]')) input.value = email;
  for (const input of all('input:not([name=email])')) input.value = '';
  find('#message').hidden = !message;
  find('#message').textContent = message ? MESSAGES[message] : '';
}

// region: start
// Put your address here, on a host outside of the region that may be lost.
const read = () => readConfiguration('configuration.json', localStorage);

async function start() {
  const configuration = await read();
  active = configuration.active;
  // An open page looks twice a minute. In the drill, it looks more often.
  watchConfiguration(read, active, () => location.reload(), drill ? 2 : 30);
  find('#pool').textContent = configuration[active]?.userPoolId ?? 'none';
  if (active === 'maintenance') return show('maintenance');
  const wasSignedIn = Object.keys(localStorage).some((key) => key.endsWith('.accessToken'));
  useActivePool(configuration, localStorage);
  const session = await fetchAuthSession();
  if (session.tokens) return showHome(session);
  show('sign-in', wasSignedIn ? 'signed-out' : undefined);
}
// endregion

function showHome(session) {
  const claims = session.tokens.idToken.payload;
  show('home');
  find('#email').textContent = claims.email;
  find('#sub').textContent = claims.sub;
  find('#identity').textContent = identityOf(claims);
}

async function afterStep({ signInStep, totpSetupDetails }) {
  if (signInStep === 'DONE') return showHome(await fetchAuthSession());
  if (totpSetupDetails) {
    find('#secret').textContent = totpSetupDetails.sharedSecret;
    drill?.addSecret(email, totpSetupDetails.sharedSecret);
  }
  show(screenForStep(signInStep));
}

const ACTIONS = {
  'sign-in': async ({ password }) => {
    const { nextStep } = await retrying(() => signIn({ username: email, password }));
    await afterStep(nextStep);
  },
  'sign-up': async ({ password }) => {
    await retrying(() => signUp({ username: email, password, options: { userAttributes: { email } } }));
    show('confirm-sign-up');
  },
  'confirm-sign-up': async ({ code }) => {
    await confirmSignUp({ username: email, confirmationCode: code });
    show('sign-in', 'signed-up');
  },
  'forgot-password': async () => {
    await retrying(() => resetPassword({ username: email }));
    show('new-password');
  },
  'new-password': async ({ code, password }) => {
    await confirmResetPassword({ username: email, confirmationCode: code, newPassword: password });
    show('sign-in', 'password-changed');
  },
  'set-up-authenticator': async ({ code }) => {
    const { nextStep } = await confirmSignIn({ challengeResponse: code });
    await afterStep(nextStep);
  },
  code: async ({ code }) => {
    const { nextStep } = await confirmSignIn({ challengeResponse: code });
    await afterStep(nextStep);
  },
};

/** Does something for the person, and shows what an error means to them. */
async function perform(action, current) {
  find('#message').hidden = true;
  const buttons = all('#application button');
  for (const button of buttons) button.disabled = true;
  try {
    await action();
  } catch (error) {
    const { screen, message, mayHaveSwitched } = screenForError(error);
    show(screen ?? current, message);
    if (mayHaveSwitched && (await read()).active !== active) location.reload();
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

for (const form of all('form')) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    email = given.email ?? email;
    perform(() => ACTIONS[form.dataset.screen](given), form.dataset.screen);
  });
}
for (const button of all('[data-show]')) {
  button.addEventListener('click', () => {
    const typed = button.closest('form')?.elements.email?.value;
    email = typed ?? email;
    show(button.dataset.show);
  });
}
find('#refresh').addEventListener('click', () =>
  perform(async () => {
    const session = await fetchAuthSession({ forceRefresh: true });
    if (session.tokens) showHome(session);
    else show('sign-in');
  }, 'home'),
);
find('#sign-out').addEventListener('click', () =>
  perform(async () => {
    await Promise.race([signOut(), new Promise((resolve) => setTimeout(resolve, 3000))]);
    forgetSession(localStorage);
    show('sign-in');
  }, 'home'),
);

perform(start, 'unexpected');
