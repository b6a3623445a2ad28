// replicate-fn for a primary pool: the trigger replicates who signs up to the secondary pool, and the worker processes the outbox and
// reconciles the two pools.

import { Duration } from 'aws-cdk-lib';
import type { Alarm, IMetric } from 'aws-cdk-lib/aws-cloudwatch';
import type { IUserPool } from 'aws-cdk-lib/aws-cognito';
import type { Key } from 'aws-cdk-lib/aws-kms';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { Alarms } from './alarms.ts';
import { TwinpoolFunction } from './function.ts';
import {
  arnOfBucket,
  arnOfPool,
  codeOf,
  type FunctionProps,
  regionOfPool,
  type TriggerProps,
  type Twin,
} from './options.ts';
import { attach } from './pool.ts';
import { EVERY_MINUTE, RECONCILE, Schedule } from './schedule.ts';
import { outboxLifecycle, Store } from './store.ts';

/** The optional variables of replicate-fn. docs/deploy.md and the README explain them. */
export interface ReplicationVariables {
  readonly ACTIVATE_REPLICAS?: string;
  readonly REPLICATION_BUDGET_MS?: string;
  readonly RECONCILE_LIST_RPS?: string;
  readonly RECONCILE_WRITES_RPS?: string;
  readonly RECONCILE_EVERY_S?: string;
  readonly GROUPS_EVERY_S?: string;
  readonly WITHHOLD_DAYS?: string;
}

export interface ReplicationProps extends FunctionProps, TriggerProps {
  /** The primary pool. One that the same stack creates gets the trigger, and keeps its other triggers. */
  readonly userPool: IUserPool;
  /** The secondary pool and its snapshots, in another region. */
  readonly twin: Twin;
  /** The name of the outbox bucket. Default: CloudFormation generates it. */
  readonly outboxBucketName?: string;
  /** For how long people who could not be replicated are kept in `conflicts/`. Default: 90 days. */
  readonly conflictRetention?: Duration;
  /** Variables of the functions that shall differ from their defaults. */
  readonly variables?: ReplicationVariables;
}

export class Replication extends Construct {
  readonly trigger: LambdaFunction;
  readonly worker: LambdaFunction;
  /** The bucket with `outbox/` and `conflicts/`. */
  readonly bucket: Bucket;
  /** The encryption key of the bucket. */
  readonly key: Key;
  readonly alarms: readonly Alarm[];
  /** The command that attaches the trigger. Only of an imported pool, which CloudFormation does not change. */
  readonly attachCommand: string | undefined;
  /** For a dashboard: metrics shown as their current value. */
  readonly currentValues: readonly IMetric[];
  /** For a dashboard: metrics shown as graphs, by title. */
  readonly graphs: Readonly<Record<string, IMetric[]>>;

