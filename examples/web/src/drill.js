// What stands beside the page in `make demo`: the operator's buttons, the mailbox and an authenticator app. It is no part of an application.

const find = (selector) => document.querySelector(selector);
const SECRETS = 'drill.secrets';

/** Shows the drill, if this page is served by it. Returns what the page tells it. */
export function showDrill() {
  if (document.documentElement.dataset.drill === undefined) return null;
  find('#drill').hidden = false;
  showAuthenticator();
  refresh();
  return { addSecret };
}

async function refresh() {
  try {
    const state = await (await fetch('drill/state', { cache: 'no-store' })).json();
    showState(state);
  } finally {
    setTimeout(refresh, 700);
  }
}

function showState({ regions, steps, mails, log, running }) {
  const badge = ({ city, lost, facts }) => {
    const element = text('span', `${city}${lost ? ': lost' : ''}`);
    element.className = lost ? 'city lost' : 'city';
    return [element, ` ${facts} `];
  };
  find('#regions').replaceChildren(...regions.flatMap(badge));
  const buttons = find('#steps');
  if (buttons.childElementCount === 0) buttons.replaceChildren(...steps.map(button));
  for (const element of buttons.children) element.disabled = running;
  if (find('#log').textContent !== log) {
    find('#log').textContent = log;
    find('#log').scrollTop = find('#log').scrollHeight;
  }
  const letters = mails.map(({ city, to, code }) => text('li', `from ${city} to ${to}: ${code}`));
  find('#mailbox').replaceChildren(...letters);
}

function button({ id, label }) {
  const element = text('button', label);
  element.dataset.step = id;
  element.addEventListener('click', async () => {
    element.disabled = true;
    await fetch(`drill/steps/${id}`, { method: 'POST' });
  });
  return element;
}

function text(tag, content) {
  const element = document.createElement(tag);
  element.textContent = content;
  return element;
}

const secrets = () => JSON.parse(localStorage.getItem(SECRETS) ?? '[]');

function addSecret(email, secret) {
  const pool = find('#pool').textContent;
  localStorage.setItem(SECRETS, JSON.stringify([...secrets(), { email, pool, secret, last: 0 }]));
  showAuthenticator();
}

function showAuthenticator() {
  const entry = ({ email, pool }, index) => {
    const element = text('li', `${email} in ${pool} `);
    const show = text('button', 'Show a code');
    show.addEventListener('click', async () => {
      const code = await nextCode(index);
      element.replaceChildren(`${email} in ${pool} `, text('b', code), ' ', show);
    });
    element.append(show);
    return element;
  };
  find('#authenticator').replaceChildren(...secrets().map(entry).reverse());
}

/** RFC 6238. A code is accepted only once, so the next one is shown early where this one was shown already. */
async function nextCode(index) {
  const entries = secrets();
  const entry = entries[index];
  const step = Math.max(Math.floor(Date.now() / 30_000), entry.last + 1);
  entry.last = step;
  localStorage.setItem(SECRETS, JSON.stringify(entries));
  const key = await crypto.subtle.importKey('raw', base32(entry.secret), { name: 'HMAC', hash: 'SHA-1' }, false, [
    'sign',
  ]);
  const counter = new DataView(new ArrayBuffer(8));
  counter.setUint32(4, step);
  const digest = new DataView(await crypto.subtle.sign('HMAC', key, counter));
  const at = digest.getUint8(19) & 15;
  return String((digest.getUint32(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

function base32(secret) {
  let bits = '';
  for (const letter of secret.replace(/=+$/, '')) {
    bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0');
  }
  return Uint8Array.from(bits.match(/.{8}/g), (byte) => Number.parseInt(byte, 2));
}
