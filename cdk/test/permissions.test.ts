// Each function may do what it calls, and nothing else. What it calls was recorded in calls.json, by
// tests/tests/scenarios/permissions.rs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { CALLS, type FunctionName, NEEDS } from '../lib/permissions.ts';
import { SINGLE_WAYS, singleTemplate, templates, WAYS } from './app.ts';
import calls from './calls.json' with { type: 'json' };
import { statements } from './template.ts';

const RECORDED: Record<string, Record<string, string[]>> = calls;

type Stack = 'primary' | 'secondary' | 'single';

/** Every stack of every way. */
const DEPLOYED: { way: string; stack: Stack; template: Template }[] = [
  ...Object.entries(WAYS).flatMap(([way, configuration]) => {
    const { primary, secondary } = templates(configuration);
    return [
      { way, stack: 'primary' as const, template: primary },
      { way, stack: 'secondary' as const, template: secondary },
    ];
  }),
  ...Object.entries(SINGLE_WAYS).map(([way, configuration]) => {
    return { way, stack: 'single' as const, template: singleTemplate(configuration) };
  }),
];

const FUNCTIONS: Record<FunctionName, { stacks: Stack[]; id: string }> = {
  'replicate-fn-trigger': { stacks: ['primary'], id: 'ReplicateTrigger' },
  'replicate-fn-worker': { stacks: ['primary'], id: 'ReplicateWorker' },
  'backup-fn-trigger': { stacks: ['secondary', 'single'], id: 'BackupTrigger' },
  'backup-fn-worker': { stacks: ['secondary', 'single'], id: 'BackupWorker' },
  'restore-fn': { stacks: ['primary', 'single'], id: 'Restore' },
};

/** The roles of a stack that are no function's. */
const OTHER_ROLES: Record<Stack, string[]> = {
  primary: ['Schedule', 'RestoreImportLogs'],
  secondary: ['BackupSchedule'],
  single: ['BackupSchedule', 'RestoreImportLogs'],
};

const functionsOf = (stack: Stack) =>
  Object.values(FUNCTIONS)
    .filter(({ stacks }) => stacks.includes(stack))
    .map(({ id }) => id);

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

  const { stacks, id } = FUNCTIONS[name];
  for (const { way, stack, template } of DEPLOYED.filter(({ stack }) => stacks.includes(stack))) {
    test(`${name}: its role, ${way}, holds what its recorded calls need and nothing else`, () => {
      const held = statements(template, id).flatMap(({ actions, resources }) =>
        actions
          .filter((action) => !OF_LAMBDA.includes(action))
          .flatMap((action) => resources.map((resource) => `${action} on ${named(resource, stack)}`)),
      );
      assert.deepEqual([...new Set(held)].sort(), inStack(needed(recorded), stack));
    });
  }
}

test('no action has a wildcard, and no resource beyond a key prefix', () => {
  for (const { stack, template } of DEPLOYED) {
    for (const id of [...functionsOf(stack), ...OTHER_ROLES[stack]]) {
      for (const { actions, resources } of statements(template, id)) {
        const wild = resources.filter((resource) => resource.includes('*') && !/^[^*]+\/[\w/<>-]+\/\*$/.test(resource));
        // X-Ray has no resources.
        const isTraces = actions.every((action) => action.startsWith('xray:'));
        assert.deepEqual(wild, isTraces ? ['*'] : [], `${id} may ${actions}`);
        assert.ok(!actions.some((action) => action.includes('*')), `${id} may ${actions}`);
      }
    }
  }
});

test('no role has a managed policy, and none has statements elsewhere', () => {
  for (const { stack, template } of DEPLOYED) {
    template.resourceCountIs('AWS::IAM::Policy', 0);
    template.resourceCountIs('AWS::IAM::Role', functionsOf(stack).length + OTHER_ROLES[stack].length);
    for (const role of Object.values(template.findResources('AWS::IAM::Role'))) {
      assert.equal(role['Properties'].ManagedPolicyArns, undefined);
    }
  }
});

