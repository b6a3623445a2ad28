// The primary region: replicate-fn as the primary pool's trigger and as the worker that processes the outbox, and restore-fn for the
// failback.

import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { ConfigurationWithTwin, Twin } from './configuration.ts';
import { Monitoring } from './monitoring.ts';
import { attach, createOrReferToPool, referToPool } from './pool.ts';
import { Restore } from './restore.ts';
import { EVERY_MINUTE, Schedule } from './schedule.ts';
import { type SnapshotLocation, Store } from './store.ts';
import { type CodeOf, TwinpoolFunction } from './twinpool-function.ts';

export class PrimaryStack extends Stack {
  constructor(scope: Construct, id: string, configuration: ConfigurationWithTwin, codeOf: CodeOf, props: StackProps) {
    super(scope, id, {
      ...props,
      description:
        'twinpool: replicates the users who sign up in the primary pool to its twin, and restores newcomers after a failover',
    });
    const { primary, secondary, variables } = configuration;
    const pool = createOrReferToPool(this, primary, configuration);
    const twin = referToPool(this, secondary);
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
      description: "twinpool: the primary pool's post-confirmation trigger, which replicates sign-ups",
      codeOf,
      configuration,
      environment,
      arns,
    });
    attach(pool, trigger);

    const snapshots = snapshotLocation(this, secondary);
    const worker = new TwinpoolFunction(this, 'ReplicateWorker', {
      name: 'replicate-fn-worker',
      description: 'twinpool: replicates the sign-ups that wait in the outbox',
      codeOf,
      configuration,
      environment: {
        ...environment,
        SOURCE_USER_POOL_ID: pool.id,
        S3_BUCKET_NAME: snapshots.bucketName,
        S3_BUCKET_REGION: snapshots.region,
        TRIGGER_ARN: pool.ownFunction ?? trigger.lambda.functionArn,
      },
      arns: {
        ...arns,
        'primary-pool': pool.arn,
        'snapshot-bucket': snapshots.bucketArn,
        'key-of-snapshot-bucket': snapshots.keyArn,
      },
    });
    new Schedule(this, 'Schedule', worker.lambda, { Tick: EVERY_MINUTE });

    const monitoring = new Monitoring(this, 'Watch', configuration.alarmEmail);
    monitoring.addAlarm('Lost', {
      metric: trigger.sum('Lost'),
      threshold: 0,
      missingData: 'not breaching',
      description:
        'Someone signed up but could be neither replicated nor kept in the outbox, or the trigger is not configured. The log of the trigger contains the sub.',
    });
    monitoring.addAlarm('OutboxOldest', {
      metric: worker.maximum('OutboxOldest'),
      threshold: Duration.minutes(15).toSeconds(),
      periods: 3,
      missingData: 'breaching',
      description:
        'A sign-up has waited in the outbox for more than 15 minutes, or the worker does not report. Check whether the secondary region is available.',
    });
    monitoring.addAlarm('Conflicts', {
      metric: worker.sum('Conflicts'),
      threshold: 0,
      missingData: 'not breaching',
      description:
        'A sign-up cannot be replicated, and retrying does not help. Its record was moved to conflicts/ in the outbox bucket and contains the reason.',
    });
    monitoring.alarmOnDetachedTrigger(worker);
    monitoring.alarmOnFailures('Trigger', trigger, "The primary pool's trigger");
    monitoring.alarmOnFailures('Worker', worker, 'The worker that processes the outbox');

    new Restore(this, 'Restore', { pool, snapshotPool: twin, snapshots, configuration, codeOf, monitoring });

    monitoring.createDashboard(
      [
        worker.maximum('OutboxDepth'),
        worker.maximum('OutboxOldest'),
        trigger.sum('Lost', Duration.days(1)),
        worker.sum('Conflicts', Duration.days(1)),
        trigger.sum('Replicated', Duration.days(1)),
      ],
      {
        'Sign-ups': ['Replicated', 'AlreadyReplicated', 'Deferred', 'Skipped', 'Lost'].map((name) => trigger.sum(name)),
        Outbox: [
          worker.maximum('OutboxDepth'),
          worker.sum('Replicated'),
          worker.sum('Reclaimed'),
          worker.sum('Conflicts'),
        ],
        'Replication latency, 99th percentile': [trigger.metric('ReplicationLatency', 'p99')],
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

/** The location of the twin's snapshots, from the outputs of the secondary stack. */
function snapshotLocation(stack: Stack, { region, snapshotBucket, snapshotKeyId }: Twin): SnapshotLocation {
  return {
    bucketName: snapshotBucket,
    bucketArn: stack.formatArn({ service: 's3', region: '', account: '', resource: snapshotBucket }),
    keyArn: stack.formatArn({ service: 'kms', region, resource: 'key', resourceName: snapshotKeyId }),
    region,
  };
}
