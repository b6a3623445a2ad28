// The role with which Cognito writes the log of a pool's import jobs.

import { ArnFormat, CfnOutput, Stack, Validations } from 'aws-cdk-lib';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';
import type { Construct } from 'constructs';
import type { Pool } from './pool.ts';

export interface ImportLogsRoleProps {
  readonly pool: Pool;
  /** What the output says of the role. */
  readonly outputDescription: string;
}

export class ImportLogsRole extends Role {
  /** The log group of the pool's import jobs, with its log streams. */
  readonly logsArn: string;

  constructor(scope: Construct, id: string, { pool, outputDescription }: ImportLogsRoleProps) {
    const stack = Stack.of(scope);
    // Cognito names the log group /aws/cognito/userpools/ID/NAME. The wildcard also covers the log streams of the group.
    const logsArn = stack.formatArn({
      service: 'logs',
      resource: 'log-group',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      resourceName: `/aws/cognito/userpools/${pool.id}/*`,
    });
    super(scope, id, {
      description: 'Amazon Cognito uses this role to write the log of import jobs',
      // The trust policy and the actions are those of AWS's documentation. It has no condition on aws:SourceAccount: if Cognito does not
      // send that key, no import job could start. The permissions of restore-fn, or of the operator, limit who may pass the role.
      // https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-using-import-tool-cli-cloudwatch-iam-role.html
      assumedBy: new ServicePrincipal('cognito-idp.amazonaws.com'),
      inlinePolicies: {
        ImportLogs: new PolicyDocument({
          statements: [
            new PolicyStatement({
              actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
              resources: [logsArn],
            }),
          ],
        }),
      },
    });
    this.logsArn = logsArn;
    Validations.of(this).acknowledge({
      id: `AwsSolutions-IAM5[Resource::${flattenCfnReference(stack.resolve(logsArn))}]`,
      reason: 'Cognito creates the log group and names it after the name of the pool, which is unknown here.',
    });
    new CfnOutput(stack, 'ImportLogsRoleArn', { value: this.roleArn, description: outputDescription });
  }
}
