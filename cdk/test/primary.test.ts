// The primary stack, in both variants.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AROUND_EXISTING, FROM_NOTHING, templates } from './app.ts';
import { all, one, text } from './template.ts';

const fromNothing = templates(FROM_NOTHING).primary;
const existing = templates(AROUND_EXISTING).primary;

const variables = (template: typeof fromNothing, id: string) => {
  const { Variables } = one(template, 'AWS::Lambda::Function', `${id}Function`).Properties.Environment;
  return Object.fromEntries(Object.entries(Variables).map(([name, value]) => [name, text(value)]));
};

test('the trigger has its documented variables, and none for its own pool', () => {
  const { OUTBOX_BUCKET, ...rest } = variables(fromNothing, 'ReplicateTrigger');
  assert.match(OUTBOX_BUCKET ?? '', /^<OutboxBucket/);
  assert.deepEqual(rest, {
    TARGET_USER_POOL_ID: 'ap-northeast-3_Secondary',
    ORIGIN_SUB_ATTRIBUTE: 'custom:origin_sub',
  });
});

test('the worker has its documented variables', () => {
  for (const [template, pool] of [
    [fromNothing, /^<UserPool\w+>$/],
    [existing, /^ap-northeast-1_Primary$/],
  ] as const) {
    const { OUTBOX_BUCKET, SOURCE_USER_POOL_ID, S3_BUCKET_NAME, TRIGGER_ARN, ...rest } = variables(
      template,
      'ReplicateWorker',
    );
    assert.match(TRIGGER_ARN ?? '', /^<ReplicateTriggerFunction\w+\.Arn>$/);
    assert.match(OUTBOX_BUCKET ?? '', /^<OutboxBucket/);
    assert.match(SOURCE_USER_POOL_ID ?? '', pool);
    assert.match(S3_BUCKET_NAME ?? '', /^twinpool-snapshots-/);
    assert.deepEqual(rest, {
      S3_BUCKET_REGION: 'ap-northeast-3',
      TARGET_USER_POOL_ID: 'ap-northeast-3_Secondary',
      ORIGIN_SUB_ATTRIBUTE: 'custom:origin_sub',
    });
  }
});

test('both functions get the variables of the configuration, and no variable without a value is set', () => {
  const { primary } = templates({
    ...FROM_NOTHING,
    originSubAttribute: '',
    variables: { ACTIVATE_REPLICAS: 'false', REPLICATION_BUDGET_MS: '2500', LIST_USERS_RPS: '25' },
  });
  for (const id of ['ReplicateTrigger', 'ReplicateWorker']) {
    const found = variables(primary, id);
    assert.equal(found['ACTIVATE_REPLICAS'], 'false');
    assert.equal(found['REPLICATION_BUDGET_MS'], '2500');
    assert.equal(found['ORIGIN_SUB_ATTRIBUTE'], undefined);
    assert.equal(found['LIST_USERS_RPS'], undefined);
  }
});

test('the worker of the outbox gets a tick every minute, with a constant payload and without retries', () => {
  const schedules = Object.values(all(fromNothing, 'AWS::Scheduler::Schedule')).map(({ Properties }) => Properties);
  assert.equal(schedules.length, 1);
  const [{ ScheduleExpression, FlexibleTimeWindow, Target }] = schedules;
  assert.equal(ScheduleExpression, 'rate(1 minute)');
  assert.deepEqual(FlexibleTimeWindow, { Mode: 'OFF' });
  assert.equal(Target.Input, '{"action":"tick"}');
  assert.deepEqual(Target.RetryPolicy, { MaximumRetryAttempts: 0 });
  assert.match(text(Target.Arn), /^<ReplicateWorkerFunction/);
});

test('nothing expires in the outbox', () => {
  const rules = one(fromNothing, 'AWS::S3::Bucket', 'OutboxBucket').Properties.LifecycleConfiguration.Rules;
  const expiring = rules.filter((rule: object) => 'ExpirationInDays' in rule);
  assert.deepEqual(expiring, []);
});

test('lost sign-ups raise an alarm', () => {
  const { Properties } = one(fromNothing, 'AWS::CloudWatch::Alarm', 'WatchLost');
  assert.equal(Properties.MetricName, 'Lost');
  assert.equal(Properties.Namespace, 'twinpool');
  assert.equal(Properties.Statistic, 'Sum');
  assert.equal(Properties.Threshold, 0);
  assert.match(text(Properties.Dimensions[0].Value), /^<ReplicateTriggerFunction/);
});

test('an old record in the outbox raises an alarm, and so does missing data', () => {
  const { Properties } = one(fromNothing, 'AWS::CloudWatch::Alarm', 'WatchOutboxOldest');
  assert.equal(Properties.MetricName, 'OutboxOldest');
  assert.equal(Properties.Threshold, 900);
  assert.equal(Properties.TreatMissingData, 'breaching');
  assert.match(text(Properties.Dimensions[0].Value), /^<ReplicateWorkerFunction/);
});

test('conflicts raise an alarm', () => {
  const { Properties } = one(fromNothing, 'AWS::CloudWatch::Alarm', 'WatchConflicts');
  assert.equal(Properties.MetricName, 'Conflicts');
  assert.equal(Properties.Threshold, 0);
  assert.match(text(Properties.Dimensions[0].Value), /^<ReplicateWorkerFunction/);
});

test('a trigger that is detached raises an alarm', () => {
  for (const template of [fromNothing, existing]) {
    const { Properties } = one(template, 'AWS::CloudWatch::Alarm', 'WatchTriggerDetached');
    assert.equal(Properties.MetricName, 'TriggerDetached');
    assert.equal(Properties.Statistic, 'Maximum');
    assert.equal(Properties.Threshold, 0);
    assert.equal(Properties.TreatMissingData, 'ignore');
    assert.match(text(Properties.Dimensions[0].Value), /^<ReplicateWorkerFunction/);
  }
});

test('a pool with a post-confirmation function of its own, which invokes the trigger, is expected to run that function', () => {
  const postConfirmation = 'arn:aws:lambda:ap-northeast-1:123456789012:function:ours';
  const { primary } = templates({
    ...AROUND_EXISTING,
    primary: { ...AROUND_EXISTING.primary, postConfirmation },
  });
  assert.equal(variables(primary, 'ReplicateWorker')['TRIGGER_ARN'], postConfirmation);
});
