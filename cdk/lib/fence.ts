// The fence: a WAF web ACL on the secondary pool. On a normal day it allows only the operations that Cognito authorises by IAM. It
// blocks the hosted pages and the operations that anybody may call, such as sign-up and sign-in. The operator opens it in a failover.
//
// While the fence is open, anybody who can read a person's mail can take over that person's user in the twin: the password is reset
// by mail, and the first authenticator that is registered is accepted.
//
// https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-waf.html

import { RemovalPolicy } from 'aws-cdk-lib';
import { CfnWebACL, CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';
import { BY_IAM, TARGET_PREFIX } from './cognito-operations.ts';

export class Fence extends Construct {
  readonly arn: string;

  constructor(scope: Construct, id: string, poolArn: string) {
    super(scope, id);
    const acl = new CfnWebACL(this, 'WebAcl', {
      description: 'Fence of the secondary pool: allows only operations that Cognito authorises by IAM',
      scope: 'REGIONAL',
      defaultAction: { block: {} },
      visibilityConfig: visibility('twinpool-fence-blocked'),
      rules: [
        {
          name: 'authorised-by-iam',
          priority: 0,
          action: { allow: {} },
          visibilityConfig: visibility('twinpool-fence-allowed'),
          // The allowed operations are listed by name, so that an operation that Cognito adds later is blocked until it is listed.
          // The rule does not test for an Authorization header, because anybody can send one.
          statement: {
            orStatement: {
              statements: BY_IAM.map((operation) => ({
                byteMatchStatement: {
                  fieldToMatch: { singleHeader: { Name: 'x-amz-target' } },
                  positionalConstraint: 'EXACTLY',
                  searchString: `${TARGET_PREFIX}.${operation}`,
                  textTransformations: [{ priority: 0, type: 'NONE' }],
                },
              })),
            },
          },
        },
      ],
    });
    const association = new CfnWebACLAssociation(this, 'Association', { resourceArn: poolArn, webAclArn: acl.attrArn });
    // The pool is kept when the stack is deleted, and must stay protected.
    acl.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    association.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    this.arn = acl.attrArn;
  }
}

function visibility(metricName: string) {
  return { cloudWatchMetricsEnabled: true, metricName, sampledRequestsEnabled: true };
}
