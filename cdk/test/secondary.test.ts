// The secondary stack, in both variants.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Match } from 'aws-cdk-lib/assertions';
import { AROUND_EXISTING, FROM_NOTHING, templates } from './app.ts';
import { all, one, text } from './template.ts';

const fromNothing = templates(FROM_NOTHING).secondary;
const existing = templates(AROUND_EXISTING).secondary;

const variables = (template: typeof fromNothing, id: string) => {
  const { Variables } = one(template, 'AWS::Lambda::Function', `${id}Function`).Properties.Environment;
  return Object.fromEntries(Object.entries(Variables).map(([name, value]) => [name, text(value)]));
};

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
  const set = { LIST_USERS_RPS: '25', SNAPSHOT_MIN_INTERVAL_S: '120', SHRINK_GUARD_PERCENT: '80' };
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

test('snapshots expire as configured, and the journal never expires', () => {
  const { secondary } = templates({ ...FROM_NOTHING, snapshotDays: 30 });
  const rules = one(secondary, 'AWS::S3::Bucket', 'BackupSnapshotsBucket').Properties.LifecycleConfiguration.Rules;
  const expiring = rules.filter((rule: object) => 'ExpirationInDays' in rule);
  assert.deepEqual(expiring, [
    { ExpirationInDays: 30, Id: 'snapshots', Prefix: 'snapshots/', Status: 'Enabled' },
    { ExpirationInDays: 7, Id: 'parts', Prefix: 'parts/', Status: 'Enabled' },
  ]);
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
