// The configuration is validated before the deployment, and an error names the line and how to fix it.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { ConfigurationError, readConfiguration, writeOutputs } from '../lib/configuration.ts';
import { AROUND_EXISTING, FROM_NOTHING, SINGLE_VARIANTS } from './app.ts';
import { temporaryFolder } from './temporary.ts';

const FRESH = resolve(import.meta.dirname, 'fresh.config.ts');

/** Writes a configuration file with this text. */
function file(text: string): string {
  const path = join(temporaryFolder(), 'twinpool.config.mts');
  writeFileSync(path, text);
  return path;
}

/** Writes a copy of fresh.config.ts in which one text is replaced. */
function freshWith(from: string, to: string): string {
  const text = readFileSync(FRESH, 'utf8');
  assert.ok(text.includes(from), `fresh.config.ts does not contain ${from}`);
  return file(text.replace(from, to).replace(/^import type.*$/m, ''));
}

/** The number of the line of fresh.config.ts that begins with `beginning`, searched from the line that contains `after`. */
function line(beginning: string, after = ''): number {
  const lines = readFileSync(FRESH, 'utf8').split('\n');
  const from = lines.findIndex((line) => line.includes(after));
  return lines.findIndex((line, index) => index >= from && line.trim().startsWith(beginning)) + 1;
}

/** Reads a configuration that is expected to be invalid, and returns the message of the error. */
async function errorOf(path: string): Promise<string> {
  try {
    await readConfiguration(path);
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.message;
  }
  throw new Error('the configuration is valid');
}

test('twinpool.config.ts is valid', async () => {
  await readConfiguration(resolve(import.meta.dirname, '../twinpool.config.ts'));
});

