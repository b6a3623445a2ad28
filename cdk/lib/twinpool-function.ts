// A Lambda function with one of twinpool's binaries: a trigger of a pool, a worker, or a function that an operator starts.

import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  ApplicationLogLevel,
  Architecture,
  CfnPermission,
  type Code,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  SystemLogLevel,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';
import { Construct } from 'constructs';
import type { Configuration } from './configuration.ts';
import { type Arns, type FunctionName, statements } from './permissions.ts';

/** Returns the code of a binary: `replicate-fn`, `backup-fn` or `restore-fn`. */
export type CodeOf = (binary: string) => Code;

export interface TwinpoolFunctionProps {
  readonly name: FunctionName;
  readonly description: string;
  readonly codeOf: CodeOf;
  readonly configuration: Configuration;
  /** Environment variables. One without a value is not set, so that the function uses its default. */
  readonly environment: Record<string, string | undefined>;
  readonly arns: Arns;
}

export class TwinpoolFunction extends Construct {
  readonly lambda: LambdaFunction;

  constructor(scope: Construct, id: string, props: TwinpoolFunctionProps) {
    super(scope, id);
    const { configuration } = props;
    const isTrigger = props.name.endsWith('-trigger');

    const logGroup = new LogGroup(this, 'Logs', {
      retention: configuration.logDays,
      removalPolicy: isTrigger ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : RemovalPolicy.DESTROY,
    });
    const calls = statements(props.name, props.arns);
    const role = new Role(this, 'Role', {
      description: `${props.name}: permissions for its calls, its log and its traces`,
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: {
        Calls: new PolicyDocument({ statements: calls }),
        LogAndTraces: new PolicyDocument({
          statements: [
            new PolicyStatement({
              actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
              resources: [logGroup.logGroupArn],
            }),
            new PolicyStatement({
              actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'],
              resources: ['*'],
            }),
          ],
        }),
      },
    });
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'The only actions of this statement, PutTraceSegments and PutTelemetryRecords of X-Ray, support no resource but *.',
    });
    for (const prefix of calls.flatMap(({ resources }) => resources).filter((resource) => resource.endsWith('/*'))) {
      Validations.of(role).acknowledge({
        id: `AwsSolutions-IAM5[Resource::${flattenCfnReference(Stack.of(this).resolve(prefix))}]`,
        reason:
          'The names of objects contain a sub or a time, and Cognito names the log of an import after the pool: the prefix is the ' +
          'narrowest resource that includes them.',
      });
    }

    this.lambda = new LambdaFunction(this, 'Function', {
      description: props.description,
      runtime: Runtime.PROVIDED_AL2023,
      architecture: configuration.architecture === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64,
      handler: 'bootstrap',
      code: props.codeOf(props.name.replace(/-(trigger|worker)$/, '')),
      memorySize: 512,
      // Cognito waits five seconds for a trigger. This limit cannot be raised.
      timeout: isTrigger ? Duration.seconds(5) : Duration.minutes(15),
      environment: Object.fromEntries(Object.entries(props.environment).filter(([, value]) => value)) as Record<
        string,
        string
      >,
      role: role.withoutPolicyUpdates(),
      tracing: Tracing.ACTIVE,
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      // Metrics are written to the log at level INFO: a higher level would drop them.
      applicationLogLevelV2: ApplicationLogLevel.INFO,
      systemLogLevelV2: SystemLogLevel.WARN,
      ...(isTrigger
        ? configuration.triggerConcurrency && { reservedConcurrentExecutions: configuration.triggerConcurrency }
        : // A worker needs no retry, because the schedule invokes it again soon, within a minute or, for reconcile, five. An event that
          // is older than a minute is obsolete for the same reason. A restore is started, and repeated, by the operator.
          //
          // The concurrency of a worker is not limited: Lambda starts another instance, with its own 15 minutes and its own memory, for
          // each event that arrives while one is busy. So the tick of every minute runs while a reconcile takes 15 minutes. Leases in
          // S3 keep two runs of the same kind apart. A reserved concurrency of 1 would drop the ticks.
          { retryAttempts: 0, maxEventAge: Duration.minutes(1) }),
    });

    if (isTrigger) {
      // The pool is kept when the stack is deleted, and goes on invoking its trigger. Without the function, every sign-up would end in
      // an error.
      for (const kept of [role, this.lambda]) {
        kept.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
      }
    }
  }

  /** Allows a user pool to invoke the function. */
  allowPool(poolArn: string): void {
    const permission = new CfnPermission(this, 'CalledByPool', {
      action: 'lambda:InvokeFunction',
      functionName: this.lambda.functionArn,
      principal: 'cognito-idp.amazonaws.com',
      sourceArn: poolArn,
      sourceAccount: Stack.of(this).account,
    });
    permission.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
  }

  /** A metric that the function writes. The names are defined in shared/src/lambda/metrics.rs. */
  metric(metricName: string, statistic: string, period = Duration.minutes(5)): Metric {
    const dimensionsMap = { FunctionName: this.lambda.functionName };
    return new Metric({ namespace: 'twinpool', metricName, dimensionsMap, statistic, period });
  }

  /** The sum of a metric in a period: how often something happened. */
  sum(metricName: string, period?: Duration): Metric {
    return this.metric(metricName, Stats.SUM, period);
  }

  /** The maximum of a metric in a period. */
  maximum(metricName: string, period?: Duration): Metric {
    return this.metric(metricName, Stats.MAXIMUM, period);
  }
}
