// The fence: a WAF web ACL on the secondary pool. On a normal day it blocks everything that AWS WAF inspects in front of a pool: the
// hosted pages and the operations that anybody may call, such as sign-up and sign-in. It allows only the public documents of the pool,
// with which tokens are verified. Operations that Cognito authorises by IAM are not inspected at all. The operator opens the fence in a
// failover, by its default action.
//
// No rule matches a header, because a client can choose the headers that it sends.
//
// While the fence is open, anybody who can read a person's mail can take over that person's user in the twin: the password is reset
// by mail, and the first authenticator that is registered is accepted.
//
// https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-waf.html

import { RemovalPolicy } from 'aws-cdk-lib';
import { CfnWebACL, CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';
import type { Pool } from './pool.ts';

/** The key of the tag by which twinpool knows its fence. */
export const FENCE_TAG = 'twinpool:fence';

/** The public documents of a pool, below `/<pool id>`: the keys that verify tokens, and the discovery document that names them. */
export const PUBLIC_DOCUMENTS = ['/.well-known/jwks.json', '/.well-known/openid-configuration'] as const;

export class Fence extends Construct {
  readonly arn: string;

  /** `name` begins the names of the metrics that AWS WAF counts requests with, which are unique in a region by nothing else. */
  constructor(scope: Construct, id: string, pool: Pool, name: string) {
    super(scope, id);
    const acl = new CfnWebACL(this, 'WebAcl', {
      description: 'Fence of the secondary pool: closed to the public on a normal day',
      scope: 'REGIONAL',
      defaultAction: { block: {} },
      visibilityConfig: visibility(`${name}-fence-blocked`),
      tags: [{ key: FENCE_TAG, value: 'secondary-pool' }],
      rules: [
        {
          name: 'public-documents',
          priority: 0,
          action: { allow: {} },
          visibilityConfig: visibility(`${name}-fence-allowed`),
          statement: {
            orStatement: {
              statements: PUBLIC_DOCUMENTS.map((document) => ({
                byteMatchStatement: {
                  fieldToMatch: { uriPath: {} },
                  positionalConstraint: 'EXACTLY',
                  searchString: `/${pool.id}${document}`,
                  textTransformations: [{ priority: 0, type: 'NONE' }],
                },
              })),
            },
          },
        },
      ],
    });
    const association = new CfnWebACLAssociation(this, 'Association', {
      resourceArn: pool.arn,
      webAclArn: acl.attrArn,
    });
    // The pool is kept when the stack is deleted, and must stay protected.
    acl.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    association.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    this.arn = acl.attrArn;
  }
}

function visibility(metricName: string) {
  return { cloudWatchMetricsEnabled: true, metricName, sampledRequestsEnabled: true };
}
