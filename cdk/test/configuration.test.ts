// A configuration is checked before anything is made, and an error names the line and what to mend.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { ConfigurationError, readConfiguration, writeMade } from '../lib/configuration.ts';
import { AROUND_EXISTING, FROM_NOTHING, SINGLE_WAYS } from './app.ts';

const FRESH = resolve(import.meta.dirname, 'fresh.config.ts');

/** A configuration file with this text. */
function file(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'twinpool-configuration-')), 'twinpool.config.mts');
  writeFileSync(path, text);
  return path;
}

/** The fresh configuration, with one thing said differently. */
function freshBut(from: string, to: string): string {
  const text = readFileSync(FRESH, 'utf8');
  assert.ok(text.includes(from), `fresh.config.ts has no ${from}`);
  return file(text.replace(from, to).replace(/^import type.*$/m, ''));
}

/** The line of the fresh configuration that begins like this, after another one. */
function line(beginning: string, after = ''): number {
  const lines = readFileSync(FRESH, 'utf8').split('\n');
  const from = lines.findIndex((line) => line.includes(after));
  return lines.findIndex((line, index) => index >= from && line.trim().startsWith(beginning)) + 1;
}

async function refused(path: string): Promise<string> {
  try {
    await readConfiguration(path);
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.message;
  }
  throw new Error('nothing was wrong with it');
}

test('twinpool.config.ts is one', async () => {
  await readConfiguration(resolve(import.meta.dirname, '../twinpool.config.ts'));
});

test('all ways, and a new twin of an existing pool, are configurations', async () => {
  const twin = { ...FROM_NOTHING, primary: AROUND_EXISTING.primary };
  for (const configuration of [FROM_NOTHING, AROUND_EXISTING, twin, ...Object.values(SINGLE_WAYS)]) {
    await readConfiguration(file(`export default ${JSON.stringify(configuration)};`));
  }
});

for (const { what, from, to, says, at } of [
  {
    what: 'a misspelt region',
    from: "region: 'ap-northeast-1'",
    to: "region: 'tokyo'",
    at: line('region:'),
    says: /primary\.region is "tokyo"\. Give an AWS region/,
  },
  {
    what: 'a twin in the same region',
    from: "region: 'ap-northeast-3'",
    to: "region: 'ap-northeast-1'",
    at: line('region:', 'secondary: {'),
    says: /secondary\.region is the primary's too/,
  },
  {
    what: 'an existing pool without its id',
    from: "pool: 'new'",
    to: "pool: 'existing'",
    at: line('userPoolId:'),
    says: /primary\.userPoolId is ""\. Give the pool's: an id of a pool in ap-northeast-1/,
  },
  {
    what: 'a new pool with an id',
    from: "userPoolId: ''",
    to: "userPoolId: 'ap-northeast-1_AbCdEf123'",
    at: line('userPoolId:'),
    says: /primary\.userPoolId is "ap-northeast-1_AbCdEf123"\. The pool is new: leave it/,
  },
  {
    what: 'a fence on request for a new pool',
    from: 'secondary: {',
    to: 'secondary: { fence: true,',
    at: line('secondary:'),
    says: /secondary\.fence is true\. A new pool always gets the fence/,
  },
  {
    what: 'a bucket of its own for the snapshots',
    from: "snapshotBucket: ''",
    to: "snapshotBucket: 's3://mine'",
    at: line('snapshotBucket:'),
    says: /secondary\.snapshotBucket is "s3:\/\/mine"\. Leave it '': make deploy writes it/,
  },
  {
    what: 'no line for the key of the snapshots',
    from: "snapshotKeyId: '',",
    to: '',
    at: line('secondary:'),
    says: /secondary\.snapshotKeyId is missing\. Leave it '': make deploy writes it/,
  },
  {
    what: 'a variable of replicate-fn without a twin',
    from: 'variables: {},',
    to: "variables: { ACTIVATE_REPLICAS: 'true' }, secondary: null,",
    at: line('variables:'),
    says: /variables\.ACTIVATE_REPLICAS is not known\. Known here: LIST_USERS_RPS, SNAPSHOT_MIN_INTERVAL_S, SHRINK_GUARD_PERCENT\./,
  },
  {
    what: 'an unknown line',
    from: 'snapshotDays: 90,',
    to: 'snapshotDays: 90,\n  snapshotHours: 4,',
    at: line('snapshotDays:') + 1,
    says: /snapshotHours is not known\. Known here: .*snapshotDays/,
  },
  {
    what: 'a missing line',
    from: 'snapshotDays: 90,',
    to: '',
    at: line('export default'),
    says: /snapshotDays is missing\. Give whole days/,
  },
  {
    what: 'days as text',
    from: 'snapshotDays: 90,',
    to: "snapshotDays: '90',",
    at: line('snapshotDays:'),
    says: /snapshotDays is "90"\. Give whole days/,
  },
  {
    what: 'a period that CloudWatch Logs does not know',
    from: 'logDays: 90,',
    to: 'logDays: 100,',
    at: line('logDays:'),
    says: /logDays is 100\. Give one of 1, 3, 5, 7/,
  },
  {
    what: 'another architecture',
    from: "architecture: 'arm64'",
    to: "architecture: 'x86-64'",
    at: line('architecture:'),
    says: /architecture is "x86-64"\. Say 'arm64' or 'x86_64'/,
  },
  {
    what: 'no concurrency at all',
    from: 'triggerConcurrency: null',
    to: 'triggerConcurrency: 0',
    at: line('triggerConcurrency:'),
    says: /triggerConcurrency is 0\. Give a whole number above 0, or null/,
  },
  {
    what: 'an attribute that is not custom',
    from: "originSubAttribute: 'custom:origin_sub'",
    to: "originSubAttribute: 'origin_sub'",
    at: line('originSubAttribute:'),
    says: /originSubAttribute is "origin_sub"\. Give a custom attribute/,
  },
  {
    what: 'the origin sub as an attribute of its own',
    from: 'customAttributes: []',
    to: "customAttributes: ['tenant', 'origin_sub']",
    at: line('customAttributes:'),
    says: /newPools\.customAttributes names custom:origin_sub, which is the originSubAttribute/,
  },
  {
    what: 'a prefix in an attribute name',
    from: 'customAttributes: []',
    to: "customAttributes: ['custom:tenant']",
    at: line('customAttributes:'),
    says: /newPools\.customAttributes is .* without 'custom:'/,
  },
  {
    what: 'a sender that is no address',
    from: 'customAttributes: []',
    to: "customAttributes: [], mailFrom: 'no-reply'",
    at: line('customAttributes:'),
    says: /newPools\.mailFrom is "no-reply"\. Give a mail address/,
  },
  {
    what: 'a recipient that is no address',
    from: "alarmEmail: ''",
    to: "alarmEmail: 'ops'",
    at: line('alarmEmail:'),
    says: /alarmEmail is "ops"\. Give a mail address/,
  },
  {
    what: 'a variable that no function has',
    from: 'variables: {},',
    to: "variables: { OUTBOX_BUCKET: 'mine' },",
    at: line('variables:'),
    says: /variables\.OUTBOX_BUCKET is not known\. Known here: ACTIVATE_REPLICAS/,
  },
  {
    what: 'a variable with a value that its function refuses',
    from: 'variables: {},',
    to: "variables: { SHRINK_GUARD_PERCENT: '101' },",
    at: line('variables:'),
    says: /variables\.SHRINK_GUARD_PERCENT is "101"\. Give a percentage/,
  },
]) {
  test(`refused, with its line: ${what}`, async () => {
    const message = await refused(freshBut(from, to));
    assert.match(message, says);
    assert.ok(message.startsWith(`twinpool.config.mts:${at}: `), `line ${at}: ${message}`);
    assert.equal(message.split('\n').length, 1, message);
  });
}