test('the configurations of all variants, and of a new twin of an existing pool, are valid', async () => {
  const twin = { ...FROM_NOTHING, primary: AROUND_EXISTING.primary };
  for (const configuration of [FROM_NOTHING, AROUND_EXISTING, twin, ...Object.values(SINGLE_VARIANTS)]) {
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
    what: 'a region that does not exist',
    from: "region: 'ap-northeast-1'",
    to: "region: 'ap-northeast-9'",
    at: line('region:'),
    says: /primary\.region is "ap-northeast-9"\..* knows ap-northeast-1, ap-northeast-2, ap-northeast-3\.$/,
  },
  ...['1st', 'Orders_2', 'O'.repeat(25), ''].map((name) => ({
    what: `${JSON.stringify(name)} as the name of the stacks`,
    from: 'snapshotDays: 90,',
    to: `snapshotDays: 90,\n  name: '${name}',`,
    at: line('snapshotDays:') + 1,
    says: /name is ".*"\. Give up to 24 letters, digits and hyphens/,
  })),
  {
    what: 'a twin in the same region',
    from: "region: 'ap-northeast-3'",
    to: "region: 'ap-northeast-1'",
    at: line('region:', 'secondary: {'),
    says: /secondary\.region is also the primary region/,
  },
  {
    what: 'an existing pool without its id',
    from: "pool: 'new'",
    to: "pool: 'existing'",
    at: line('userPoolId:'),
    says: /primary\.userPoolId is ""\. Give the id of a pool in ap-northeast-1/,
  },
  {
    what: 'a new pool with an id of another region',
    from: "userPoolId: ''",
    to: "userPoolId: 'us-east-1_AbCdEf123'",
    at: line('userPoolId:'),
    says: /primary\.userPoolId is "us-east-1_AbCdEf123"\. Leave it empty \(''\): make deploy writes the id/,
  },
  {
    what: 'a twin in another account',
    from: 'secondary: {',
    to: "secondary: { account: '210987654321',",
    says: /secondary\.account cannot be given: both pools are in the account whose credentials deploy them/,
    at: line('secondary:'),
  },
  {
    what: 'a number of days for the log of the fence that CloudWatch Logs does not offer',
    from: 'secondary: {',
    to: 'secondary: { fenceLogDays: 31,',
    says: /secondary\.fenceLogDays is 31\. Give one of 1, 3, 5, 7, 14, 30, 60/,
    at: line('secondary:'),
  },
  {
    what: 'the fence property for a new pool',
    from: 'secondary: {',
    to: 'secondary: { fence: true,',
    at: line('secondary:'),
    says: /secondary\.fence is true\. A new pool always gets the fence/,
  },
  {
    what: 'an invalid name of the snapshot bucket',
    from: "snapshotBucket: ''",
    to: "snapshotBucket: 's3://mine'",
    at: line('snapshotBucket:'),
    says: /secondary\.snapshotBucket is "s3:\/\/mine"\. Leave it empty \(''\): make deploy writes it/,
  },
  {
    what: 'a missing line for the key of the snapshot bucket',
    from: "snapshotKeyId: '',",
    to: '',
    at: line('secondary:'),
    says: /secondary\.snapshotKeyId is missing\. Leave it empty \(''\): make deploy writes it/,
  },
  {
    what: 'a variable of replicate-fn without a twin',
    from: 'variables: {},',
    to: "variables: { ACTIVATE_REPLICAS: 'true' }, secondary: null,",
    at: line('variables:'),
    says: /variables\.ACTIVATE_REPLICAS is unknown\. Known properties: LIST_USERS_RPS, LOOKUPS_RPS, SNAPSHOT_POOL_INTERVAL_S, SNAPSHOT_MIN_INTERVAL_S, SHRINK_GUARD_PERCENT\./,
  },
  {
    what: 'an unknown property',
    from: 'snapshotDays: 90,',
    to: 'snapshotDays: 90,\n  snapshotHours: 4,',
    at: line('snapshotDays:') + 1,
    says: /snapshotHours is unknown\. Known properties: .*snapshotDays/,
  },
  {
    what: 'a missing property',
    from: 'snapshotDays: 90,',
    to: '',
    at: line('export default'),
    says: /snapshotDays is missing\. Give a whole number of days/,
  },
  {
    what: 'a number of days as text',
    from: 'snapshotDays: 90,',
    to: "snapshotDays: '90',",
    at: line('snapshotDays:'),
    says: /snapshotDays is "90"\. Give a whole number of days/,
  },
  {
    what: 'a period that CloudWatch Logs does not offer',
    from: 'logDays: 90,',
    to: 'logDays: 100,',
    at: line('logDays:'),
    says: /logDays is 100\. Give one of 1, 3, 5, 7/,
  },
  {
    what: 'an unknown architecture',
    from: "architecture: 'arm64'",
    to: "architecture: 'x86-64'",
    at: line('architecture:'),
    says: /architecture is "x86-64"\. Use 'arm64' or 'x86_64'/,
  },
  {
    what: 'a reserved concurrency of zero',
    from: 'triggerConcurrency: null',
    to: 'triggerConcurrency: 0',
    at: line('triggerConcurrency:'),
    says: /triggerConcurrency is 0\. Give a whole number above 0, or null/,
  },
  {
    what: 'a standard attribute as originSubAttribute',
    from: "originSubAttribute: 'custom:origin_sub'",
    to: "originSubAttribute: 'origin_sub'",
    at: line('originSubAttribute:'),
    says: /originSubAttribute is "origin_sub"\. Give a custom attribute/,
  },
  {
    what: 'the originSubAttribute among the custom attributes',
    from: 'customAttributes: []',
    to: "customAttributes: ['tenant', 'origin_sub']",
    at: line('customAttributes:'),
    says: /newPools\.customAttributes contains custom:origin_sub, which is the originSubAttribute/,
  },
  {
    what: 'a prefix in an attribute name',
    from: 'customAttributes: []',
    to: "customAttributes: ['custom:tenant']",
    at: line('customAttributes:'),
    says: /newPools\.customAttributes is .* without 'custom:'/,
  },
  {
    what: 'a sender that is not a mail address',
    from: 'customAttributes: []',
    to: "customAttributes: [], mailFrom: 'no-reply'",
    at: line('customAttributes:'),
    says: /newPools\.mailFrom is "no-reply"\. Give a mail address/,
  },
  {
    what: 'a recipient that is not a mail address',
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
    says: /variables\.OUTBOX_BUCKET is unknown\. Known properties: ACTIVATE_REPLICAS/,
  },
  {
    what: 'a value that a function does not accept for its variable',
    from: 'variables: {},',
    to: "variables: { SHRINK_GUARD_PERCENT: '101' },",
    at: line('variables:'),
    says: /variables\.SHRINK_GUARD_PERCENT is "101"\. Give a percentage/,
  },
  ...(
    [
      ['RECONCILE_LIST_RPS', '31', "calls per second from '1' to '30'"],
      ['RECONCILE_LIST_RPS', '0', "calls per second from '1' to '30'"],
      ['RECONCILE_WRITES_RPS', '26', "calls per second from '1' to '25'"],
      ['RECONCILE_EVERY_S', '299', "seconds, at least '300'"],
      ['GROUPS_EVERY_S', '1h', "seconds, at least '300'"],
      ['WITHHOLD_DAYS', '0', 'a whole number of days'],
    ] as const
  ).map(([name, value, accepts]) => ({
    what: `${value} for ${name}`,
    from: 'variables: {},',
    to: `variables: { ${name}: '${value}' },`,
    at: line('variables:'),
    says: new RegExp(`variables\\.${name} is "${value}"\\. Give .*${accepts}`),
  })),
]) {
  test(`rejected, with the line number: ${what}`, async () => {
    const message = await errorOf(freshWith(from, to));
    assert.match(message, says);
    assert.ok(message.startsWith(`twinpool.config.mts:${at}: `), `line ${at}: ${message}`);
    assert.equal(message.split('\n').length, 1, message);
  });
}

