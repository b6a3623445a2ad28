// Each function has the permissions for its calls, and no others. The calls were recorded by tests/tests/scenarios/permissions.rs in
// calls.json.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { CALLS, type FunctionName, NEEDS } from '../lib/constructs/permissions.ts';
import { SINGLE_VARIANTS, singleTemplate, templates, VARIANTS } from './app.ts';
import calls from './calls.json' with { type: 'json' };
import { inStack, needed, resourceName, type Stack } from './granted.ts';
import { statements } from './template.ts';

const RECORDED: Record<string, Record<string, string[]>> = calls;

/** Every stack of every variant. */
const DEPLOYED: { variant: string; stack: Stack; template: Template }[] = [
  ...Object.entries(VARIANTS).flatMap(([variant, configuration]) => {
    const { primary, secondary } = templates(configuration);
    return [
      { variant, stack: 'primary' as const, template: primary },
      { variant, stack: 'secondary' as const, template: secondary },
    ];
  }),
  ...Object.entries(SINGLE_VARIANTS).map(([variant, configuration]) => {
    return { variant, stack: 'single' as const, template: singleTemplate(configuration) };
  }),
];

const FUNCTIONS: Record<FunctionName, { stacks: Stack[]; id: string }> = {
  'replicate-fn-trigger': { stacks: ['primary'], id: 'ReplicateTrigger' },
  'replicate-fn-worker': { stacks: ['primary'], id: 'ReplicateWorker' },
  'backup-fn-trigger': { stacks: ['secondary', 'single'], id: 'BackupTrigger' },
  'backup-fn-worker': { stacks: ['secondary', 'single'], id: 'BackupWorker' },
  'restore-fn': { stacks: ['primary', 'single'], id: 'Restore' },
};

/** The roles of a stack that do not belong to a function. */
const OTHER_ROLES: Record<Stack, string[]> = {
  primary: ['Schedule', 'RestoreImportLogs'],
  secondary: ['BackupSchedule', 'ImportLogs'],
  single: ['BackupSchedule', 'RestoreImportLogs'],
};

const functionsOf = (stack: Stack) =>
  Object.values(FUNCTIONS)
    .filter(({ stacks }) => stacks.includes(stack))
    .map(({ id }) => id);

/** Actions that Lambda itself performs with a function's role. */
const LAMBDA_ACTIONS = [
  'logs:CreateLogStream',
  'logs:PutLogEvents',
  'xray:PutTraceSegments',
  'xray:PutTelemetryRecords',
];

test('the recorded functions are the deployed functions', () => {
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
          `${name} calls ${call} on ${resource}, but has no permission for it`,
        );
      }
    }
  });

  test(`${name}: every permission has a recorded call`, () => {
    for (const [call, resources] of Object.entries(CALLS[name])) {
      for (const resource of resources) {
        assert.ok(
          recorded[call]?.includes(resource),
          `${name} has a permission for ${call} on ${resource}, but no such call was recorded`,
        );
      }
    }
  });

  const { stacks, id } = FUNCTIONS[name];
  for (const { variant, stack, template } of DEPLOYED.filter(({ stack }) => stacks.includes(stack))) {
    test(`${name}: its role, ${variant}, has exactly the permissions that its recorded calls need`, () => {
      const granted = statements(template, id).flatMap(({ actions, resources }) =>
        actions
          .filter((action) => !LAMBDA_ACTIONS.includes(action))
          .flatMap((action) => resources.map((resource) => `${action} on ${resourceName(resource, stack)}`)),
      );
      assert.deepEqual([...new Set(granted)].sort(), inStack(needed(recorded), stack));
    });
  }
}

test('no action has a wildcard, and a resource has one only after a prefix', () => {
  for (const { stack, template } of DEPLOYED) {
    for (const id of [...functionsOf(stack), ...OTHER_ROLES[stack]]) {
      for (const { actions, resources } of statements(template, id)) {
        const wild = resources.filter((resource) => resource.includes('*') && !/^[^*]+\/[\w/<>-]+\/\*$/.test(resource));
        // The actions of X-Ray support no resource but *.
        const isTraces = actions.every((action) => action.startsWith('xray:'));
        assert.deepEqual(wild, isTraces ? ['*'] : [], `${id} may ${actions}`);
        assert.ok(!actions.some((action) => action.includes('*')), `${id} may ${actions}`);
      }
    }
  }
});

test('no role has a managed policy or a separate policy', () => {
  for (const { stack, template } of DEPLOYED) {
    template.resourceCountIs('AWS::IAM::Policy', 0);
    template.resourceCountIs('AWS::IAM::Role', functionsOf(stack).length + OTHER_ROLES[stack].length);
    for (const role of Object.values(template.findResources('AWS::IAM::Role'))) {
      assert.equal(role['Properties'].ManagedPolicyArns, undefined);
    }
  }
});

for (const { variant, stack, template } of DEPLOYED) {
  test(`${variant}, ${stack}: the schedule may invoke its worker only`, () => {
    const [statement, ...more] = statements(template, stack === 'primary' ? 'Schedule' : 'BackupSchedule');
    assert.deepEqual(more, []);
    assert.deepEqual(statement?.actions, ['lambda:InvokeFunction']);
    assert.match(statement?.resources.join() ?? '', /^<(Replicate|Backup)WorkerFunction\w+\.Arn>$/);
  });
}

