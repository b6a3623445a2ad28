// One of twinpool's binaries as it is deployed: as a pool's trigger, as a worker, or to be started by hand.

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

/** Where the code of a binary is: `replicate-fn`, `backup-fn` or `restore-fn`. */
export type CodeOf = (binary: string) => Code;

export interface TwinpoolFunctionProps {
  readonly name: FunctionName;
  readonly description: string;
  readonly codeOf: CodeOf;
  readonly configuration: Configuration;
  /** The variables of the contract; those without a value are left to their defaults. */
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
      description: `${props.name}: the calls it makes, its log and its traces`,
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
        'X-Ray has no resources: PutTraceSegments and PutTelemetryRecords, the only actions of this statement, take nothing but *.',
    });
    for (const prefix of calls.flatMap(({ resources }) => resources).filter((resource) => resource.endsWith('/*'))) {
      Validations.of(role).acknowledge({
        id: `AwsSolutions-IAM5[Resource::${flattenCfnReference(Stack.of(this).resolve(prefix))}]`,
        reason:
          "Objects are named after people or times, and Cognito names the log of an import after the pool's name: the prefix is the " +
          'narrowest resource that holds them.',
      });
    }

    this.lambda = new LambdaFunction(this, 'Function', {
      description: props.description,
      runtime: Runtime.PROVIDED_AL2023,
      architecture: configuration.architecture === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64,
      handler: 'bootstrap',
      code: props.codeOf(props.name.replace(/-(trigger|worker)$/, '')),
      memorySize: 512,
      // Cognito waits five seconds for a trigger, and no longer can be asked for.
      timeout: isTrigger ? Duration.seconds(5) : Duration.minutes(15),
      environment: Object.fromEntries(Object.entries(props.environment).filter(([, value]) => value)) as Record<
        string,
        string
      >,
      role: role.withoutPolicyUpdates(),
      tracing: Tracing.ACTIVE,
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      // Metrics are written to the log at this level: any higher, and there are none.
      applicationLogLevelV2: ApplicationLogLevel.INFO,
      systemLogLevelV2: SystemLogLevel.WARN,
      ...(isTrigger
        ? configuration.triggerConcurrency && { reservedConcurrentExecutions: configuration.triggerConcurrency }
        : // The next tick is the retry, and a wake-up that waited a minute has been overtaken by one. A restore is begun, and
          // begun again, by a person.
          { retryAttempts: 0, maxEventAge: Duration.minutes(1) }),
    });

    if (isTrigger) {
      // A pool that outlives the stack goes on calling its trigger. Were it gone, every sign-up would end in an error.
      for (const kept of [role, this.lambda]) {
        kept.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
      }
    }
  }

  /** Lets a user pool call it. */
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

  /** A metric that the function writes; the names are in shared/src/metrics.rs. */
  metric(metricName: string, statistic: string, period = Duration.minutes(5)): Metric {
    const dimensionsMap = { FunctionName: this.lambda.functionName };
    return new Metric({ namespace: 'twinpool', metricName, dimensionsMap, statistic, period });
  }

  /** How often something happened in a period. */
  count(metricName: string, period?: Duration): Metric {
    return this.metric(metricName, Stats.SUM, period);
  }

  /** The highest value in a period. */
  highest(metricName: string, period?: Duration): Metric {
    return this.metric(metricName, Stats.MAXIMUM, period);
  }
}
