// restore-fn, which is started by hand and brings people from snapshots back into a pool, and the role by which Cognito logs its
// import jobs.

import { ArnFormat, CfnOutput, Stack, Validations } from 'aws-cdk-lib';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';
import { Construct } from 'constructs';
import type { Configuration } from './configuration.ts';
import type { Pool } from './pool.ts';
import type { Snapshots } from './store.ts';
import { type CodeOf, TwinpoolFunction } from './twinpool-function.ts';
import type { Watch } from './watch.ts';

export interface RestoreProps {
  /** The pool that people are brought back into. */
  readonly pool: Pool;
  /** The pool that the snapshots are of. */
  readonly snapshotPool: Pool;
  readonly snapshots: Snapshots;
  readonly configuration: Configuration;
  readonly codeOf: CodeOf;
  readonly watch: Watch;
}

export class Restore extends Construct {
  constructor(scope: Construct, id: string, props: RestoreProps) {
    super(scope, id);
    const { pool, snapshots, watch } = props;
    const stack = Stack.of(this);

    // Cognito names the group /aws/cognito/userpools/ID/NAME. The last star takes in the group's streams as well.
    const importLogs = stack.formatArn({
      service: 'logs',
      resource: 'log-group',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      resourceName: `/aws/cognito/userpools/${pool.id}/*`,
    });
    const role = new Role(this, 'ImportLogsRole', {
      description: 'Amazon Cognito: writes the log of import jobs',
      // Trust and actions as AWS has them. A condition on aws:SourceAccount is not among them: if Cognito did not send it, no job would
      // start, on the very day. Who may hand the role over is in restore-fn's permissions.
      // https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-using-import-tool-cli-cloudwatch-iam-role.html
      assumedBy: new ServicePrincipal('cognito-idp.amazonaws.com'),
      inlinePolicies: {
        ImportLogs: new PolicyDocument({
          statements: [
            new PolicyStatement({
              actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
              resources: [importLogs],
            }),
          ],
        }),
      },
    });
    Validations.of(role).acknowledge({
      id: `AwsSolutions-IAM5[Resource::${flattenCfnReference(stack.resolve(importLogs))}]`,
      reason: "Cognito makes the log group itself and names it after the pool's name, which only the pool knows.",
    });

    const restore = new TwinpoolFunction(this, 'Restore', {
      name: 'restore-fn',
      description: 'twinpool: brings people back from a snapshot; started by hand',
      codeOf: props.codeOf,
      configuration: props.configuration,
      environment: {
        USER_POOL_ID: pool.id,
        S3_BUCKET_NAME: snapshots.bucketName,
        S3_BUCKET_REGION: snapshots.region,
        IMPORT_LOGS_ROLE_ARN: role.roleArn,
      },
      arns: {
        'primary-pool': pool.arn,
        'secondary-pool': props.snapshotPool.arn,
        'snapshot-bucket': snapshots.bucketArn,
        'key-of-snapshot-bucket': snapshots.keyArn,
        'import-logs': importLogs,
        'import-logs-role': role.roleArn,
      },
    });
    watch.failures('Restore', restore, 'restore-fn');

    const { bucketName, region } = snapshots;
    new CfnOutput(stack, 'RestoreFunctionName', {
      value: restore.lambda.functionName,
      description: 'restore-fn, started with a payload such as {"dry_run":true}',
    });
    new CfnOutput(stack, 'ImportLogsRoleArn', {
      value: role.roleArn,
      description: 'The role of an import job, also of one in the Cognito console',
    });
    new CfnOutput(stack, 'RestoreCommand', {
      value: `twinpool restore --pool ${pool.id} --bucket ${bucketName} --bucket-region ${region} --role ${role.roleArn} --dry-run`,
      description:
        'The same by the command line: says what it would do, and changes nothing. Without --dry-run it does it',
    });
  }
}
