// backup-fn around a pool: its trigger notes sign-ups in the journal, its worker takes snapshots of everyone in the pool.

import { Aws, CfnOutput, Duration, Fn, Stack } from 'aws-cdk-lib';
import { type IMetric, MathExpression } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnPermission } from 'aws-cdk-lib/aws-lambda';
import type { CfnBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { Configuration } from './configuration.ts';
import { attach, type Pool } from './pool.ts';
import { Schedule, TICK } from './schedule.ts';
import { type Snapshots, Store } from './store.ts';
import { type CodeOf, TwinpoolFunction } from './twinpool-function.ts';
import type { Watch } from './watch.ts';

/** Where sign-ups are noted: what wakes the worker. */
const SIGN_UPS = 'journal/sign-up/';

export interface BackupProps {
  readonly pool: Pool;
  readonly configuration: Configuration;
  readonly codeOf: CodeOf;
  readonly watch: Watch;
}

export class Backup extends Construct {
  /** Where the snapshots are. */
  readonly snapshots: Snapshots;
  /** For the dashboard: the numbers as they are now. */
  readonly now: IMetric[];
  /** For the dashboard: how they got there. */
  readonly graphs: Readonly<Record<string, IMetric[]>>;

  constructor(scope: Construct, id: string, { pool, configuration, codeOf, watch }: BackupProps) {
    super(scope, id);
    const stack = Stack.of(this);
    const { variables } = configuration;

    // The bucket calls the worker and the worker's role names the bucket: one of them must know the other's name beforehand. The end
    // of the stack's id makes it unique, also after a stack that left its bucket behind.
    const uniquePart = Fn.select(4, Fn.split('-', Fn.select(2, Fn.split('/', Aws.STACK_ID))));
    const bucketName = `twinpool-snapshots-${uniquePart}`;
    const bucketArn = stack.formatArn({ service: 's3', region: '', account: '', resource: bucketName });
    const store = new Store(this, 'Snapshots', {
      bucketName,
      lifecycleRules: [
        { id: 'snapshots', prefix: 'snapshots/', expiration: Duration.days(configuration.snapshotDays) },
        // Of snapshots that took more than one invocation: nobody needs them when those are complete.
        { id: 'parts', prefix: 'parts/', expiration: Duration.days(7) },
      ],
    });
    this.snapshots = { bucketName, bucketArn, keyArn: store.key.keyArn, region: stack.region };
    const arns = { 'snapshot-bucket': bucketArn, 'key-of-snapshot-bucket': store.key.keyArn };

    const trigger = new TwinpoolFunction(this, 'Trigger', {
      name: 'backup-fn-trigger',
      description: "twinpool: the pool's post-confirmation trigger, which notes sign-ups",
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
        ORIGIN_SUB_ATTRIBUTE: configuration.originSubAttribute,
        LIST_USERS_RPS: variables.LIST_USERS_RPS,
        SNAPSHOT_MIN_INTERVAL_S: variables.SNAPSHOT_MIN_INTERVAL_S,
        SHRINK_GUARD_PERCENT: variables.SHRINK_GUARD_PERCENT,
      },
      arns: { ...arns, 'secondary-pool': pool.arn },
    });
    new Schedule(this, 'Schedule', worker.lambda, {
      Tick: TICK,
      Daily: {
        // Three in the morning in Japan.
        expression: 'cron(0 18 * * ? *)',
        payload: { action: 'snapshot', accept_shrink: false },
        description: "twinpool's daily snapshot",
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
          filter: { s3Key: { rules: [{ name: 'prefix', value: SIGN_UPS }] } },
          function: worker.lambda.functionArn,
        },
      ],
    };
    // S3 tries the notification when it is set up.
    bucket.addResourceDependency(calledByBucket);

    watch.alarm('Lost', {
      metric: trigger.count('Lost'),
      above: 0,
      silence: 'nothing happened',
      description:
        'Someone signed up here and is not in the journal, or the trigger is not configured. Its log names them by sub.',
    });
    watch.alarm('SnapshotAge', {
      metric: worker.highest('SnapshotAge'),
      above: Duration.hours(26).toSeconds(),
      periods: 3,
      silence: 'alarm',
      description: 'The last complete snapshot is over 26 hours old, or there is none, or its worker is silent.',
    });
    watch.alarm('SnapshotShrunk', {
      metric: worker.highest('SnapshotShrunk'),
      above: 0,
      silence: 'no change',
      description:
        'A snapshot lists far fewer users than the last one and was not made the latest. Look at the pool first.',
    });
    watch.alarm('SnapshotRejectedJump', {
      metric: new MathExpression({
        label: "percent of the pool's users",
        expression: '100 * DIFF(rejected) / users',
        usingMetrics: {
          rejected: worker.highest('SnapshotRejected', Duration.days(1)),
          users: worker.highest('SnapshotUsers', Duration.days(1)),
        },
        period: Duration.days(1),
      }),
      above: 1,
      periods: 2,
      silence: 'nothing happened',
      description:
        "In a day, more than one in a hundred of the pool's users became impossible to import. rejected.csv of the latest snapshot says who and why.",
    });
    watch.failures('Trigger', trigger, 'the trigger that notes sign-ups');
    watch.failures('Worker', worker, 'the worker that takes snapshots');
    this.now = [
      worker.highest('SnapshotAge'),
      worker.highest('SnapshotUsers'),
      worker.highest('SnapshotRejected', Duration.days(1)),
      trigger.count('Lost', Duration.days(1)),
    ];
    this.graphs = {
      'Users in the latest snapshot': [worker.highest('SnapshotUsers')],
      'Users who cannot be imported': [worker.highest('SnapshotRejected', Duration.hours(1))],
      'Age of the latest snapshot, in seconds': [worker.highest('SnapshotAge')],
    };

    new CfnOutput(stack, 'TriggerArn', { value: trigger.lambda.functionArn, description: 'backup-fn, trigger' });
    new CfnOutput(stack, 'WorkerName', { value: worker.lambda.functionName, description: 'backup-fn, worker' });
    new CfnOutput(stack, 'SnapshotBucketName', {
      value: bucketName,
      description: 'snapshots/, journal/ and restores/',
    });
    new CfnOutput(stack, 'SnapshotKeyId', { value: store.key.keyId, description: "The key of the snapshots' bucket" });
  }
}
