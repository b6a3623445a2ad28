// The fence: a WAF web ACL on the secondary pool. On a normal day it lets through only what Cognito authorises by IAM, and blocks
// the operations that anyone may call, sign-up and sign-in among them, and the hosted pages. In a failover it is opened by hand.
//
// An open twin can be entered by whoever holds a person's mailbox: the password is reset by mail, and the first authenticator to be
// enrolled wins.
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
      description: 'The fence of the secondary pool: closed but for operations that Cognito authorises by IAM',
      scope: 'REGIONAL',
      defaultAction: { block: {} },
      visibilityConfig: visibility('twinpool-fence-blocked'),
      rules: [
        {
          name: 'authorised-by-iam',
          priority: 0,
          action: { allow: {} },
          visibilityConfig: visibility('twinpool-fence-allowed'),
          // What is let through is listed, so an operation that Cognito adds is blocked until it is known. By operation, because
          // anyone can add an Authorization header.
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
    // A pool that outlives the stack stays fenced.
    acl.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    association.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    this.arn = acl.attrArn;
  }
}

function visibility(metricName: string) {
  return { cloudWatchMetricsEnabled: true, metricName, sampledRequestsEnabled: true };
}
