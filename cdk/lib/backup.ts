// backup-fn for a pool: the trigger records sign-ups in the journal, and the worker takes snapshots of all users of the pool.

import { Aws, CfnOutput, Duration, Fn, Stack } from 'aws-cdk-lib';
import { type IMetric, MathExpression } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnPermission } from 'aws-cdk-lib/aws-lambda';
import type { CfnBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { type Configuration, hasTwin } from './configuration.ts';
import type { Monitoring } from './monitoring.ts';
import { attach, type Pool } from './pool.ts';
import { EVERY_MINUTE, Schedule } from './schedule.ts';
import { type SnapshotLocation, Store, snapshotLifecycle } from './store.ts';
import { type CodeOf, TwinpoolFunction } from './twinpool-function.ts';

/** Key prefix of the sign-up records. A new object below it starts the worker. */
const SIGN_UP_PREFIX = 'journal/sign-up/';

export interface BackupProps {
  readonly pool: Pool;
  readonly configuration: Configuration;
  readonly codeOf: CodeOf;
  readonly monitoring: Monitoring;
}

export class Backup extends Construct {
  readonly snapshots: SnapshotLocation;
  /** For the dashboard: metrics shown as their current value. */
  readonly currentValues: IMetric[];
  /** For the dashboard: metrics shown as graphs, by title. */
  readonly graphs: Readonly<Record<string, IMetric[]>>;

  constructor(scope: Construct, id: string, { pool, configuration, codeOf, monitoring }: BackupProps) {
    super(scope, id);
    const stack = Stack.of(this);
    const { variables } = configuration;

    // The bucket's notification refers to the worker, and the worker's role refers to the bucket. A bucket name that is known in
    // advance avoids the circular dependency. The last part of the stack's id makes the name unique, even if an earlier stack has left
    // its bucket behind.
    const uniquePart = Fn.select(4, Fn.split('-', Fn.select(2, Fn.split('/', Aws.STACK_ID))));
    const bucketName = `twinpool-snapshots-${uniquePart}`;
    const bucketArn = stack.formatArn({ service: 's3', region: '', account: '', resource: bucketName });
    const store = new Store(this, 'Snapshots', {
      bucketName,
      lifecycleRules: snapshotLifecycle({ snapshotDays: configuration.snapshotDays, twin: hasTwin(configuration) }),
    });
    this.snapshots = { bucketName, bucketArn, keyArn: store.key.keyArn, region: stack.region };
    const arns = { 'snapshot-bucket': bucketArn, 'key-of-snapshot-bucket': store.key.keyArn };

    const trigger = new TwinpoolFunction(this, 'Trigger', {
      name: 'backup-fn-trigger',
      description: "twinpool: the pool's post-confirmation trigger, which records sign-ups",
      codeOf,
      configuration,
      environment: { S3_BUCKET_NAME: bucketName },
      arns,
    });
    attach(pool, trigger);

    const worker = new TwinpoolFunction(this, 'Worker', {
      name: 'backup-fn-worker',
      description: 'twinpool: takes snapshots of the pool',
      codeOf,
      configuration,
      environment: {
        S3_BUCKET_NAME: bucketName,
        USER_POOL_ID: pool.id,
        TRIGGER_ARN: pool.ownFunction ?? trigger.lambda.functionArn,
        ORIGIN_SUB_ATTRIBUTE: configuration.originSubAttribute,
        LIST_USERS_RPS: variables.LIST_USERS_RPS,
        LOOKUPS_RPS: variables.LOOKUPS_RPS,
        SNAPSHOT_POOL_INTERVAL_S: variables.SNAPSHOT_POOL_INTERVAL_S,
        SNAPSHOT_MIN_INTERVAL_S: variables.SNAPSHOT_MIN_INTERVAL_S,
        SHRINK_GUARD_PERCENT: variables.SHRINK_GUARD_PERCENT,
      },
      arns: { ...arns, 'secondary-pool': pool.arn },
    });
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

    monitoring.addAlarm('Lost', {
      metric: trigger.sum('Lost'),
      threshold: 0,
      missingData: 'not breaching',
      description:
        'Someone signed up but could not be recorded in the journal, or the trigger is not configured. The log of the trigger contains the sub.',
    });
    monitoring.addAlarm('SnapshotAge', {
      metric: worker.maximum('SnapshotAge'),
      threshold: Duration.hours(26).toSeconds(),
      periods: 3,
      missingData: 'breaching',
      description:
        'The latest complete snapshot is more than 26 hours old, or there is no snapshot, or the worker does not report.',
    });
    monitoring.addAlarm('SnapshotShrunk', {
      metric: worker.maximum('SnapshotShrunk'),
      threshold: 0,
      missingData: 'ignore',
      description:
        'A snapshot contains far fewer users than the one before, and did not become the latest. Check the users of the pool first.',
    });
    monitoring.addAlarm('SnapshotRejectedJump', {
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
    monitoring.alarmOnDetachedTrigger(worker);
    monitoring.alarmOnFailures('Trigger', trigger, 'The trigger that records sign-ups');
    monitoring.alarmOnFailures('Worker', worker, 'The worker that takes snapshots');
    this.currentValues = [
      worker.maximum('SnapshotAge'),
      worker.maximum('SnapshotUsers'),
      worker.maximum('SnapshotRejected', Duration.days(1)),
      trigger.sum('Lost', Duration.days(1)),
    ];
    this.graphs = {
      'Users in the latest snapshot': [worker.maximum('SnapshotUsers')],
      'Users who cannot be imported': [worker.maximum('SnapshotRejected', Duration.hours(1))],
      'Age of the latest snapshot, in seconds': [worker.maximum('SnapshotAge')],
    };

    new CfnOutput(stack, 'TriggerArn', { value: trigger.lambda.functionArn, description: 'backup-fn, trigger' });
    new CfnOutput(stack, 'WorkerName', { value: worker.lambda.functionName, description: 'backup-fn, worker' });
    new CfnOutput(stack, 'SnapshotBucketName', {
      value: bucketName,
      description: 'snapshots/, journal/ and restores/',
    });
    new CfnOutput(stack, 'SnapshotKeyId', {
      value: store.key.keyId,
      description: 'The encryption key of the snapshot bucket',
    });
  }
}
