// The secondary stack, in both variants.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Match } from 'aws-cdk-lib/assertions';
import { AROUND_EXISTING, FROM_NOTHING, templates } from './app.ts';
import { all, one, statements, text } from './template.ts';

const fromNothing = templates(FROM_NOTHING).secondary;
const existing = templates(AROUND_EXISTING).secondary;

const variables = (template: typeof fromNothing, id: string) => {
  const { Variables } = one(template, 'AWS::Lambda::Function', `${id}Function`).Properties.Environment;
  return Object.fromEntries(Object.entries(Variables).map(([name, value]) => [name, text(value)]));
};

/** The rules of the snapshot bucket with which objects expire. */
const expirations = (template: typeof fromNothing): { Prefix: string }[] =>
  one(template, 'AWS::S3::Bucket', 'BackupSnapshotsBucket').Properties.LifecycleConfiguration.Rules.filter(
    (rule: object) => 'ExpirationInDays' in rule,
  );

test('the trigger has its documented variables, and none for its own pool', () => {
  const { S3_BUCKET_NAME, ...rest } = variables(fromNothing, 'BackupTrigger');
  assert.match(S3_BUCKET_NAME ?? '', /^twinpool-snapshots-/);
  assert.deepEqual(rest, {});
});

test('the worker has its documented variables', () => {
  for (const [template, pool] of [
    [fromNothing, /^<UserPool\w+>$/],
    [existing, /^ap-northeast-3_Secondary$/],
  ] as const) {
    const { S3_BUCKET_NAME, USER_POOL_ID, TRIGGER_ARN, ...rest } = variables(template, 'BackupWorker');
    assert.match(TRIGGER_ARN ?? '', /^<BackupTriggerFunction\w+\.Arn>$/);
    assert.match(S3_BUCKET_NAME ?? '', /^twinpool-snapshots-/);
    assert.match(USER_POOL_ID ?? '', pool);
    assert.deepEqual(rest, { ORIGIN_SUB_ATTRIBUTE: 'custom:origin_sub' });
  }
});

test('the worker gets the variables of the configuration', () => {
  const set = {
    LIST_USERS_RPS: '25',
    LOOKUPS_RPS: '30',
    SNAPSHOT_POOL_INTERVAL_S: '7200',
    SNAPSHOT_MIN_INTERVAL_S: '120',
    SHRINK_GUARD_PERCENT: '80',
  };
  const { secondary } = templates({ ...FROM_NOTHING, variables: { ...set, ACTIVATE_REPLICAS: 'false' } });
  const found = variables(secondary, 'BackupWorker');
  for (const [name, value] of Object.entries(set)) {
    assert.equal(found[name], value, name);
  }
  assert.equal(found['ACTIVATE_REPLICAS'], undefined);
});

test('the worker gets a tick every minute and takes a daily snapshot, with constant payloads and without retries', () => {
  const schedules = Object.values(all(fromNothing, 'AWS::Scheduler::Schedule')).map(({ Properties }) => Properties);
  const inputs = Object.fromEntries(
    schedules.map(({ ScheduleExpression, Target }) => [ScheduleExpression, Target.Input]),
  );
  assert.deepEqual(inputs, {
    'rate(1 minute)': '{"action":"tick"}',
    'cron(0 18 * * ? *)': '{"action":"snapshot","accept_shrink":false}',
  });
  for (const { FlexibleTimeWindow, Target } of schedules) {
    assert.deepEqual(FlexibleTimeWindow, { Mode: 'OFF' });
    assert.deepEqual(Target.RetryPolicy, { MaximumRetryAttempts: 0 });
    assert.match(text(Target.Arn), /^<BackupWorkerFunction/);
  }
});

test('a sign-up record in the journal invokes the worker, and no other object does', () => {
  const bucket = one(fromNothing, 'AWS::S3::Bucket', 'BackupSnapshotsBucket') as ReturnType<typeof one> & {
    DependsOn: string[];
  };
  const [configuration, ...more] = bucket.Properties.NotificationConfiguration.LambdaConfigurations;
  assert.deepEqual(more, []);
  assert.equal(configuration.Event, 's3:ObjectCreated:*');
  assert.deepEqual(configuration.Filter.S3Key.Rules, [{ Name: 'prefix', Value: 'journal/sign-up/' }]);
  assert.match(text(configuration.Function), /^<BackupWorkerFunction/);
});

test('the permission for the bucket to invoke the worker is created before the bucket', () => {
  const { Properties } = one(fromNothing, 'AWS::Lambda::Permission', 'BackupCalledByBucket');
  assert.equal(Properties.Principal, 's3.amazonaws.com');
  assert.match(text(Properties.FunctionName), /^<BackupWorkerFunction/);
  assert.match(text(Properties.SourceArn), /:s3:::twinpool-snapshots-/);
  assert.equal(text(Properties.SourceAccount), '<AWS::AccountId>');
  fromNothing.hasResource('AWS::S3::Bucket', { DependsOn: [Match.stringLikeRegexp('^BackupCalledByBucket')] });
});

