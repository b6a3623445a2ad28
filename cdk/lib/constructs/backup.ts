// backup-fn for a pool: the trigger records sign-ups in the journal, and the worker takes snapshots of all users of the pool.

import { Aws, Duration, Fn, Stack } from 'aws-cdk-lib';
import { type Alarm, type IMetric, MathExpression } from 'aws-cdk-lib/aws-cloudwatch';
import type { IUserPool } from 'aws-cdk-lib/aws-cognito';
import type { Key } from 'aws-cdk-lib/aws-kms';
import { CfnPermission, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Bucket, CfnBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { Alarms } from './alarms.ts';
import { TwinpoolFunction } from './function.ts';
import { arnOfBucket, codeOf, type FunctionProps, type TriggerProps, type Twin } from './options.ts';
import { attach } from './pool.ts';
import { EVERY_MINUTE, Schedule } from './schedule.ts';
import { Store, snapshotLifecycle } from './store.ts';

/** Key prefix of the sign-up records. A new object below it starts the worker. */
const SIGN_UP_PREFIX = 'journal/sign-up/';

/** The optional variables of backup-fn. docs/deploy.md and the README explain them. */
export interface BackupVariables {
  readonly LIST_USERS_RPS?: string;
  readonly LOOKUPS_RPS?: string;
  readonly SNAPSHOT_POOL_INTERVAL_S?: string;
  readonly SNAPSHOT_MIN_INTERVAL_S?: string;
  readonly SHRINK_GUARD_PERCENT?: string;
}

export interface BackupProps extends FunctionProps, TriggerProps {
  /** The secondary pool, or a pool without a twin. One that the same stack creates gets the trigger, and keeps its other triggers. */
  readonly userPool: IUserPool;
  /** Whether the pool has no twin, so that nothing is reconciled. Default: false. */
  readonly isSinglePool?: boolean;
  /**
   * The id of the primary pool, in another region. Each tick asks whether that region serves the pool, so that its loss is an alarm in this
   * one. Default: nobody asks.
   */
  readonly primaryUserPoolId?: string;
  /** The name of the snapshot bucket. Default: a name that is unique for each deployment of the stack. */
  readonly snapshotBucketName?: string;
  /** For how long snapshots, and the import files of restores, are kept. Default: 90 days. */
  readonly snapshotRetention?: Duration;
  /** Variables of the worker that shall differ from their defaults. */
  readonly variables?: BackupVariables;
}

export class Backup extends Construct {
  readonly trigger: LambdaFunction;
  readonly worker: LambdaFunction;
  /** The snapshot bucket, which also contains the journal. */
  readonly bucket: Bucket;
  /** The encryption key of the bucket. */
  readonly key: Key;
  readonly alarms: readonly Alarm[];
  /** What Replication and Restore need to know of the pool. */
  readonly twin: Twin;
  /** The command that attaches the trigger. Only of an imported pool, which CloudFormation does not change. */
  readonly attachCommand: string | undefined;
  /** For a dashboard: metrics shown as their current value. */
  readonly currentValues: readonly IMetric[];
  /** For a dashboard: metrics shown as graphs, by title. */
  readonly graphs: Readonly<Record<string, IMetric[]>>;

  constructor(scope: Construct, id: string, props: BackupProps) {
    super(scope, id);
    const stack = Stack.of(this);
    const { userPool, variables = {} } = props;

    // The bucket's notification refers to the worker, and the worker's role refers to the bucket. A bucket name that is known in
    // advance avoids the circular dependency.
    const bucketName = props.snapshotBucketName ?? `${uniqueBucketName()}-${this.node.addr.slice(-8)}`;
    const bucketArn = arnOfBucket(this, bucketName);
    const store = new Store(this, 'Snapshots', {
      bucketName,
      lifecycleRules: snapshotLifecycle(props.snapshotRetention ?? Duration.days(90), !props.isSinglePool),
      removalPolicy: props.removalPolicy,
    });
    this.bucket = store.bucket;
    this.key = store.key;
    this.twin = {
      userPoolId: userPool.userPoolId,
      snapshotBucketName: bucketName,
      snapshotKeyArn: store.key.keyArn,
    };
    const code = codeOf('backup-fn', props);
    const arns = { 'snapshot-bucket': bucketArn, 'key-of-snapshot-bucket': store.key.keyArn };

    const trigger = new TwinpoolFunction(this, 'Trigger', {
      name: 'backup-fn-trigger',
      description: "twinpool: the pool's post-confirmation trigger, which records sign-ups",
      code,
      options: props,
      concurrency: props.triggerConcurrency,
      environment: { S3_BUCKET_NAME: bucketName },
      arns,
    });
    this.trigger = trigger.lambda;
    this.attachCommand = attach(trigger, userPool, props.postConfirmationFunctionArn);

    const worker = new TwinpoolFunction(this, 'Worker', {
      name: 'backup-fn-worker',
      description: 'twinpool: takes snapshots of the pool',
      code,
      options: props,
      environment: {
        S3_BUCKET_NAME: bucketName,
        USER_POOL_ID: userPool.userPoolId,
        PRIMARY_USER_POOL_ID: props.primaryUserPoolId,
        TRIGGER_ARN: props.postConfirmationFunctionArn ?? trigger.lambda.functionArn,
        ORIGIN_SUB_ATTRIBUTE: props.originSubAttribute,
        LIST_USERS_RPS: variables.LIST_USERS_RPS,
        LOOKUPS_RPS: variables.LOOKUPS_RPS,
        SNAPSHOT_POOL_INTERVAL_S: variables.SNAPSHOT_POOL_INTERVAL_S,
        SNAPSHOT_MIN_INTERVAL_S: variables.SNAPSHOT_MIN_INTERVAL_S,
        SHRINK_GUARD_PERCENT: variables.SHRINK_GUARD_PERCENT,
      },
      arns: { ...arns, 'secondary-pool': userPool.userPoolArn },
    });
    this.worker = worker.lambda;
    new Schedule(this, 'Schedule', worker.lambda, {
      Tick: EVERY_MINUTE,
      Daily: {
        // 03:00 in Japan.
        expression: 'cron(0 18 * * ? *)',
        payload: { action: 'snapshot', accept_shrink: false },
        description: 'twinpool: the daily snapshot',
      },
    });

    const calledByBucket = new CfnPermission(this, 'CalledByBucket', {
      action: 'lambda:InvokeFunction',
      functionName: worker.lambda.functionArn,
      principal: 's3.amazonaws.com',
      sourceArn: bucketArn,
      sourceAccount: stack.account,
    });
    const bucket = store.bucket.node.defaultChild as CfnBucket;
    bucket.notificationConfiguration = {
      lambdaConfigurations: [
        {
          event: 's3:ObjectCreated:*',
          filter: { s3Key: { rules: [{ name: 'prefix', value: SIGN_UP_PREFIX }] } },
          function: worker.lambda.functionArn,
        },
      ],
    };
    // S3 checks that it may invoke the function when the notification is configured.
    bucket.addResourceDependency(calledByBucket);

    const alarms = new Alarms(this, props);
    alarms.add('Lost', {
      metric: trigger.sum('Lost'),
      threshold: 0,
      missingData: 'not breaching',
      description:
        'Someone signed up but could not be recorded in the journal, or the trigger is not configured. The log of the trigger contains the sub.',
    });
    alarms.add('SnapshotAge', {
      metric: worker.maximum('SnapshotAge'),
      threshold: Duration.hours(26).toSeconds(),
      periods: 3,
      missingData: 'breaching',
      description:
        'The latest complete snapshot is more than 26 hours old, or there is no snapshot, or the worker does not report.',
    });
    alarms.add('SnapshotShrunk', {
      metric: worker.maximum('SnapshotShrunk'),
      threshold: 0,
      missingData: 'ignore',
      description:
        'A snapshot contains far fewer users than the one before, and did not become the latest. Check the users of the pool first.',
    });
    alarms.add('SnapshotRejectedJump', {
      metric: new MathExpression({
        label: "percent of the pool's users",
        expression: '100 * DIFF(rejected) / users',
        usingMetrics: {
          rejected: worker.maximum('SnapshotRejected', Duration.days(1)),
          users: worker.maximum('SnapshotUsers', Duration.days(1)),
        },
        period: Duration.days(1),
      }),
      threshold: 1,
      periods: 2,
      missingData: 'not breaching',
      description:
        'Within a day, the users that cannot be imported grew by more than 1 % of the pool. rejected.csv of the latest snapshot lists them with the reason.',
    });
    const unreachable = worker.maximum('PrimaryUnreachable', Duration.minutes(1));
    if (props.primaryUserPoolId) {
      alarms.add('PrimaryUnreachable', {
        metric: unreachable,
        threshold: 0,
        periods: 5,
        breachingPeriods: 3,
        // Silence of the worker is an alarm of its own.
        missingData: 'ignore',
        description:
          'Seen from here, the primary region has not served the primary pool in three of the last five minutes. Run twinpool status, and ' +
          'decide on a failover: docs/runbook.md, "Failing over". OK means that the primary region serves the pool again.',
      });
    }
    alarms.addDetachedTrigger(worker);
    alarms.addFailures('Trigger', trigger, 'The trigger that records sign-ups');
    alarms.addFailures('Worker', worker, 'The worker that takes snapshots');
    this.alarms = alarms.all;
    this.currentValues = [
      worker.maximum('SnapshotAge'),
      worker.maximum('SnapshotUsers'),
      worker.maximum('SnapshotRejected', Duration.days(1)),
      trigger.sum('Lost', Duration.days(1)),
      ...(props.primaryUserPoolId ? [unreachable] : []),
    ];
    this.graphs = {
      'Users in the latest snapshot': [worker.maximum('SnapshotUsers')],
      'Users who cannot be imported': [worker.maximum('SnapshotRejected', Duration.hours(1))],
      'Age of the latest snapshot, in seconds': [worker.maximum('SnapshotAge')],
    };
  }
}

/** A bucket name with the last part of the stack's id, which makes it unique even if an earlier stack has left its bucket behind. */
export function uniqueBucketName(): string {
  return `twinpool-snapshots-${Fn.select(4, Fn.split('-', Fn.select(2, Fn.split('/', Aws.STACK_ID))))}`;
}
