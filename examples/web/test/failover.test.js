// A failover as people meet it, in a real browser, with the real commands. UPDATE_IMAGES=1 takes the pictures of the guide.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const TARGET = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL('../../../target', import.meta.url));
const DEMO = join(TARGET, 'debug/demo');
const IMAGES = new URL('../../../docs/images/', import.meta.url);
const OLD = 'Correct-horse-1';
const NEW = 'Another-staple-2';

const missing = [CHROMIUM, DEMO].filter((file) => !existsSync(file));
if (missing.length > 0 && process.env.CI) throw new Error(`${missing.join(' and ')} is missing`);
const skip = missing.length > 0 && `${missing.join(' and ')} is missing, so no browser can play the failover`;

let demo;
let browser;
let page;

before(async () => {
  if (skip) return;
  demo = spawn(DEMO, ['--port', '0', '--regions', '0', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: demo.stdout });
  const { value } = await lines[Symbol.asyncIterator]().next();
  const [url] = value.match(/http:\S+/);
  // Chromium's sandbox does not work for root, as which CI runs.
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  });
  page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
  page.setDefaultTimeout(120_000);
  await page.goto(url);
});

after(async () => {
  await browser?.close();
  demo?.kill();
});

/** Takes a picture for the guide. */
async function picture(name) {
  const path = fileURLToPath(new URL(`${name}.png`, IMAGES));
  // Of the whole page, because a press on something further down has scrolled there.
  if (process.env.UPDATE_IMAGES) await page.locator('body').screenshot({ path });
}

const screen = (name) => page.locator(`[data-screen=${name}]:visible`);

/** Fills in the form that is shown, and sends it. */
async function send(name, fields) {
  const form = screen(name);
  for (const [field, value] of Object.entries(fields)) await form.locator(`input[name=${field}]`).fill(value);
  await form.locator('button:not([type=button])').click();
}

/** Presses a button of the operator, and waits for what it prints. The command itself is printed, too, but proves nothing. */
async function press(step, prints) {
  const log = page.locator('#log');
  const before = await log.textContent();
  await page.locator(`#steps [data-step=${step}]:enabled`).click();
  await page.waitForFunction((old) => document.querySelector('#log').textContent !== old, before);
  const printed = (await log.textContent()).slice(before.length);
  assert.match(printed, prints);
  assert.doesNotMatch(printed, /exit code/);
}

const message = (text) => page.locator('#message:visible', { hasText: text }).waitFor();

/** The newest code that a city has mailed to somebody. */
async function mailed(city, to) {
  const letter = page.locator('#mailbox li', { hasText: `from ${city} to ${to}:` }).first();
  return (await letter.textContent()).match(/\d{6}$/)[0];
}

/** A code of somebody's newest entry in the authenticator. */
async function codeOf(email, pool) {
  const entry = page.locator('#authenticator li', { hasText: `${email} in ${pool}` }).first();
  await entry.locator('button').click();
  return entry.locator('b').textContent();
}

async function signUp(city, email) {
  await screen('sign-in').getByText('Create an account').click();
  await send('sign-up', { email, password: OLD });
  await send('confirm-sign-up', { code: await mailed(city, email) });
  await message('Your account is ready');
}

async function chooseNewPassword(city, email) {
  await screen('sign-in').getByText('Choose a new password').click();
  await send('forgot-password', { email });
  await send('new-password', { code: await mailed(city, email), password: NEW });
  await message('Your new password is ready');
}

/** Signs in with a password for the first time in a pool, and returns what the page says about the person. */
async function signInFirst(pool, email, password, name) {
  await send('sign-in', { email, password });
  await screen('set-up-authenticator').waitFor();
  if (name) await picture(name);
  await send('set-up-authenticator', { code: await codeOf(email, pool) });
  return whoIsSignedIn();
}

async function whoIsSignedIn() {
  await screen('home').waitFor();
  const text = (id) => page.locator(`#${id}`).textContent();
  return { sub: await text('sub'), identity: await text('identity') };
}

test(
  'given two regions, when one is lost and comes back, then everybody gets in with the same identity',
  { skip },
  async () => {
    const [tokyo, osaka] = ['ap-northeast-1', 'ap-northeast-3'];
    const [taro, hanako] = ['taro@example.jp', 'hanako@example.jp'];

    // A normal day.
    await signUp('Tokyo', taro);
    const taroInTokyo = await signInFirst(tokyo, taro, OLD);
    assert.equal(taroInTokyo.identity, taroInTokyo.sub);
    await picture('application-1-normal-day');

    // Tokyo is lost.
    await press('lose-tokyo', /Nothing in Tokyo answers/);
    await page.locator('#refresh').click();
    await message('We cannot reach our sign-in service');
    await picture('application-2-tokyo-is-lost');

    // The operator switches to Osaka.
    await press('open-fence', /is now open/);
    await press('use-osaka', /"active": "secondary"/);
    await message('You were signed out');
    await send('sign-in', { email: taro, password: OLD });
    await message('choose a new one');
    await picture('application-3-switched');

    // A replica chooses a password, and sets up an authenticator.
    await chooseNewPassword('Osaka', taro);
    const taroInOsaka = await signInFirst(osaka, taro, NEW, 'application-4-authenticator');
    assert.notEqual(taroInOsaka.sub, taroInTokyo.sub);
    assert.equal(taroInOsaka.identity, taroInTokyo.identity);
    await picture('application-5-replica');

    // A newcomer signs up.
    await page.locator('#sign-out').click();
    await signUp('Osaka', hanako);
    const hanakoInOsaka = await signInFirst(osaka, hanako, OLD);

    // Tokyo is back.
    await press('tokyo-is-back', /Tokyo answers again/);
    await press('bring-home', /Every user in scope is restored/);

    // Nobody new comes, and the last ones are brought home.
    await press('no-sign-ups', /open except for sign-ups/);
    await page.locator('#sign-out').click();
    await screen('sign-in').getByText('Create an account').click();
    await send('sign-up', { email: 'jiro@example.jp', password: OLD });
    await message('This is closed for a moment');
    await picture('application-6-no-sign-ups');
    await press('bring-home', /Every user in scope is restored/);
    await press('maintenance', /"active": "maintenance"/);
    await screen('maintenance').waitFor();
    await picture('application-7-maintenance');
    await press('use-tokyo', /"active": "primary"/);
    await screen('sign-in').waitFor();

    // The newcomer is home, without a password.
    await send('sign-in', { email: hanako, password: OLD });
    await message('choose a new one');
    await chooseNewPassword('Tokyo', hanako);
    const hanakoInTokyo = await signInFirst(tokyo, hanako, NEW);
    assert.notEqual(hanakoInTokyo.sub, hanakoInOsaka.sub);
    assert.equal(hanakoInTokyo.identity, hanakoInOsaka.identity);
    await picture('application-8-newcomer-is-home');

    // Who was there before uses the old password and the old authenticator.
    await page.locator('#sign-out').click();
    await send('sign-in', { email: taro, password: OLD });
    await send('code', { code: await codeOf(taro, tokyo) });
    assert.deepEqual(await whoIsSignedIn(), taroInTokyo);

    // The fence is closed again.
    await press('close-fence', /is now closed/);
    await press('status', /fence +closed/);
  },
);