for (const { way, stack, template } of DEPLOYED) {
  test(`${way}, ${stack}: the schedule may invoke its worker alone`, () => {
    const [statement, ...more] = statements(template, stack === 'primary' ? 'Schedule' : 'BackupSchedule');
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
  [
    'restore-fn',
    'cognito-idp:CreateUserImportJob',
    'iam:PassRole on import-logs-role',
    'Cognito is handed the role of its log',
  ],
  ['restore-fn', 's3:GetObject', 's3:ListBucket on snapshot-bucket', 'a first lease.json is 404 and not 403'],
  ['restore-fn', 's3:GetObject', 'kms:Decrypt on key-of-snapshot-bucket', 'a snapshot is decrypted'],
  ['restore-fn', 's3:GetObject', 'kms:Decrypt on key-of-snapshot-bucket', 'a record is decrypted'],
  ['restore-fn', 's3:PutObject', 'kms:GenerateDataKey on key-of-snapshot-bucket', 'its copy is encrypted'],
] as const) {
  test(`${name}: ${call} needs ${action}: ${why}`, () => {
    const needs = needed({ [call]: RECORDED[name]?.[call] ?? [] });
    assert.ok(needs.includes(action), `${call} needs ${needs}`);
  });
}

test('what is written with If-Match, or copied, is read as well, since S3 asks for both permissions', () => {
  for (const [name, keys] of [
    ['backup-fn-worker', ['latest.json', 'lease.json']],
    ['restore-fn', ['lease.json', 'journal/sign-up/*']],
  ] as const) {
    const { 's3:GetObject': read } = RECORDED[name] ?? {};
    for (const key of keys) {
      assert.ok(read?.includes(`snapshot-bucket/${key}`), `${name}: ${key}`);
    }
  }
});

/** The permissions that calls need. */
function needed(calls: Record<string, string[]>): string[] {
  const permissions = Object.entries(calls).flatMap(([call, resources]) =>
    resources.flatMap((resource) =>
      Object.entries(NEEDS[call] ?? {}).map(([action, target]) => {
        const bucket = resource.replace(/\/.*/, '');
        return `${action} on ${{ itself: resource, bucket, key: `key-of-${bucket}`, 'import-logs-role': target }[target]}`;
      }),
    ),
  );
  return [...new Set(permissions)].sort();
}

/** Permissions as a stack has them: without a twin, both pools are the one. */
function inStack(permissions: string[], stack: Stack): string[] {
  const renamed = permissions.map((it) =>
    stack === 'single' ? it.replace(/(primary|secondary)-pool$/, 'single-pool') : it,
  );
  return [...new Set(renamed)].sort();
}

/** An ARN of a template by the name that calls.json has for it. */
function named(arn: string, stack: Stack): string {
  return arn
    .replace(/^<OutboxBucket\w+\.Arn>/, 'outbox-bucket')
    .replace(/^<OutboxKey\w+\.Arn>/, 'key-of-outbox-bucket')
    .replace(/^arn:<AWS::Partition>:s3:::twinpool-snapshots-(\{[^/]*"\/"[^/]*\}|0123456789ab)/, 'snapshot-bucket')
    .replace(/^<BackupSnapshotsKey\w+\.Arn>/, 'key-of-snapshot-bucket')
    .replace(/^arn:<AWS::Partition>:kms:ap-northeast-3:<AWS::AccountId>:key\/01234567-.*/, 'key-of-snapshot-bucket')
    .replace(/^<UserPool\w+\.Arn>/, `${stack}-pool`)
    .replace(
      /^arn:<AWS::Partition>:cognito-idp:ap-northeast-1:.*_Primary$/,
      stack === 'single' ? 'single-pool' : 'primary-pool',
    )
    .replace(/^arn:<AWS::Partition>:cognito-idp:ap-northeast-3:.*_Secondary$/, 'secondary-pool')
    .replace(
      /^arn:<AWS::Partition>:logs:ap-northeast-1:<AWS::AccountId>:log-group:\/aws\/cognito\/userpools\/(<UserPool\w+>|ap-northeast-1_Primary)\/\*$/,
      'import-logs',
    )
    .replace(/^<RestoreImportLogsRole\w+\.Arn>$/, 'import-logs-role');
}
