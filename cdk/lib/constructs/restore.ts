// restore-fn, which an operator starts to restore users from a snapshot into a pool.

import { Stack } from 'aws-cdk-lib';
import type { Alarm } from 'aws-cdk-lib/aws-cloudwatch';
import type { IUserPool } from 'aws-cdk-lib/aws-cognito';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { Alarms } from './alarms.ts';
import { TwinpoolFunction } from './function.ts';
import { ImportLogsRole } from './import-logs-role.ts';
import { arnOfBucket, arnOfPool, codeOf, type FunctionProps, regionOfPool, type Twin } from './options.ts';

export interface RestoreProps extends FunctionProps {
  /** The pool to restore into. */
  readonly userPool: IUserPool;
  /**
   * The pool that the snapshots were taken from, and its snapshots. For a pool without a twin it is the pool itself: give the `twin` of
   * its Backup.
   */
  readonly twin: Twin;
}

/** restore-fn. Nothing but an operator invokes it. */
export class Restore extends Construct {
  /** restore-fn. Invoke it with a payload such as `{"dry_run":true}`. */
  readonly worker: LambdaFunction;
  /** The role with which Cognito writes the log of import jobs. */
  readonly importLogsRole: ImportLogsRole;
  /** The command that shows what a restore would do, and changes nothing. Without --dry-run it restores. */
  readonly command: string;
  readonly alarms: readonly Alarm[];

  constructor(scope: Construct, id: string, props: RestoreProps) {
    super(scope, id);
    const { userPool, twin } = props;
    // A pool without a twin is restored from snapshots of itself. Between two pools, restore-fn refuses that.
    const isSamePool = userPool.userPoolId === twin.userPoolId;
    const region = isSamePool ? Stack.of(this).region : regionOfPool(twin.userPoolId);
    this.importLogsRole = new ImportLogsRole(this, 'ImportLogsRole', { userPool });
    const { roleArn, logsArn } = this.importLogsRole;

    const restore = new TwinpoolFunction(this, 'Restore', {
      name: 'restore-fn',
      description: 'twinpool: restores users from a snapshot. An operator starts it',
      code: codeOf('restore-fn', props),
      options: props,
      environment: {
        USER_POOL_ID: userPool.userPoolId,
        S3_BUCKET_NAME: twin.snapshotBucketName,
        S3_BUCKET_REGION: region,
        IMPORT_LOGS_ROLE_ARN: roleArn,
        ORIGIN_SUB_ATTRIBUTE: props.originSubAttribute,
        SAME_POOL: isSamePool ? 'true' : undefined,
      },
      arns: {
        'primary-pool': userPool.userPoolArn,
        'secondary-pool': isSamePool ? userPool.userPoolArn : arnOfPool(this, twin.userPoolId),
        'snapshot-bucket': arnOfBucket(this, twin.snapshotBucketName),
        'key-of-snapshot-bucket': twin.snapshotKeyArn,
        'primary-import-logs': logsArn,
        'primary-import-logs-role': roleArn,
      },
    });
    const alarms = new Alarms(this, props);
    alarms.addFailures('Restore', restore, 'restore-fn');
    this.alarms = alarms.all;
    this.worker = restore.lambda;
    const options = `--pool ${userPool.userPoolId} --bucket ${twin.snapshotBucketName} --bucket-region ${region} --role ${roleArn}`;
    this.command = `twinpool restore ${options}${isSamePool ? ' --same-pool' : ''} --dry-run`;
  }
}
