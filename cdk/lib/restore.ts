// restore-fn, which an operator starts to restore users from a snapshot into a pool.

import { CfnOutput, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import type { Configuration } from './configuration.ts';
import { ImportLogsRole } from './import-logs-role.ts';
import type { Monitoring } from './monitoring.ts';
import type { Pool } from './pool.ts';
import type { SnapshotLocation } from './store.ts';
import { type CodeOf, TwinpoolFunction } from './twinpool-function.ts';

export interface RestoreProps {
  /** The pool to restore into. */
  readonly pool: Pool;
  /** The pool that the snapshots were taken from. */
  readonly snapshotPool: Pool;
  readonly snapshots: SnapshotLocation;
  readonly configuration: Configuration;
  readonly codeOf: CodeOf;
  readonly monitoring: Monitoring;
}

export class Restore extends Construct {
  constructor(scope: Construct, id: string, props: RestoreProps) {
    super(scope, id);
    const { pool, snapshots, monitoring } = props;
    const stack = Stack.of(this);
    // A pool without a twin is restored from snapshots of itself. Between two pools, restore-fn refuses that.
    const isSamePool = pool === props.snapshotPool;

    const role = new ImportLogsRole(this, 'ImportLogsRole', {
      pool,
      outputDescription: 'The role for import jobs, also for a job that you create in the Cognito console',
    });

    const restore = new TwinpoolFunction(this, 'Restore', {
      name: 'restore-fn',
      description: 'twinpool: restores users from a snapshot. An operator starts it',
      codeOf: props.codeOf,
      configuration: props.configuration,
      environment: {
        USER_POOL_ID: pool.id,
        S3_BUCKET_NAME: snapshots.bucketName,
        S3_BUCKET_REGION: snapshots.region,
        IMPORT_LOGS_ROLE_ARN: role.roleArn,
        ORIGIN_SUB_ATTRIBUTE: props.configuration.originSubAttribute,
        SAME_POOL: isSamePool ? 'true' : undefined,
      },
      arns: {
        'primary-pool': pool.arn,
        'secondary-pool': props.snapshotPool.arn,
        'snapshot-bucket': snapshots.bucketArn,
        'key-of-snapshot-bucket': snapshots.keyArn,
        'import-logs': role.logsArn,
        'import-logs-role': role.roleArn,
      },
    });
    monitoring.alarmOnFailures('Restore', restore, 'restore-fn');

    const { bucketName, region } = snapshots;
    new CfnOutput(stack, 'RestoreFunctionName', {
      value: restore.lambda.functionName,
      description: 'restore-fn. Invoke it with a payload such as {"dry_run":true}',
    });
    const options = `--pool ${pool.id} --bucket ${bucketName} --bucket-region ${region} --role ${role.roleArn}`;
    new CfnOutput(stack, 'RestoreCommand', {
      value: `twinpool restore ${options}${isSamePool ? ' --same-pool' : ''} --dry-run`,
      description: 'Command that shows what a restore would do, and changes nothing. Without --dry-run it restores',
    });
  }
}
