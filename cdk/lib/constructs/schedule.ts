// EventBridge Scheduler invokes a worker with a constant payload. It does not retry a failed invocation, because the next one follows
// soon.

import { Stack } from 'aws-cdk-lib';
import { PolicyDocument, PolicyStatement, PrincipalWithConditions, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { Construct } from 'constructs';

/** A scheduled invocation: when, and with which payload. */
export interface ScheduledInvocation {
  readonly expression: string;
  readonly payload: unknown;
  readonly description: string;
}

/** Schedules the invocations of a worker, by name. */
export class Schedule extends Construct {
  constructor(
    scope: Construct,
    id: string,
    worker: IFunction,
    invocations: Readonly<Record<string, ScheduledInvocation>>,
  ) {
    super(scope, id);
    const stack = Stack.of(this);
    const role = new Role(this, 'Role', {
      description: 'EventBridge Scheduler uses this role to invoke the worker',
      assumedBy: new PrincipalWithConditions(new ServicePrincipal('scheduler.amazonaws.com'), {
        StringEquals: {
          'aws:SourceAccount': stack.account,
          'aws:SourceArn': stack.formatArn({
            service: 'scheduler',
            resource: 'schedule-group',
            resourceName: 'default',
          }),
        },
      }),
      inlinePolicies: {
        Invoke: new PolicyDocument({
          statements: [new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [worker.functionArn] })],
        }),
      },
    });
    for (const [name, { expression, payload, description }] of Object.entries(invocations)) {
      new CfnSchedule(this, name, {
        description,
        scheduleExpression: expression,
        scheduleExpressionTimezone: 'UTC',
        flexibleTimeWindow: { mode: 'OFF' },
        target: {
          arn: worker.functionArn,
          roleArn: role.roleArn,
          input: JSON.stringify(payload),
          retryPolicy: { maximumRetryAttempts: 0 },
        },
      });
    }
  }
}

/** The tick that every worker gets once a minute. */
export const EVERY_MINUTE: ScheduledInvocation = {
  expression: 'rate(1 minute)',
  payload: { action: 'tick' },
  description: 'twinpool: the tick of every minute',
};

/**
 * The wake-up for reconcile, which decides itself whether a run is due or one that was cut off has to go on. It is not part of the
 * tick, because a run takes up to the whole time of an invocation, and the outbox must not wait for it.
 */
export const RECONCILE: ScheduledInvocation = {
  expression: 'rate(5 minutes)',
  payload: { action: 'reconcile' },
  description: 'twinpool: the reconcile that is due',
};
