// The fence: a WAF web ACL on the secondary pool. On a normal day it blocks everything that AWS WAF inspects in front of a pool: the
// hosted pages and the operations that anybody may call, such as sign-up and sign-in. It allows only the public documents of the pool,
// with which tokens are verified. Operations that Cognito authorises by IAM are not inspected at all. The operator opens the fence in a
// failover, by its default action. At the end of a failback, `twinpool fence no-sign-ups` adds a rule that blocks signing up and confirming,
// which `open` and `close` remove.
//
// No rule lets a request through for a header, because a client can choose the headers that it sends.
//
// While the fence is open, anybody who can read a person's mail can take over that person's user in the twin: the password is reset
// by mail, and the first authenticator that is registered is accepted.
//
// https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-waf.html

import { ArnFormat, Names, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { type Alarm, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { IUserPool } from 'aws-cdk-lib/aws-cognito';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { CfnLoggingConfiguration, CfnWebACL, CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';
import { Alarms } from './alarms.ts';
import type { CommonProps } from './options.ts';

/** The key of the tag by which twinpool knows its fence. */
export const FENCE_TAG = 'twinpool:fence';

/** The public documents of a pool, below `/<pool id>`: the keys that verify tokens, and the discovery document that names them. */
export const PUBLIC_DOCUMENTS = ['/.well-known/jwks.json', '/.well-known/openid-configuration'] as const;

/**
 * The operations that are limited for each address while the fence is open: with the same quota, which cannot be raised, people come in
 * during a failover. Facts N8: Cognito adds this header to the requests that AWS WAF inspects, so a client cannot choose it. The hosted
 * pages have no such header, and are limited by their paths.
 */
const LIMITED_OPERATIONS = [
  'ForgotPassword',
  'ConfirmForgotPassword',
  'SignUp',
  'ConfirmSignUp',
  'ResendConfirmationCode',
];
const LIMITED_PAGES = ['/forgotpassword', '/signup', '/confirm', '/resendcode'];

/** Requests of an address in five minutes. Many people share the address of an office or of a mobile network. */
const LIMIT_PER_ADDRESS = 300;

export interface FenceProps extends CommonProps {
  /** The secondary pool. A pool can have one web ACL only. */
  readonly userPool: IUserPool;
  /**
   * How the names of the metrics begin with which AWS WAF counts requests. They are told apart by their names alone, so no other web ACL
   * of the region may use it. Default: a unique name.
   */
  readonly metricPrefix?: string;
  /**
   * For how long the requests that the fence has looked at are logged. They hold addresses of people's devices, without passwords, cookies
   * and queries. Default: nothing is logged.
   */
  readonly logRetention?: RetentionDays;
}

/** AWS WAF delivers to log groups with such names only. https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html */
const LOG_GROUP_PREFIX = 'aws-waf-logs-';

/**
 * What is replaced by REDACTED in the log: tokens of people, and the query of the hosted pages, which has codes and addresses in it.
 * AWS WAF logs no bodies.
 */
const REDACTED_HEADERS = ['authorization', 'cookie'];

export class Fence extends Construct {
  readonly webAcl: CfnWebACL;
  readonly alarms: readonly Alarm[];

  constructor(scope: Construct, id: string, props: FenceProps) {
    super(scope, id);
    const { userPool, removalPolicy = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE } = props;
    const prefix = props.metricPrefix ?? Names.uniqueResourceName(this, { maxLength: 100, separator: '-' });
    const blocked = `${prefix}-blocked`;
    const acl = new CfnWebACL(this, 'WebAcl', {
      description: 'Fence of the secondary pool: closed to the public on a normal day',
      scope: 'REGIONAL',
      defaultAction: { block: {} },
      visibilityConfig: visibility(blocked),
      tags: [{ key: FENCE_TAG, value: 'secondary-pool' }],
      rules: [
        {
          name: 'public-documents',
          priority: 0,
          action: { allow: {} },
          visibilityConfig: visibility(`${prefix}-allowed`),
          statement: {
            orStatement: {
              statements: PUBLIC_DOCUMENTS.map((document) => ({
                byteMatchStatement: {
                  fieldToMatch: { uriPath: {} },
                  positionalConstraint: 'EXACTLY',
                  searchString: `/${userPool.userPoolId}${document}`,
                  textTransformations: [{ priority: 0, type: 'NONE' }],
                },
              })),
            },
          },
        },
        {
          name: 'limit-per-address',
          // `twinpool fence no-sign-ups` puts its rule at a number that is free.
          priority: 100,
          action: { block: {} },
          visibilityConfig: visibility(`${prefix}-limited`),
          statement: {
            rateBasedStatement: {
              aggregateKeyType: 'IP',
              limit: LIMIT_PER_ADDRESS,
              evaluationWindowSec: 300,
              scopeDownStatement: {
                orStatement: {
                  statements: [
                    ...LIMITED_OPERATIONS.map((operation) => ({
                      byteMatchStatement: {
                        fieldToMatch: { singleHeader: { Name: 'x-amzn-cognito-operation-name' } },
                        positionalConstraint: 'EXACTLY',
                        searchString: operation,
                        textTransformations: [{ priority: 0, type: 'NONE' }],
                      },
                    })),
                    ...LIMITED_PAGES.map((page) => ({
                      byteMatchStatement: {
                        fieldToMatch: { uriPath: {} },
                        positionalConstraint: 'STARTS_WITH',
                        searchString: page,
                        // However the path is written: %73ignup, //signup, SIGNUP.
                        textTransformations: ['URL_DECODE', 'NORMALIZE_PATH', 'LOWERCASE'].map((type, priority) => ({
                          priority,
                          type,
                        })),
                      },
                    })),
                  ],
                },
              },
            },
          },
        },
      ],
    });
    const association = new CfnWebACLAssociation(this, 'Association', {
      resourceArn: userPool.userPoolArn,
      webAclArn: acl.attrArn,
    });
    // The pool is kept when the stack is deleted, and must stay protected.
    acl.applyRemovalPolicy(removalPolicy);
    association.applyRemovalPolicy(removalPolicy);
    this.webAcl = acl;
    if (props.logRetention) {
      this.logRequests(acl, props.logRetention, removalPolicy);
    }

    const alarms = new Alarms(this, props);
    alarms.add('FenceOpen', {
      // AWS WAF names the web ACL in its metrics by the metric name of the web ACL.
      // https://docs.aws.amazon.com/waf/latest/developerguide/waf-metrics.html
      metric: new Metric({
        namespace: 'AWS/WAFV2',
        metricName: 'AllowedRequests',
        dimensionsMap: { WebACL: blocked, Rule: 'Default_Action', Region: Stack.of(this).region },
        statistic: Stats.SUM,
      }),
      threshold: 0,
      missingData: 'not breaching',
      description:
        'The fence is open, and requests get through to the secondary pool. In a failover or a drill this is expected. Otherwise somebody ' +
        'has left it open: whoever reads the mail of a person can take over their user in the twin. Run twinpool fence close.',
    });
    this.alarms = alarms.all;
  }

  /** Logs the requests that AWS WAF inspects, into a log group of their own. */
  private logRequests(acl: CfnWebACL, retention: RetentionDays, removalPolicy: RemovalPolicy): void {
    const name = Names.uniqueResourceName(this, { maxLength: 100, separator: '-' });
    const logGroup = new LogGroup(this, 'Requests', {
      logGroupName: `${LOG_GROUP_PREFIX}${name}`,
      retention,
      removalPolicy,
    });
    const logging = new CfnLoggingConfiguration(this, 'Logging', {
      resourceArn: acl.attrArn,
      // Without the :* at the end of logGroupArn.
      logDestinationConfigs: [
        Stack.of(this).formatArn({
          service: 'logs',
          resource: 'log-group',
          resourceName: logGroup.logGroupName,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ],
      redactedFields: [...REDACTED_HEADERS.map((name) => ({ singleHeader: { Name: name } })), { queryString: {} }],
    });
    logging.applyRemovalPolicy(removalPolicy);
  }
}

function visibility(metricName: string) {
  return { cloudWatchMetricsEnabled: true, metricName, sampledRequestsEnabled: true };
}
