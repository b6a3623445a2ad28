// What the scripts share. The test that runs a script is in tests/local-regions/tests/regions/clients.rs; it answers the questions that
// a script writes to its output, one line each.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createInterface } from 'node:readline';

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the test for something that a page cannot do: read a mailbox, lose a region, go home. */
export async function ask(what, more = {}) {
  process.stdout.write(`${JSON.stringify({ ask: what, ...more })}\n`);
  const { value } = await answers.next();
  return JSON.parse(value);
}

/** The last code that was sent to an address. */
export const code = (city, to) => ask('code', { city, to });

/** An authenticator app that never shows a code twice, because Cognito accepts each only once. */
export class Authenticator {
  #secret;
  #last = 0;

  constructor(secret) {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
    const bits = [...secret].map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('');
    this.#secret = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  }

  next() {
    const now = Math.floor(Date.now() / 30_000);
    const step = Math.max(this.#last + 1, now - 1);
    assert.ok(step <= now + 1, 'every code that is valid now was used');
    this.#last = step;
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const digest = createHmac('sha1', this.#secret).update(counter).digest();
    const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
    return String(number % 1_000_000).padStart(6, '0');
  }
}

/** One city: its pool, its app client and its endpoint, from the environment. */
const city = (name) => ({
  name,
  pool: process.env[`${name}_POOL`],
  client: process.env[`${name}_CLIENT`],
  endpoint: process.env[`${name}_ENDPOINT`],
});
export const tokyo = city('TOKYO');
export const osaka = city('OSAKA');

export const PASSWORD = 'Correct-Horse-1';

export async function refused(name, call) {
  await assert.rejects(call, (error) => {
    assert.equal(error.name, name, `${error.name}: ${error.message}`);
    return true;
  });
}