test('rejected, with the line number: text that is no TypeScript', async () => {
  const message = await errorOf(freshWith('snapshotDays: 90,', 'snapshotDays: 90;'));
  assert.ok(message.startsWith(`twinpool.config.mts:${line('snapshotDays:')}: this is no valid TypeScript: `), message);
  assert.doesNotMatch(message, / at |node:internal/);
});

test('rejected: a file that fails when it is read, and one that does not exist', async () => {
  assert.match(
    await errorOf(file('export default { primary: tokyo };')),
    /^twinpool\.config\.mts cannot be read: tokyo is not defined$/,
  );
  assert.match(
    await errorOf('/nowhere/orders.config.ts'),
    /^\/nowhere\/orders\.config\.ts does not exist\. TWINPOOL_CONFIG/,
  );
});

test('a configuration file may lie outside of this package', async () => {
  const path = join(temporaryFolder(), 'orders.config.ts');
  writeFileSync(path, `export default ${JSON.stringify({ ...FROM_NOTHING, name: 'Orders' })};`);
  assert.equal((await readConfiguration(path)).name, 'Orders');
});

test('accepted: the variables of reconcile at the ends of their ranges', async () => {
  for (const variables of [
    {
      RECONCILE_LIST_RPS: '1',
      RECONCILE_WRITES_RPS: '1',
      RECONCILE_EVERY_S: '300',
      GROUPS_EVERY_S: '300',
      WITHHOLD_DAYS: '1',
    },
    {
      RECONCILE_LIST_RPS: '30',
      RECONCILE_WRITES_RPS: '25',
      RECONCILE_EVERY_S: '604800',
      GROUPS_EVERY_S: '2592000',
      WITHHOLD_DAYS: '365',
    },
  ]) {
    const path = freshWith('variables: {},', `variables: ${JSON.stringify(variables)},`);
    assert.deepEqual((await readConfiguration(path)).variables, variables);
  }
});

test('rejected: an existing pool of another region, and an existing twin without the fence property', async () => {
  const { fence: _, ...withoutFence } = AROUND_EXISTING.secondary;
  const open = { ...AROUND_EXISTING, secondary: withoutFence };
  assert.match(
    await errorOf(file(`export default ${JSON.stringify(open)};`)),
    /secondary\.fence is missing\. Choose whether/,
  );

  const elsewhere = { ...AROUND_EXISTING, primary: { ...AROUND_EXISTING.primary, userPoolId: 'us-east-1_Primary' } };
  const message = await errorOf(file(`export default ${JSON.stringify(elsewhere)};`));
  assert.match(message, /primary\.userPoolId is "us-east-1_Primary"\. Give the id of a pool in ap-northeast-1/);
});