// Permissions that are easily forgotten, because only AWS itself checks them. Each is tested for its own call, even if another call
// needs it as well.
for (const [name, call, action, why] of [
  [
    'replicate-fn-worker',
    's3:GetObject',
    's3:ListBucket on outbox-bucket',
    'S3 answers 404 instead of 403 for a deleted record',
  ],
  [
    'backup-fn-worker',
    's3:GetObject',
    's3:ListBucket on snapshot-bucket',
    'S3 answers 404 instead of 403 before the first lease.json',
  ],
  [
    'replicate-fn-worker',
    's3:DeleteObject',
    's3:GetObject on outbox-bucket/outbox/*',
    'a record is deleted with If-Match',
  ],
  ['replicate-fn-worker', 's3:GetObject', 'kms:Decrypt on key-of-outbox-bucket', 'a record is decrypted'],
  ['replicate-fn-worker', 's3:PutObject', 'kms:GenerateDataKey on key-of-outbox-bucket', 'a conflict is encrypted'],
  [
    'replicate-fn-worker',
    's3:GetObject',
    's3:ListBucket on snapshot-bucket',
    'S3 answers 404 instead of 403 before the first reconcile',
  ],
  ['replicate-fn-worker', 's3:GetObject', 'kms:Decrypt on key-of-snapshot-bucket', 'the journal is decrypted'],
  ['replicate-fn-worker', 's3:PutObject', 'kms:GenerateDataKey on key-of-snapshot-bucket', 'a report is encrypted'],
  [
    'replicate-fn-worker',
    's3:DeleteObject',
    's3:GetObject on snapshot-bucket/withheld/*',
    'a record is deleted with If-Match',
  ],
  ['replicate-fn-trigger', 's3:PutObject', 'kms:GenerateDataKey on key-of-outbox-bucket', 'a record is encrypted'],
  ['backup-fn-trigger', 's3:PutObject', 'kms:GenerateDataKey on key-of-snapshot-bucket', 'a record is encrypted'],
  ['backup-fn-worker', 's3:UploadPart', 'kms:Decrypt on key-of-snapshot-bucket', 'parts are decrypted'],
  ['backup-fn-worker', 's3:CompleteMultipartUpload', 'kms:Decrypt on key-of-snapshot-bucket', 'parts are decrypted'],
  [
    'backup-fn-worker',
    's3:AbortMultipartUpload',
    's3:AbortMultipartUpload on snapshot-bucket/snapshots/*',
    'an upload is aborted',
  ],
  [
    'restore-fn',
    'cognito-idp:CreateUserImportJob',
    'iam:PassRole on primary-import-logs-role',
    'Cognito is passed the role for its log',
  ],
  [
    'restore-fn',
    's3:GetObject',
    's3:ListBucket on snapshot-bucket',
    'S3 answers 404 instead of 403 before the first lease.json',
  ],
  ['restore-fn', 's3:GetObject', 'kms:Decrypt on key-of-snapshot-bucket', 'a snapshot is decrypted'],
  ['restore-fn', 's3:GetObject', 'kms:Decrypt on key-of-snapshot-bucket', 'a record is decrypted'],
  [
    'restore-fn',
    's3:PutObject',
    'kms:GenerateDataKey on key-of-snapshot-bucket',
    'the copy of the record is encrypted',
  ],
] as const) {
  test(`${name}: ${call} needs ${action}: ${why}`, () => {
    const needs = needed({ [call]: RECORDED[name]?.[call] ?? [] });
    assert.ok(needs.includes(action), `${call} needs ${needs}`);
  });
}

test('an object that is written with If-Match, or copied, is also read, because S3 requires both permissions', () => {
  for (const [name, keys] of [
    [
      'replicate-fn-worker',
      [
        'outbox-bucket/outbox/*',
        'snapshot-bucket/journal/password-reset/*',
        'snapshot-bucket/journal/restored/*',
        'snapshot-bucket/journal/sign-up/*',
        'snapshot-bucket/reconciles/*',
        'snapshot-bucket/withheld/*',
      ],
    ],
    ['backup-fn-worker', ['snapshot-bucket/latest.json', 'snapshot-bucket/lease.json']],
    ['restore-fn', ['snapshot-bucket/lease.json', 'snapshot-bucket/journal/sign-up/*']],
  ] as const) {
    const { 's3:GetObject': read } = RECORDED[name] ?? {};
    for (const key of keys) {
      assert.ok(read?.includes(key), `${name}: ${key}`);
    }
  }
});

test('reconcile is a one-way mirror: the worker only reads the primary pool', () => {
  for (const { template } of DEPLOYED.filter(({ stack }) => stack === 'primary')) {
    const ofPrimary = statements(template, 'ReplicateWorker').filter(({ resources }) =>
      resources.some((resource) => resourceName(resource, 'primary') === 'primary-pool'),
    );
    const actions = ofPrimary.flatMap(({ actions }) => actions);
    assert.ok(actions.includes('cognito-idp:ListUsers'), `it may list the primary pool: ${actions}`);
    const writes = actions.filter((action) => !/^cognito-idp:(Admin)?(Describe|Get|List)\w+$/.test(action));
    assert.deepEqual(writes, []);
  }
});

test('no function may delete a group, and only the worker that takes snapshots may write latest.json', () => {
  for (const { stack, template } of DEPLOYED) {
    for (const id of functionsOf(stack)) {
      const granted = statements(template, id);
      assert.ok(!granted.some(({ actions }) => actions.includes('cognito-idp:DeleteGroup')), id);
      const pointers = granted.filter(
        ({ actions, resources }) =>
          actions.includes('s3:PutObject') && resources.some((resource) => resource.endsWith('/latest.json')),
      );
      assert.equal(pointers.length > 0, id === 'BackupWorker', id);
    }
  }
});