  constructor(scope: Construct, id: string, props: ReplicationProps) {
    super(scope, id);
    const { userPool, twin, variables = {} } = props;
    const outbox = new Store(this, 'Outbox', {
      bucketName: props.outboxBucketName,
      lifecycleRules: outboxLifecycle(props.conflictRetention ?? Duration.days(90)),
      removalPolicy: props.removalPolicy,
    });
    this.bucket = outbox.bucket;
    this.key = outbox.key;
    const code = codeOf('replicate-fn', props);
    const arns = {
      'outbox-bucket': outbox.bucket.bucketArn,
      'key-of-outbox-bucket': outbox.key.keyArn,
      'secondary-pool': arnOfPool(this, twin.userPoolId),
    };
    const environment = {
      TARGET_USER_POOL_ID: twin.userPoolId,
      OUTBOX_BUCKET: outbox.bucket.bucketName,
      ORIGIN_SUB_ATTRIBUTE: props.originSubAttribute,
      ACTIVATE_REPLICAS: variables.ACTIVATE_REPLICAS,
      REPLICATION_BUDGET_MS: variables.REPLICATION_BUDGET_MS,
    };

    const trigger = new TwinpoolFunction(this, 'ReplicateTrigger', {
      name: 'replicate-fn-trigger',
      description: "twinpool: the primary pool's post-confirmation trigger, which replicates sign-ups",
      code,
      options: props,
      concurrency: props.triggerConcurrency,
      environment,
      arns,
    });
    this.trigger = trigger.lambda;
    this.attachCommand = attach(trigger, userPool, props.postConfirmationFunctionArn);

    const worker = new TwinpoolFunction(this, 'ReplicateWorker', {
      name: 'replicate-fn-worker',
      description:
        'twinpool: replicates the sign-ups that wait in the outbox, and makes the twin equal to the primary pool',
      code,
      options: props,
      environment: {
        ...environment,
        SOURCE_USER_POOL_ID: userPool.userPoolId,
        S3_BUCKET_NAME: twin.snapshotBucketName,
        S3_BUCKET_REGION: regionOfPool(twin.userPoolId),
        TRIGGER_ARN: props.postConfirmationFunctionArn ?? trigger.lambda.functionArn,
        RECONCILE_LIST_RPS: variables.RECONCILE_LIST_RPS,
        RECONCILE_WRITES_RPS: variables.RECONCILE_WRITES_RPS,
        RECONCILE_EVERY_S: variables.RECONCILE_EVERY_S,
        GROUPS_EVERY_S: variables.GROUPS_EVERY_S,
        WITHHOLD_DAYS: variables.WITHHOLD_DAYS,
      },
      arns: {
        ...arns,
        'primary-pool': userPool.userPoolArn,
        'snapshot-bucket': arnOfBucket(this, twin.snapshotBucketName),
        'key-of-snapshot-bucket': twin.snapshotKeyArn,
      },
    });
    this.worker = worker.lambda;
    new Schedule(this, 'Schedule', worker.lambda, { Tick: EVERY_MINUTE, Reconcile: RECONCILE });

    const alarms = new Alarms(this, props);
    alarms.add('Lost', {
      metric: trigger.sum('Lost'),
      threshold: 0,
      missingData: 'not breaching',
      description:
        'Someone signed up but could be neither replicated nor kept in the outbox, or the trigger is not configured. The log of the trigger contains the sub.',
    });
    alarms.add('OutboxOldest', {
      metric: worker.maximum('OutboxOldest'),
      threshold: Duration.minutes(15).toSeconds(),
      periods: 3,
      missingData: 'breaching',
      description:
        'A sign-up has waited in the outbox for more than 15 minutes, or the worker does not report. Check whether the secondary region is available.',
    });
    alarms.add('Conflicts', {
      metric: worker.sum('Conflicts'),
      threshold: 0,
      missingData: 'not breaching',
      description:
        'A sign-up cannot be replicated, and retrying does not help. Its record was moved to conflicts/ in the outbox bucket and contains the reason.',
    });
    addReconcileAlarms(alarms, worker, Number(variables.RECONCILE_EVERY_S ?? RECONCILE_EVERY_S));
    alarms.addDetachedTrigger(worker);
    alarms.addFailures('Trigger', trigger, "The primary pool's trigger");
    alarms.addFailures('Worker', worker, 'The worker that processes the outbox and reconciles');
    this.alarms = alarms.all;

    this.currentValues = [
      worker.maximum('OutboxDepth'),
      worker.maximum('OutboxOldest'),
      trigger.sum('Lost', Duration.days(1)),
      worker.sum('Conflicts', Duration.days(1)),
      trigger.sum('Replicated', Duration.days(1)),
      worker.maximum('ReconcileAge'),
      worker.sum('ReconcileChanges', Duration.days(1)),
      worker.sum('ReconcileReported', Duration.days(1)),
    ];
    this.graphs = {
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
    };
  }
}

/** The default of the variable of the same name (reconcile/src/request.rs). */
const RECONCILE_EVERY_S = 3600;

/** Adds the alarms on reconcile, which the worker runs every `intervalS` seconds. */
function addReconcileAlarms(alarms: Alarms, worker: TwinpoolFunction, intervalS: number): void {
  alarms.add('ReconcileAge', {
    metric: worker.maximum('ReconcileAge'),
    threshold: 3 * intervalS,
    periods: 3,
    missingData: 'breaching',
    description:
      'The twin has not been made equal to the primary pool for three intervals (RECONCILE_EVERY_S), or never, or the worker does not ' +
      'report. Run twinpool status: fill-needed or never: run twinpool reconcile. waiting: the twin is in use, and it goes on an hour after the ' +
      'last sign-up or reset there. Otherwise, the log of the worker says why nothing was written.',
  });
  alarms.add('ReconcileReported', {
    metric: worker.sum('ReconcileReported'),
    threshold: 0,
    missingData: 'not breaching',
    description:
      'Reconcile has found people for the first time whom it cannot make equal in the two pools. Run twinpool status for the latest report: ' +
      'reconciles/ID/report.json in the snapshot bucket has each of them with the reason. Decide with twinpool reconcile --prefer.',
  });
  alarms.add('MassChange', {
    metric: worker.sum('MassChange'),
    threshold: 0,
    missingData: 'not breaching',
    description:
      'Reconcile would disable, delete or change so many users of the twin that it has held these writes. Check the users of the primary ' +
      'pool first. If the changes are wanted, run twinpool reconcile --accept ID with the id of the run.',
  });
}
