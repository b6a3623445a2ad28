// EventBridge Scheduler invokes a worker with a constant payload, and does not repeat an invocation: the next one comes by itself.

import { Stack } from 'aws-cdk-lib';
import { PolicyDocument, PolicyStatement, PrincipalWithConditions, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { Construct } from 'constructs';

/** When, with what payload, and what for. */
export interface WakeUp {
  readonly expression: string;
  readonly payload: unknown;
  readonly description: string;
}

/** Schedules a worker's wake-ups, by name. */
export class Schedule extends Construct {
  constructor(scope: Construct, id: string, worker: IFunction, wakeUps: Readonly<Record<string, WakeUp>>) {
    super(scope, id);
    const stack = Stack.of(this);
    const role = new Role(this, 'Role', {
      description: 'EventBridge Scheduler: invokes the worker',
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
    for (const [name, { expression, payload, description }] of Object.entries(wakeUps)) {
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

/** The minute's wake-up. */
export const TICK: WakeUp = {
  expression: 'rate(1 minute)',
  payload: { action: 'tick' },
  description: "twinpool's tick",
};
