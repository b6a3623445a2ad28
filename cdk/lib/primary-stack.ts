// The primary region: replicate-fn as the primary pool's trigger and as the worker of its outbox, and restore-fn for the way back.

import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { ConfigurationWithTwin, Twin } from './configuration.ts';
import { attach, chosenPool, existingPool } from './pool.ts';
import { Restore } from './restore.ts';
import { Schedule, TICK } from './schedule.ts';
import { type Snapshots, Store } from './store.ts';
import { type CodeOf, TwinpoolFunction } from './twinpool-function.ts';
import { Watch } from './watch.ts';

export class PrimaryStack extends Stack {
  constructor(scope: Construct, id: string, configuration: ConfigurationWithTwin, codeOf: CodeOf, props: StackProps) {
    super(scope, id, {
      ...props,
      description: 'twinpool: brings everyone who signs up in the primary pool to its twin, and newcomers back',
    });
    const { primary, secondary, variables } = configuration;
    const pool = chosenPool(this, primary, configuration);
    const twin = existingPool(this, secondary);
    const outbox = new Store(this, 'Outbox');
    const arns = {
      'outbox-bucket': outbox.bucket.bucketArn,
      'key-of-outbox-bucket': outbox.key.keyArn,
      'secondary-pool': twin.arn,
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
    attach(pool, trigger);

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

    const snapshots = snapshotsOf(this, secondary);
    new Restore(this, 'Restore', { pool, snapshotPool: twin, snapshots, configuration, codeOf, watch });

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
      },
    );

    new CfnOutput(this, 'UserPoolId', { value: pool.id, description: 'The primary pool' });
    new CfnOutput(this, 'TriggerArn', { value: trigger.lambda.functionArn, description: 'replicate-fn, trigger' });
    new CfnOutput(this, 'WorkerName', { value: worker.lambda.functionName, description: 'replicate-fn, worker' });
    new CfnOutput(this, 'OutboxBucketName', { value: outbox.bucket.bucketName, description: 'outbox/ and conflicts/' });
    new CfnOutput(this, 'SnapshotBucketName', {
      value: snapshots.bucketName,
      description: 'snapshots/, journal/ and restores/, in the secondary region',
    });
  }
}

/** The snapshots of the twin, by the names that its stack gave them. */
function snapshotsOf(stack: Stack, { region, snapshotBucket, snapshotKeyId }: Twin): Snapshots {
  return {
    bucketName: snapshotBucket,
    bucketArn: stack.formatArn({ service: 's3', region: '', account: '', resource: snapshotBucket }),
    keyArn: stack.formatArn({ service: 'kms', region, resource: 'key', resourceName: snapshotKeyId }),
    region,
  };
}
