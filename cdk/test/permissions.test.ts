// Each function may do what it calls, and nothing else. What it calls was recorded in calls.json, by
// tests/tests/scenarios/permissions.rs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CALLS, type FunctionName, NEEDS } from '../lib/permissions.ts';
import { AROUND_EXISTING, FROM_NOTHING, templates } from './app.ts';
import calls from './calls.json' with { type: 'json' };
import { statements } from './template.ts';

const RECORDED: Record<string, Record<string, string[]>> = calls;

const ways = { 'from nothing': templates(FROM_NOTHING), 'around existing pools': templates(AROUND_EXISTING) };

const FUNCTIONS: Record<FunctionName, { stack: 'primary' | 'secondary'; id: string }> = {
  'replicate-fn-trigger': { stack: 'primary', id: 'ReplicateTrigger' },
  'replicate-fn-worker': { stack: 'primary', id: 'ReplicateWorker' },
  'backup-fn-trigger': { stack: 'secondary', id: 'BackupTrigger' },
  'backup-fn-worker': { stack: 'secondary', id: 'BackupWorker' },
};

/** What Lambda itself does in a function's name. */
const OF_LAMBDA = ['logs:CreateLogStream', 'logs:PutLogEvents', 'xray:PutTraceSegments', 'xray:PutTelemetryRecords'];

test('the recorded functions are the deployed ones', () => {
  assert.deepEqual(Object.keys(RECORDED).sort(), Object.keys(FUNCTIONS).sort());
});

for (const name of Object.keys(FUNCTIONS) as FunctionName[]) {
  const recorded = RECORDED[name] ?? {};

  test(`${name}: every recorded call has a permission`, () => {
    for (const [call, resources] of Object.entries(recorded)) {
      assert.ok(NEEDS[call], `lib/permissions.ts does not know what ${call} needs`);
      for (const resource of resources) {
        assert.ok(
          CALLS[name][call]?.includes(resource),
          `${name} calls ${call} on ${resource} and has no permission for it`,
        );
      }
    }
  });

  test(`${name}: every permission has a recorded call`, () => {
    for (const [call, resources] of Object.entries(CALLS[name])) {
      for (const resource of resources) {
        assert.ok(
          recorded[call]?.includes(resource),
          `${name} has a permission for ${call} on ${resource} and never calls it`,
        );
      }
    }
  });

  for (const [way, stacks] of Object.entries(ways)) {
    test(`${name}: its role, ${way}, holds what its recorded calls need and nothing else`, () => {
      const { stack, id } = FUNCTIONS[name];
      const held = statements(stacks[stack], id).flatMap(({ actions, resources }) =>
        actions
          .filter((action) => !OF_LAMBDA.includes(action))
          .flatMap((action) => resources.map((resource) => `${action} on ${named(resource, stack)}`)),
      );
      assert.deepEqual([...new Set(held)].sort(), needed(recorded));
    });
  }
}

test('no action has a wildcard, and no resource beyond a key prefix', () => {
  for (const stacks of Object.values(ways)) {
    for (const { stack, id } of [...Object.values(FUNCTIONS), schedule('primary'), schedule('secondary')]) {
      for (const { actions, resources } of statements(stacks[stack], id)) {
        const wild = resources.filter((resource) => resource.includes('*') && !/^[^*]+\/[\w/-]+\/\*$/.test(resource));
        // X-Ray has no resources.
        const isTraces = actions.every((action) => action.startsWith('xray:'));
        assert.deepEqual(wild, isTraces ? ['*'] : [], `${id} may ${actions}`);
        assert.ok(!actions.some((action) => action.includes('*')), `${id} may ${actions}`);
      }
    }
  }
});

test('no role has a managed policy, and none has statements elsewhere', () => {
  for (const { primary, secondary } of Object.values(ways)) {
    for (const template of [primary, secondary]) {
      template.resourceCountIs('AWS::IAM::Policy', 0);
      template.resourceCountIs('AWS::IAM::Role', 3);
      for (const role of Object.values(template.findResources('AWS::IAM::Role'))) {
        assert.equal(role['Properties'].ManagedPolicyArns, undefined);
      }
    }
  }
});