test('rejected: a missing secondary, which does not mean null', async () => {
  const { secondary: _, ...without } = FROM_NOTHING;
  assert.match(
    await errorOf(file(`export default ${JSON.stringify(without)};`)),
    /: secondary is missing\. It must be an object with region, [^\n]*, or null for a pool without a twin\.$/,
  );
});

test('all mistakes are reported together, in the order of their lines', async () => {
  const message = await errorOf(freshWith('snapshotDays: 90,\n  logDays: 90,', 'logDays: 100,\n  snapshotDays: 0,'));
  assert.match(message, /^twinpool\.config\.mts:\d+: logDays .*\ntwinpool\.config\.mts:\d+: snapshotDays [^\n]*$/);

  const empty = await errorOf(file('export default {};'));
  assert.ok(empty.split('\n').length > 5, empty);
  assert.match(
    await errorOf(file('export default undefined;')),
    /the configuration is missing\. It must be an object with primary, secondary/,
  );
});

test('the outputs of the secondary stack are written into their lines, and nothing else is changed', async () => {
  const path = freshWith('', '');
  const before = readFileSync(path, 'utf8');
  const outputs = {
    userPoolId: 'ap-northeast-3_AbCdEf123',
    snapshotBucket: 'twinpool-snapshots-0a',
    snapshotKeyId: '0b-1c',
  };

  writeOutputs(path, 'secondary', outputs);

  const after = readFileSync(path, 'utf8');
  const changed = after.split('\n').filter((text, index) => text !== before.split('\n')[index]);
  assert.deepEqual(changed, [
    "    userPoolId: 'ap-northeast-3_AbCdEf123',",
    "    snapshotBucket: 'twinpool-snapshots-0a',",
    "    snapshotKeyId: '0b-1c',",
  ]);
  const { primary, secondary } = await readConfiguration(path);
  assert.equal(primary.userPoolId, '');
  assert.deepEqual(secondary, { region: 'ap-northeast-3', pool: 'new', ...outputs });

  writeOutputs(path, 'secondary', outputs);
  assert.equal(readFileSync(path, 'utf8'), after);
});

test('an output without a line is reported, with the line to add', () => {
  const text = `const made = { userPoolId: '' };\nexport default { secondary: { ...made } };`;
  const path = file(text);
  const outputs = {
    userPoolId: 'ap-northeast-3_AbCdEf123',
    snapshotBucket: 'twinpool-snapshots-0a',
    snapshotKeyId: '0b-1c',
  };

  assert.throws(
    () => writeOutputs(path, 'secondary', outputs),
    /no line for secondary\.userPoolId\. Add the line userPoolId: 'ap-northeast-3_AbCdEf123' to secondary/,
  );

  assert.equal(readFileSync(path, 'utf8'), text);
});

test('an existing pool may name its own post-confirmation function, in its region; a new pool may not', async () => {
  const withFunction = (pool: object, postConfirmation: string) =>
    errorOf(file(`export default ${JSON.stringify({ ...AROUND_EXISTING, primary: { ...pool, postConfirmation } })};`));
  const ours = 'arn:aws:lambda:ap-northeast-1:123456789012:function:ours';

  assert.equal(await withFunction(AROUND_EXISTING.primary, ours).catch(() => 'accepted'), 'accepted');
  const rejected = /primary\.postConfirmation is .* Give the ARN of a function in ap-northeast-1/;
  assert.match(await withFunction(AROUND_EXISTING.primary, 'ours'), rejected);
  assert.match(await withFunction(AROUND_EXISTING.primary, ours.replace('northeast-1', 'northeast-3')), rejected);
  assert.match(await withFunction(FROM_NOTHING.primary, ours), /A new pool always runs the trigger itself/);
});

test('rejected: a log of the fence for a pool that does not get the fence', async () => {
  const twin = { ...AROUND_EXISTING, secondary: { ...AROUND_EXISTING.secondary, fence: false, fenceLogDays: 30 } };
  assert.match(
    await errorOf(file(`export default ${JSON.stringify(twin)};`)),
    /secondary\.fenceLogDays is 30\. This pool does not get the fence: remove the line/,
  );
});
