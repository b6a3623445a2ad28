// The role with which Cognito writes the log of a pool's import jobs.

import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { IUserPool } from 'aws-cdk-lib/aws-cognito';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';

export interface ImportLogsRoleProps {
  /** The pool whose import jobs use the role. */
  readonly userPool: IUserPool;
}

export class ImportLogsRole extends Role {
  /** The log group of the pool's import jobs, with its log streams. */
  readonly logsArn: string;

  constructor(scope: Construct, id: string, { userPool }: ImportLogsRoleProps) {
    const stack = Stack.of(scope);
    // Cognito names the log group /aws/cognito/userpools/ID/NAME. The wildcard also covers the log streams of the group.
    const logsArn = stack.formatArn({
      service: 'logs',
      resource: 'log-group',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      resourceName: `/aws/cognito/userpools/${userPool.userPoolId}/*`,
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
  }
}