for (const stack of ['primary', 'secondary'] as const) {
  test(`the ${stack} region's schedule may invoke its worker alone`, () => {
    const [statement, ...more] = statements(ways['from nothing'][stack], 'Schedule');
    assert.deepEqual(more, []);
    assert.deepEqual(statement?.actions, ['lambda:InvokeFunction']);
    assert.match(statement?.resources.join() ?? '', /^<(Replicate|Backup)WorkerFunction\w+\.Arn>$/);
  });
}

// The permissions that are easily forgotten, since nothing but AWS itself misses them: each for its own call, whatever else grants it.
for (const [name, call, action, why] of [
  ['replicate-fn-worker', 's3:GetObject', 's3:ListBucket on outbox-bucket', 'a record that is gone is 404 and not 403'],
  ['backup-fn-worker', 's3:GetObject', 's3:ListBucket on snapshot-bucket', 'a first lease.json is 404 and not 403'],
  [
    'replicate-fn-worker',
    's3:DeleteObject',
    's3:GetObject on outbox-bucket/outbox/*',
    'a record is deleted with If-Match',
  ],
  ['replicate-fn-worker', 's3:GetObject', 'kms:Decrypt on key-of-outbox-bucket', 'a record is decrypted'],
  ['replicate-fn-worker', 's3:PutObject', 'kms:GenerateDataKey on key-of-outbox-bucket', 'a conflict is encrypted'],
  ['replicate-fn-trigger', 's3:PutObject', 'kms:GenerateDataKey on key-of-outbox-bucket', 'a record is encrypted'],
  ['backup-fn-trigger', 's3:PutObject', 'kms:GenerateDataKey on key-of-snapshot-bucket', 'a record is encrypted'],
  ['backup-fn-worker', 's3:UploadPart', 'kms:Decrypt on key-of-snapshot-bucket', 'parts are decrypted'],
  ['backup-fn-worker', 's3:CompleteMultipartUpload', 'kms:Decrypt on key-of-snapshot-bucket', 'parts are decrypted'],
  [
    'backup-fn-worker',
    's3:AbortMultipartUpload',
    's3:AbortMultipartUpload on snapshot-bucket/snapshots/*',
    'an upload is given up',
  ],
] as const) {
  test(`${name}: ${call} needs ${action}: ${why}`, () => {
    const needs = needed({ [call]: RECORDED[name]?.[call] ?? [] });
    assert.ok(needs.includes(action), `${call} needs ${needs}`);
  });
}

test('what is written with If-Match is read as well, since S3 asks for both permissions', () => {
  const { 's3:GetObject': read } = RECORDED['backup-fn-worker'] ?? {};
  for (const key of ['latest.json', 'lease.json']) {
    assert.ok(read?.includes(`snapshot-bucket/${key}`), key);
  }
});

/** The permissions that calls need. */
function needed(calls: Record<string, string[]>): string[] {
  const permissions = Object.entries(calls).flatMap(([call, resources]) =>
    resources.flatMap((resource) =>
      Object.entries(NEEDS[call] ?? {}).map(([action, target]) => {
        const bucket = resource.replace(/\/.*/, '');
        return `${action} on ${target === 'itself' ? resource : target === 'bucket' ? bucket : `key-of-${bucket}`}`;
      }),
    ),
  );
  return [...new Set(permissions)].sort();
}

/** An ARN of a template by the name that calls.json has for it. */
function named(arn: string, stack: 'primary' | 'secondary'): string {
  return arn
    .replace(/^<OutboxBucket\w+\.Arn>/, 'outbox-bucket')
    .replace(/^<OutboxKey\w+\.Arn>/, 'key-of-outbox-bucket')
    .replace(/^arn:<AWS::Partition>:s3:::twinpool-snapshots-\{[^/]*"\/"[^/]*\}/, 'snapshot-bucket')
    .replace(/^<SnapshotsKey\w+\.Arn>/, 'key-of-snapshot-bucket')
    .replace(/^<UserPool\w+\.Arn>/, `${stack}-pool`)
    .replace(/^arn:<AWS::Partition>:cognito-idp:ap-northeast-1:.*_Primary$/, 'primary-pool')
    .replace(/^arn:<AWS::Partition>:cognito-idp:ap-northeast-3:.*_Secondary$/, 'secondary-pool');
}

function schedule(stack: 'primary' | 'secondary') {
  return { stack, id: 'Schedule' };
}
