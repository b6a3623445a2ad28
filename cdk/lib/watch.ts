// What is watched in a region: alarms on an SNS topic, and a dashboard that answers "is it safe?" at a glance.

import { CfnOutput, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  AlarmStatusWidget,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  SingleValueWidget,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { TwinpoolFunction } from './twinpool-function.ts';

/** Goes off when the metric is above `above`. */
export interface AlarmProps {
  readonly metric: IMetric;
  readonly above: number;
  /** What it means and what to do, for the one who is woken by it. */
  readonly description: string;
  /**
   * What silence means: nothing happened, for what is counted; an alarm, for what the minute's tick measures; no change, for what
   * is told now and then. All but the first also report when all is well again.
   */
  readonly silence: 'nothing happened' | 'alarm' | 'no change';
  /** Periods that are looked at. Against silence, all of them must breach; else one is enough. */
  readonly periods?: number;
}

const MISSING_DATA = {
  'nothing happened': TreatMissingData.NOT_BREACHING,
  alarm: TreatMissingData.BREACHING,
  'no change': TreatMissingData.IGNORE,
};

export class Watch extends Construct {
  private readonly topic: Topic;
  private readonly alarms: Alarm[] = [];
  private readonly functions: TwinpoolFunction[] = [];

  constructor(scope: Construct, id: string, alarmEmail: string) {
    super(scope, id);
    const stack = Stack.of(this);
    // Not encrypted with a key of its own: a message holds an alarm's name and numbers, and a key that CloudWatch may not use
    // silences every alarm.
    this.topic = new Topic(this, 'Topic', { displayName: `${stack.stackName} alarms`, enforceSSL: true });
    // A topic with a policy has lost the default one, by which CloudWatch could publish.
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsOfThisAccount',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
      }),
    );
    if (alarmEmail) {
      this.topic.addSubscription(new EmailSubscription(alarmEmail));
    }
    new CfnOutput(stack, 'AlarmTopicArn', { value: this.topic.topicArn, description: 'Alarms of this region' });
  }

  alarm(id: string, props: AlarmProps): void {
    const periods = props.periods ?? 1;
    const alarm = new Alarm(this, id, {
      alarmDescription: props.description,
      metric: props.metric,
      threshold: props.above,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: periods,
      datapointsToAlarm: props.silence === 'alarm' ? periods : 1,
      treatMissingData: MISSING_DATA[props.silence],
    });
    alarm.addAlarmAction(new SnsAction(this.topic));
    if (props.silence !== 'nothing happened') {
      alarm.addOkAction(new SnsAction(this.topic));
    }
    this.alarms.push(alarm);
  }

  /** Errors and throttles of a function, which Lambda counts. */
  failures(id: string, watched: TwinpoolFunction, what: string): void {
    const { lambda } = watched;
    this.functions.push(watched);
    this.alarm(`${id}Errors`, {
      metric: lambda.metricErrors(),
      above: 0,
      silence: 'nothing happened',
      description: `${what} ends in errors. Its log says which.`,
    });
    this.alarm(`${id}Throttles`, {
      metric: lambda.metricThrottles(),
      above: 0,
      silence: 'nothing happened',
      description: `Lambda refuses to start ${what}. Look at the concurrency of the account and of the function.`,
    });
  }

  /** Above all the alarms, then the numbers as they are now, then how they got there, and failures last. */
  dashboard(now: IMetric[], graphs: Readonly<Record<string, IMetric[]>>): Dashboard {
    const { stackName } = Stack.of(this);
    const failures = this.functions.flatMap(({ lambda }) => [lambda.metricErrors(), lambda.metricThrottles()]);
    const all = Object.entries({ ...graphs, 'Failures of functions': failures });
    const width = Math.floor(24 / all.length);
    return new Dashboard(this, 'Dashboard', {
      dashboardName: stackName,
      widgets: [
        [
          new AlarmStatusWidget({
            title: 'Is it safe? Yes, when all are OK',
            alarms: this.alarms,
            width: 24,
            height: 4,
          }),
        ],
        [new SingleValueWidget({ title: 'Now', metrics: now, width: 24, height: 4 })],
        all.map(([title, left]) => new GraphWidget({ title, left, width, height: 7 })),
      ],
    });
  }
}