test('refused: an existing pool of another region, and one that does not say whether it gets the fence', async () => {
  const { fence: _, ...withoutFence } = AROUND_EXISTING.secondary;
  const open = { ...AROUND_EXISTING, secondary: withoutFence };
  assert.match(
    await refused(file(`export default ${JSON.stringify(open)};`)),
    /secondary\.fence is missing\. Say whether/,
  );

  const elsewhere = { ...AROUND_EXISTING, primary: { ...AROUND_EXISTING.primary, userPoolId: 'us-east-1_Primary' } };
  const message = await refused(file(`export default ${JSON.stringify(elsewhere)};`));
  assert.match(
    message,
    /primary\.userPoolId is "us-east-1_Primary"\. Give the pool's: an id of a pool in ap-northeast-1/,
  );
});

test('refused: no word about a twin, which is not the same as none', async () => {
  const { secondary: _, ...without } = FROM_NOTHING;
  assert.match(
    await refused(file(`export default ${JSON.stringify(without)};`)),
    /: secondary is missing\. It holds region, [^\n]*; or it is null, for a pool without a twin\.$/,
  );
});

test('all mistakes are told at once, in the order of their lines', async () => {
  const message = await refused(freshBut('snapshotDays: 90,\n  logDays: 90,', 'logDays: 100,\n  snapshotDays: 0,'));
  assert.match(message, /^twinpool\.config\.mts:\d+: logDays .*\ntwinpool\.config\.mts:\d+: snapshotDays [^\n]*$/);

  const empty = await refused(file('export default {};'));
  assert.ok(empty.split('\n').length > 5, empty);
  assert.match(
    await refused(file('export default undefined;')),
    /the configuration is missing\. It holds primary, secondary/,
  );
});

test('what the secondary stack made is written into its lines, and nothing else is changed', async () => {
  const path = freshBut('', '');
  const before = readFileSync(path, 'utf8');
  const made = {
    userPoolId: 'ap-northeast-3_AbCdEf123',
    snapshotBucket: 'twinpool-snapshots-0a',
    snapshotKeyId: '0b-1c',
  };

  writeMade(path, made);

  const after = readFileSync(path, 'utf8');
  const changed = after.split('\n').filter((text, index) => text !== before.split('\n')[index]);
  assert.deepEqual(changed, [
    "    userPoolId: 'ap-northeast-3_AbCdEf123',",
    "    snapshotBucket: 'twinpool-snapshots-0a',",
    "    snapshotKeyId: '0b-1c',",
  ]);
  const { primary, secondary } = await readConfiguration(path);
  assert.equal(primary.userPoolId, '');
  assert.deepEqual(secondary, { region: 'ap-northeast-3', pool: 'new', ...made });

  writeMade(path, made);
  assert.equal(readFileSync(path, 'utf8'), after);
});

test('what has no line to be written into is said, and the line to write', () => {
  const text = `const made = { userPoolId: '' };\nexport default { secondary: { ...made } };`;
  const path = file(text);
  const made = {
    userPoolId: 'ap-northeast-3_AbCdEf123',
    snapshotBucket: 'twinpool-snapshots-0a',
    snapshotKeyId: '0b-1c',
  };

  assert.throws(
    () => writeMade(path, made),
    /no line for secondary\.userPoolId\. Write userPoolId: 'ap-northeast-3_AbCdEf123' there/,
  );

  assert.equal(readFileSync(path, 'utf8'), text);
});
