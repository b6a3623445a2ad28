// The secondary region: the twin behind its fence, and backup-fn as its trigger and as the worker that takes snapshots.

import { Aws, CfnOutput, Duration, Fn, Stack, type StackProps } from 'aws-cdk-lib';
import { MathExpression } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnPermission } from 'aws-cdk-lib/aws-lambda';
import type { CfnBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { Configuration } from './configuration.ts';
import { Fence } from './fence.ts';
import { existingPool, newPool } from './pool.ts';
import { attachTrigger } from './primary-stack.ts';
import { Schedule, TICK } from './schedule.ts';
import { Store } from './store.ts';
import { type CodeOf, TwinpoolFunction } from './twinpool-function.ts';
import { Watch } from './watch.ts';

/** Where sign-ups of a failover are noted: what wakes the worker. */
const SIGN_UPS = 'journal/sign-up/';

export class SecondaryStack extends Stack {
  constructor(scope: Construct, id: string, configuration: Configuration, codeOf: CodeOf, props: StackProps) {
    super(scope, id, { ...props, description: 'twinpool: the twin, its fence, and snapshots of everyone in it' });
    const { secondary, variables } = configuration;

    // The bucket calls the worker and the worker's role names the bucket: one of them must know the other's name beforehand. The end
    // of the stack's id makes it unique, also after a stack that left its bucket behind.
    const uniquePart = Fn.select(4, Fn.split('-', Fn.select(2, Fn.split('/', Aws.STACK_ID))));
    const bucketName = `twinpool-snapshots-${uniquePart}`;
    const bucketArn = this.formatArn({ service: 's3', region: '', account: '', resource: bucketName });
    const snapshots = new Store(this, 'Snapshots', {
      bucketName,
      lifecycleRules: [
        { id: 'snapshots', prefix: 'snapshots/', expiration: Duration.days(configuration.snapshotDays) },
      ],
    });
    const arns = { 'snapshot-bucket': bucketArn, 'key-of-snapshot-bucket': snapshots.key.keyArn };

    const trigger = new TwinpoolFunction(this, 'BackupTrigger', {
      name: 'backup-fn-trigger',
      description: "twinpool: the secondary pool's post-confirmation trigger",
      codeOf,
      configuration,
      environment: { S3_BUCKET_NAME: bucketName },
      arns,
    });
    const pool =
      secondary.pool === 'new' ? newPool(this, configuration, trigger.lambda) : existingPool(this, secondary);
    trigger.allowPool(pool.arn, this.account);

    const worker = new TwinpoolFunction(this, 'BackupWorker', {
      name: 'backup-fn-worker',
      description: 'twinpool: takes snapshots of the secondary pool',
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
      sourceAccount: this.account,
    });
    const bucket = snapshots.bucket.node.defaultChild as CfnBucket;
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

    const hasFence = secondary.pool === 'new' || secondary.fence === true;
    const fence = hasFence ? new Fence(this, 'Fence', pool.arn) : undefined;

    const watch = new Watch(this, 'Watch', configuration.alarmEmail);
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
    watch.failures('Trigger', trigger, "the secondary pool's trigger");
    watch.failures('Worker', worker, 'the worker that takes snapshots');
    watch.dashboard(
      [
        worker.highest('SnapshotAge'),
        worker.highest('SnapshotUsers'),
        worker.highest('SnapshotRejected', Duration.days(1)),
        trigger.count('Lost', Duration.days(1)),
      ],
      {
        'Users in the latest snapshot': [worker.highest('SnapshotUsers')],
        'Users who cannot be imported': [worker.highest('SnapshotRejected', Duration.hours(1))],
        'Age of the latest snapshot, in seconds': [worker.highest('SnapshotAge')],
        'Failures of functions': [trigger, worker].flatMap(({ lambda }) => [
          lambda.metricErrors(),
          lambda.metricThrottles(),
        ]),
      },
    );

    new CfnOutput(this, 'UserPoolId', { value: pool.id, description: 'The secondary pool' });
    new CfnOutput(this, 'TriggerArn', { value: trigger.lambda.functionArn, description: 'backup-fn, trigger' });
    new CfnOutput(this, 'WorkerName', { value: worker.lambda.functionName, description: 'backup-fn, worker' });
    new CfnOutput(this, 'SnapshotBucketName', { value: bucketName, description: 'snapshots/ and journal/' });
    new CfnOutput(this, 'AlarmTopicArn', {
      value: watch.topic.topicArn,
      description: 'Alarms of the secondary region',
    });
    if (fence) {
      new CfnOutput(this, 'FenceArn', { value: fence.arn, description: 'The web ACL of the secondary pool' });
    }
    if (secondary.pool === 'existing') {
      new CfnOutput(this, 'AttachTrigger', attachTrigger(pool.id, trigger));
    }
  }
}
