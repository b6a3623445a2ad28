// The primary region: replicate-fn as the primary pool's trigger and as the worker that processes the outbox and reconciles the two
// pools, and restore-fn for the failback.

import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { ConfigurationWithTwin, Twin } from './configuration.ts';
import { Monitoring } from './monitoring.ts';
import { attach, createOrReferToPool, referToPool } from './pool.ts';
import { Restore } from './restore.ts';
import { EVERY_MINUTE, RECONCILE, Schedule } from './schedule.ts';
import { OUTBOX_LIFECYCLE, type SnapshotLocation, Store } from './store.ts';
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
    const outbox = new Store(this, 'Outbox', { lifecycleRules: OUTBOX_LIFECYCLE });
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
      description:
        'twinpool: replicates the sign-ups that wait in the outbox, and makes the twin equal to the primary pool',
      codeOf,
      configuration,
      environment: {
        ...environment,
        SOURCE_USER_POOL_ID: pool.id,
        S3_BUCKET_NAME: snapshots.bucketName,
        S3_BUCKET_REGION: snapshots.region,
        TRIGGER_ARN: pool.ownFunction ?? trigger.lambda.functionArn,
        RECONCILE_LIST_RPS: variables.RECONCILE_LIST_RPS,
        RECONCILE_WRITES_RPS: variables.RECONCILE_WRITES_RPS,
        RECONCILE_EVERY_S: variables.RECONCILE_EVERY_S,
        GROUPS_EVERY_S: variables.GROUPS_EVERY_S,
        WITHHOLD_DAYS: variables.WITHHOLD_DAYS,
      },
      arns: {
        ...arns,
        'primary-pool': pool.arn,
        'snapshot-bucket': snapshots.bucketArn,
        'key-of-snapshot-bucket': snapshots.keyArn,
      },
    });
    new Schedule(this, 'Schedule', worker.lambda, { Tick: EVERY_MINUTE, Reconcile: RECONCILE });

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
    alarmOnReconcile(monitoring, worker, Number(variables.RECONCILE_EVERY_S ?? RECONCILE_EVERY_S));
    monitoring.alarmOnDetachedTrigger(worker);
    monitoring.alarmOnFailures('Trigger', trigger, "The primary pool's trigger");
    monitoring.alarmOnFailures('Worker', worker, 'The worker that processes the outbox and reconciles');

    new Restore(this, 'Restore', { pool, snapshotPool: twin, snapshots, configuration, codeOf, monitoring });

    monitoring.createDashboard(
      [
        worker.maximum('OutboxDepth'),
        worker.maximum('OutboxOldest'),
        trigger.sum('Lost', Duration.days(1)),
        worker.sum('Conflicts', Duration.days(1)),
        trigger.sum('Replicated', Duration.days(1)),
        worker.maximum('ReconcileAge'),
        worker.sum('ReconcileChanges', Duration.days(1)),
        worker.sum('ReconcileReported', Duration.days(1)),
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
        'Age of the latest complete reconcile, in seconds': [worker.maximum('ReconcileAge')],
        Reconcile: ['ReconcileChanges', 'ReconcileReported', 'MassChange'].map((name) => worker.sum(name)),
      },
    );

    new CfnOutput(this, 'UserPoolId', { value: pool.id, description: 'The primary pool' });
    new CfnOutput(this, 'TriggerArn', { value: trigger.lambda.functionArn, description: 'replicate-fn, trigger' });
    new CfnOutput(this, 'WorkerName', { value: worker.lambda.functionName, description: 'replicate-fn, worker' });
    new CfnOutput(this, 'OutboxBucketName', { value: outbox.bucket.bucketName, description: 'outbox/ and conflicts/' });
    new CfnOutput(this, 'SnapshotBucketName', {
      value: snapshots.bucketName,
      description: 'snapshots/, journal/, restores/, reconciles/ and withheld/, in the secondary region',
    });
  }
}

/** The default of the variable of the same name (reconcile/src/request.rs). */
const RECONCILE_EVERY_S = 3600;

/** Adds the alarms on reconcile, which the worker runs every `intervalS` seconds. */
function alarmOnReconcile(monitoring: Monitoring, worker: TwinpoolFunction, intervalS: number): void {
  monitoring.addAlarm('ReconcileAge', {
    metric: worker.maximum('ReconcileAge'),
    threshold: 3 * intervalS,
    periods: 3,
    missingData: 'breaching',
    description:
      'The twin has not been made equal to the primary pool for three intervals (RECONCILE_EVERY_S), or never, or the worker does not ' +
      'report. Run twinpool status: fill-needed or never: run twinpool reconcile. waiting: the twin is in use, and it goes on an hour after the ' +
      'last sign-up or reset there. Otherwise, the log of the worker says why nothing was written.',
  });
  monitoring.addAlarm('ReconcileReported', {
    metric: worker.sum('ReconcileReported'),
    threshold: 0,
    missingData: 'not breaching',
    description:
      'Reconcile has found people for the first time whom it cannot make equal in the two pools. Run twinpool status for the latest report: ' +
      'reconciles/ID/report.json in the snapshot bucket has each of them with the reason. Decide with twinpool reconcile --prefer.',
  });
  monitoring.addAlarm('MassChange', {
    metric: worker.sum('MassChange'),
    threshold: 0,
    missingData: 'not breaching',
    description:
      'Reconcile would disable, delete or change so many users of the twin that it has held these writes. Check the users of the primary ' +
      'pool first. If the changes are wanted, run twinpool reconcile --accept ID with the id of the run.',
  });
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
