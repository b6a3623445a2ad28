// The primary region: replicate-fn as the primary pool's trigger and as the worker of its outbox.

import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Configuration } from './configuration.ts';
import { existingPool, newPool } from './pool.ts';
import { Schedule, TICK } from './schedule.ts';
import { Store } from './store.ts';
import { type CodeOf, TwinpoolFunction } from './twinpool-function.ts';
import { Watch } from './watch.ts';

export class PrimaryStack extends Stack {
  constructor(scope: Construct, id: string, configuration: Configuration, codeOf: CodeOf, props: StackProps) {
    super(scope, id, {
      ...props,
      description: 'twinpool: brings everyone who signs up in the primary pool to its twin',
    });
    const { primary, secondary, variables } = configuration;
    const outbox = new Store(this, 'Outbox');
    const arns = {
      'outbox-bucket': outbox.bucket.bucketArn,
      'key-of-outbox-bucket': outbox.key.keyArn,
      'secondary-pool': existingPool(this, secondary).arn,
    };
    const environment = {
      TARGET_USER_POOL_ID: secondary.userPoolId,
      OUTBOX_BUCKET: outbox.bucket.bucketName,
      ORIGIN_SUB_ATTRIBUTE: configuration.originSubAttribute,
      ACTIVATE_REPLICAS: variables.ACTIVATE_REPLICAS,
      REPLICATION_BUDGET_MS: variables.REPLICATION_BUDGET_MS,
    };

    const trigger = new TwinpoolFunction(this, 'ReplicateTrigger', {
      name: 'replicate-fn-trigger',
      description: "twinpool: the primary pool's post-confirmation trigger",
      codeOf,
      configuration,
      environment,
      arns,
    });
    const pool = primary.pool === 'new' ? newPool(this, configuration, trigger.lambda) : existingPool(this, primary);
    trigger.allowPool(pool.arn, this.account);

    const worker = new TwinpoolFunction(this, 'ReplicateWorker', {
      name: 'replicate-fn-worker',
      description: 'twinpool: replays the outbox',
      codeOf,
      configuration,
      environment: { ...environment, SOURCE_USER_POOL_ID: pool.id },
      arns: { ...arns, 'primary-pool': pool.arn },
    });
    new Schedule(this, 'Schedule', worker.lambda, { Tick: TICK });

    const watch = new Watch(this, 'Watch', configuration.alarmEmail);
    watch.alarm('Lost', {
      metric: trigger.count('Lost'),
      above: 0,
      silence: 'nothing happened',
      description:
        'Someone signed up and is kept nowhere, or the trigger is not configured. Its log names them by sub.',
    });
    watch.alarm('OutboxOldest', {
      metric: worker.highest('OutboxOldest'),
      above: Duration.minutes(15).toSeconds(),
      periods: 3,
      silence: 'alarm',
      description:
        'People wait in the outbox for over 15 minutes, or its worker is silent. Is the secondary region well?',
    });
    watch.alarm('Conflicts', {
      metric: worker.count('Conflicts'),
      above: 0,
      silence: 'nothing happened',
      description:
        'A sign-up can never be replicated as it is. Its record in conflicts/ of the outbox bucket says why.',
    });
    watch.failures('Trigger', trigger, "the primary pool's trigger");
    watch.failures('Worker', worker, "the outbox's worker");
    watch.dashboard(
      [
        worker.highest('OutboxDepth'),
        worker.highest('OutboxOldest'),
        trigger.count('Lost', Duration.days(1)),
        worker.count('Conflicts', Duration.days(1)),
        trigger.count('Replicated', Duration.days(1)),
      ],
      {
        'Sign-ups': ['Replicated', 'AlreadyReplicated', 'Deferred', 'Skipped', 'Lost'].map((name) =>
          trigger.count(name),
        ),
        Outbox: [
          worker.highest('OutboxDepth'),
          worker.count('Replicated'),
          worker.count('Reclaimed'),
          worker.count('Conflicts'),
        ],
        'Time to replicate, 99 of 100': [trigger.metric('ReplicationLatency', 'p99')],
        'Failures of functions': [trigger, worker].flatMap(({ lambda }) => [
          lambda.metricErrors(),
          lambda.metricThrottles(),
        ]),
      },
    );

    new CfnOutput(this, 'UserPoolId', { value: pool.id, description: 'The primary pool' });
    new CfnOutput(this, 'TriggerArn', { value: trigger.lambda.functionArn, description: 'replicate-fn, trigger' });
    new CfnOutput(this, 'WorkerName', { value: worker.lambda.functionName, description: 'replicate-fn, worker' });
    new CfnOutput(this, 'OutboxBucketName', { value: outbox.bucket.bucketName, description: 'outbox/ and conflicts/' });
    new CfnOutput(this, 'AlarmTopicArn', { value: watch.topic.topicArn, description: 'Alarms of the primary region' });
    if (primary.pool === 'existing') {
      new CfnOutput(this, 'AttachTrigger', attachTrigger(pool.id, trigger));
    }
  }
}

/** How to attach a trigger to an existing pool, which CloudFormation leaves alone. */
export function attachTrigger(poolId: string, { lambda }: TwinpoolFunction) {
  return {
    value: `twinpool attach --pool ${poolId} --function ${lambda.functionArn}`,
    description:
      'Attaches the trigger; or in the Cognito console: the pool, Extensions, Add Lambda trigger, Sign-up, Post confirmation, ' +
      'this function. If the pool has such a trigger already: docs/deploy.md.',
  };
}