test('snapshots expire as configured, reports of reconcile after a year, fills after a month; the journal and withheld people never', () => {
  const { secondary } = templates({ ...FROM_NOTHING, snapshotDays: 30 });
  assert.deepEqual(expirations(secondary), [
    { ExpirationInDays: 30, Id: 'snapshots', Prefix: 'snapshots/', Status: 'Enabled' },
    { ExpirationInDays: 7, Id: 'parts', Prefix: 'parts/', Status: 'Enabled' },
    { ExpirationInDays: 365, Id: 'reconciles', Prefix: 'reconciles/2', Status: 'Enabled' },
    { ExpirationInDays: 30, Id: 'fills', Prefix: 'fills/', Status: 'Enabled' },
  ]);
});

test('objects of a run of reconcile expire, but not its pointer and its lease', () => {
  const expires = (key: string) => expirations(fromNothing).some(({ Prefix }) => key.startsWith(Prefix));
  assert.ok(expires('reconciles/20261129T142525Z-0a1b2c3d/report.json'), 'a report expires');
  assert.ok(!expires('reconciles/latest.json'), 'latest.json is kept');
  assert.ok(!expires('reconciles/lease.json'), 'lease.json is kept');
});

test('Cognito may assume the role of import jobs into the twin, which gives access only to the import logs of this pool', () => {
  for (const [template, pool] of [
    [fromNothing, '<UserPool\\w+>'],
    [existing, 'ap-northeast-3_Secondary'],
  ] as const) {
    const { Properties } = one(template, 'AWS::IAM::Role', 'ImportLogsRole');
    assert.deepEqual(Properties.AssumeRolePolicyDocument.Statement, [
      { Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'cognito-idp.amazonaws.com' } },
    ]);
    const [statement, ...more] = statements(template, 'ImportLogs');
    assert.deepEqual(more, []);
    assert.deepEqual(statement?.actions, [
      'logs:CreateLogGroup',
      'logs:CreateLogStream',
      'logs:DescribeLogStreams',
      'logs:PutLogEvents',
    ]);
    const logs = `^arn:<AWS::Partition>:logs:ap-northeast-3:<AWS::AccountId>:log-group:/aws/cognito/userpools/${pool}/\\*$`;
    assert.match(statement?.resources.join() ?? '', new RegExp(logs));
    const { ImportLogsRoleArn } = template.findOutputs('ImportLogsRoleArn');
    assert.match(text(ImportLogsRoleArn?.['Value']), /^<ImportLogsRole\w+\.Arn>$/);
  }
});

test('no function of this stack may pass the role of import jobs: only an operator does', () => {
  const roles = JSON.stringify(all(fromNothing, 'AWS::IAM::Role'));
  assert.doesNotMatch(roles, /iam:PassRole/);
});

test('lost sign-ups raise an alarm', () => {
  const { Properties } = one(fromNothing, 'AWS::CloudWatch::Alarm', 'WatchLost');
  assert.equal(Properties.MetricName, 'Lost');
  assert.equal(Properties.Threshold, 0);
  assert.match(text(Properties.Dimensions[0].Value), /^<BackupTriggerFunction/);
});

test('an old snapshot raises an alarm, and so does missing data', () => {
  const { Properties } = one(fromNothing, 'AWS::CloudWatch::Alarm', 'WatchSnapshotAge');
  assert.equal(Properties.MetricName, 'SnapshotAge');
  assert.equal(Properties.Threshold, 26 * 3600);
  assert.equal(Properties.TreatMissingData, 'breaching');
  assert.match(text(Properties.Dimensions[0].Value), /^<BackupWorkerFunction/);
});

test('a pool that has shrunk raises an alarm, which stays on until a snapshot is complete', () => {
  const { Properties } = one(fromNothing, 'AWS::CloudWatch::Alarm', 'WatchSnapshotShrunk');
  assert.equal(Properties.MetricName, 'SnapshotShrunk');
  assert.equal(Properties.Threshold, 0);
  assert.equal(Properties.TreatMissingData, 'ignore');
  assert.match(text(Properties.Dimensions[0].Value), /^<BackupWorkerFunction/);
});

test('a jump of the users who cannot be imported raises an alarm', () => {
  const { Properties } = one(fromNothing, 'AWS::CloudWatch::Alarm', 'WatchSnapshotRejectedJump');
  const [expression, ...metrics] = Properties.Metrics;
  assert.equal(expression.Expression, '100 * DIFF(rejected) / users');
  assert.deepEqual(
    metrics.map((metric: { Id: string; MetricStat: { Metric: { MetricName: string } } }) => [
      metric.Id,
      metric.MetricStat.Metric.MetricName,
    ]),
    [
      ['rejected', 'SnapshotRejected'],
      ['users', 'SnapshotUsers'],
    ],
  );
  assert.equal(Properties.Threshold, 1);
});

test('a trigger that is detached raises an alarm', () => {
  const { Properties } = one(fromNothing, 'AWS::CloudWatch::Alarm', 'WatchTriggerDetached');
  assert.equal(Properties.MetricName, 'TriggerDetached');
  assert.equal(Properties.Threshold, 0);
  assert.match(text(Properties.Dimensions[0].Value), /^<BackupWorkerFunction/);
});
