// A Lambda function with one of twinpool's binaries: a trigger of a pool, a worker, or a function that an operator starts.

import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
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
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { FunctionProps } from './options.ts';
import { type Arns, CALLS, type FunctionName, statements } from './permissions.ts';

export interface TwinpoolFunctionProps {
  readonly name: FunctionName;
  readonly description: string;
  readonly code: Code;
  readonly options: FunctionProps;
  /** Reserved concurrency. Default: none. */
  readonly concurrency?: number | undefined;
  /** Environment variables. One without a value is not set, so that the function uses its default. */
  readonly environment: Record<string, string | undefined>;
  readonly arns: Arns;
}

export class TwinpoolFunction extends Construct {
  readonly lambda: LambdaFunction;
  readonly role: Role;
  /** The permissions for the calls of the function. */
  readonly calls: PolicyStatement[];
  private readonly removalPolicy: RemovalPolicy;

  constructor(scope: Construct, id: string, props: TwinpoolFunctionProps) {
    super(scope, id);
    const { logRetention = RetentionDays.THREE_MONTHS, architecture = Architecture.ARM_64 } = props.options;
    // What a trigger needs is kept by default, except when its stack cannot be created.
    const { removalPolicy = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE } = props.options;
    this.removalPolicy = removalPolicy;
    const isTrigger = props.name.endsWith('-trigger');

    const logGroup = new LogGroup(this, 'Logs', {
      retention: logRetention,
      removalPolicy: isTrigger ? removalPolicy : RemovalPolicy.DESTROY,
    });
    this.calls = statements(this, CALLS[props.name], props.arns);
    this.role = new Role(this, 'Role', {
      description: `${props.name}: permissions for its calls, its log and its traces`,
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: {
        Calls: new PolicyDocument({ statements: this.calls }),
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
    this.lambda = new LambdaFunction(this, 'Function', {
      description: props.description,
      runtime: Runtime.PROVIDED_AL2023,
      architecture,
      handler: 'bootstrap',
      code: props.code,
      memorySize: 512,
      // Cognito waits five seconds for a trigger. This limit cannot be raised.
      timeout: isTrigger ? Duration.seconds(5) : Duration.minutes(15),
      environment: Object.fromEntries(Object.entries(props.environment).filter(([, value]) => value)) as Record<
        string,
        string
      >,
      role: this.role.withoutPolicyUpdates(),
      tracing: Tracing.ACTIVE,
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      // Metrics are written to the log at level INFO: a higher level would drop them.
      applicationLogLevelV2: ApplicationLogLevel.INFO,
      systemLogLevelV2: SystemLogLevel.WARN,
      ...(isTrigger
        ? props.concurrency && { reservedConcurrentExecutions: props.concurrency }
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
      for (const kept of [this.role, this.lambda]) {
        kept.applyRemovalPolicy(removalPolicy);
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
    permission.applyRemovalPolicy(this.removalPolicy);
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
