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

test('the worker gets the variables of reconcile, and the trigger does not', () => {
  const set = {
    RECONCILE_LIST_RPS: '5',
    RECONCILE_WRITES_RPS: '8',
    RECONCILE_EVERY_S: '7200',
    GROUPS_EVERY_S: '43200',
    WITHHOLD_DAYS: '14',
  };
  const { primary } = templates({ ...FROM_NOTHING, variables: set });
  const ofWorker = variables(primary, 'ReplicateWorker');
  const ofTrigger = variables(primary, 'ReplicateTrigger');
  for (const [name, value] of Object.entries(set)) {
    assert.equal(ofWorker[name], value, name);
    assert.equal(ofTrigger[name], undefined, name);
  }
});

test('the worker gets a tick every minute and is woken for reconcile every five, with constant payloads and without retries', () => {
  const schedules = Object.values(all(fromNothing, 'AWS::Scheduler::Schedule')).map(({ Properties }) => Properties);
  const inputs = Object.fromEntries(
    schedules.map(({ ScheduleExpression, Target }) => [ScheduleExpression, Target.Input]),
  );
  assert.deepEqual(inputs, {
    'rate(1 minute)': '{"action":"tick"}',
    'rate(5 minutes)': '{"action":"reconcile"}',
  });
  for (const { FlexibleTimeWindow, Target } of schedules) {
    assert.deepEqual(FlexibleTimeWindow, { Mode: 'OFF' });
    assert.deepEqual(Target.RetryPolicy, { MaximumRetryAttempts: 0 });
    assert.match(text(Target.Arn), /^<ReplicateWorkerFunction/);
  }
});

test('the tick does not wait for a reconcile of 15 minutes, because the concurrency of the worker is not limited', () => {
  const { primary } = templates({ ...FROM_NOTHING, triggerConcurrency: 20 });
  const { Properties } = one(primary, 'AWS::Lambda::Function', 'ReplicateWorkerFunction');
  assert.equal(Properties.Timeout, 15 * 60);
  assert.equal(Properties.ReservedConcurrentExecutions, undefined);
});

test('conflicts expire after 90 days, and nothing expires in the outbox', () => {
  const rules = one(fromNothing, 'AWS::S3::Bucket', 'OutboxBucket').Properties.LifecycleConfiguration.Rules;
  const expiring = rules.filter((rule: object) => 'ExpirationInDays' in rule);
  assert.deepEqual(expiring, [{ ExpirationInDays: 90, Id: 'conflicts', Prefix: 'conflicts/', Status: 'Enabled' }]);
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

test('three intervals without a complete reconcile raise an alarm, and so does missing data', () => {
  for (const [RECONCILE_EVERY_S, seconds] of [
    [undefined, 3 * 3600],
    ['86400', 3 * 86400],
  ] as const) {
    const { primary } = templates({ ...FROM_NOTHING, variables: RECONCILE_EVERY_S ? { RECONCILE_EVERY_S } : {} });
    const { Properties } = one(primary, 'AWS::CloudWatch::Alarm', 'WatchReconcileAge');
    assert.equal(Properties.MetricName, 'ReconcileAge');
    assert.equal(Properties.Statistic, 'Maximum');
    assert.equal(Properties.Threshold, seconds);
    assert.equal(Properties.TreatMissingData, 'breaching');
    assert.match(text(Properties.Dimensions[0].Value), /^<ReplicateWorkerFunction/);
    assert.match(Properties.AlarmDescription, /twinpool status.*twinpool reconcile/);
  }
});

test('people who are reported for the first time, and a mass change that was held, raise an alarm that says what to do', () => {
  for (const [name, whatToDo] of [
    ['ReconcileReported', /report\.json.*twinpool reconcile --prefer/],
    ['MassChange', /Check the users of the primary pool first.*twinpool reconcile --accept/],
  ] as const) {
    const { Properties } = one(fromNothing, 'AWS::CloudWatch::Alarm', `Watch${name}`);
    assert.equal(Properties.MetricName, name);
    assert.equal(Properties.Statistic, 'Sum');
    assert.equal(Properties.Threshold, 0);
    assert.equal(Properties.TreatMissingData, 'notBreaching');
    assert.match(text(Properties.Dimensions[0].Value), /^<ReplicateWorkerFunction/);
    assert.match(Properties.AlarmDescription, whatToDo);
  }
});

test('the dashboard shows the age, the changes and the reports of reconcile, as current values and as graphs', () => {
  const { DashboardBody } = one(fromNothing, 'AWS::CloudWatch::Dashboard', 'WatchDashboard').Properties;
  for (const name of ['ReconcileAge', 'ReconcileChanges', 'ReconcileReported']) {
    const shown = text(DashboardBody).match(new RegExp(`"twinpool","${name}","FunctionName","<ReplicateWorker`, 'g'));
    assert.equal(shown?.length, 2, name);
  }
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
