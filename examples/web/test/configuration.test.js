import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { readConfiguration, watchConfiguration } from '../src/configuration.js';

const EXAMPLE = JSON.parse(readFileSync(new URL('../configuration.json', import.meta.url)));

/** What a browser's localStorage does, as far as the code needs it. */
function emptyStorage() {
  const values = new Map();
  return { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => values.set(key, value) };
}

let body = '';
const host = createServer((_, answer) => answer.end(body));
let url;

before(async () => {
  await new Promise((listening) => host.listen(0, '127.0.0.1', listening));
  url = `http://127.0.0.1:${host.address().port}/configuration.json`;
});
after(() => host.close());

test('given the configuration of the guide, when it is read, then it is accepted', async () => {
  body = JSON.stringify(EXAMPLE);

  assert.deepEqual(await readConfiguration(url, emptyStorage()), EXAMPLE);
});

test('given a host that does not answer, when it answered before, then its last configuration is used', async () => {
  const storage = emptyStorage();
  body = JSON.stringify({ ...EXAMPLE, active: 'secondary' });
  await readConfiguration(url, storage);

  const nobody = 'http://127.0.0.1:1/configuration.json';
  assert.equal((await readConfiguration(nobody, storage)).active, 'secondary');
  await assert.rejects(readConfiguration(nobody, emptyStorage()));
});

test('given something else than a configuration, when it is read, then the last configuration is used', async () => {
  const storage = emptyStorage();
  body = JSON.stringify(EXAMPLE);
  await readConfiguration(url, storage);

  const wrong = [
    '<html>404</html>',
    '{}',
    JSON.stringify({ ...EXAMPLE, active: 'osaka' }),
    JSON.stringify({ ...EXAMPLE, secondary: {} }),
  ];
  for (body of wrong) {
    assert.equal((await readConfiguration(url, storage)).active, 'primary', body);
    await assert.rejects(readConfiguration(url, emptyStorage()), undefined, body);
  }
});

test('given a page that watches, when the operator switches, then it starts again once', async () => {
  const answers = ['primary', 'error', 'secondary'];
  const read = async () => {
    const active = answers.shift();
    if (active === 'error') throw new Error('no answer');
    return { active };
  };

  await new Promise((startAgain) => watchConfiguration(read, 'primary', startAgain, 0.01));

  assert.deepEqual(answers, []);
});
