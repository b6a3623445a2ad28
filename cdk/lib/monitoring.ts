// Monitoring of a region: the topic that the alarms notify, and a dashboard that shows whether everyone is safe.

import { CfnOutput, Stack } from 'aws-cdk-lib';
import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IMetric,
  SingleValueWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';

/** More graphs side by side are too narrow to be read. */
const MAX_GRAPHS_PER_ROW = 4;

/** What a dashboard shows, besides the failures of functions. */
export interface DashboardProps {
  readonly alarms: readonly Alarm[];
  readonly functions: readonly IFunction[];
  readonly currentValues: readonly IMetric[];
  /** Metrics shown as graphs, by title. */
  readonly graphs: Readonly<Record<string, IMetric[]>>;
}

/** The alarms of a stack are created in this construct: then they stay what they are when a construct that they belong to is moved. */
export class Monitoring extends Construct {
  readonly topic: Topic;

  constructor(scope: Construct, id: string, alarmEmail: string) {
    super(scope, id);
    const stack = Stack.of(this);
    // The topic is not encrypted with a key of its own: a message contains only the name and the numbers of an alarm, and if CloudWatch
    // were not allowed to use the key, no alarm would be delivered.
    this.topic = new Topic(this, 'Topic', { displayName: `${stack.stackName} alarms`, enforceSSL: true });
    // enforceSSL replaces the default policy of the topic, which allows CloudWatch to publish.
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
    new CfnOutput(stack, 'AlarmTopicArn', {
      value: this.topic.topicArn,
      description: 'The topic that receives the alarms of this region',
    });
  }

  /** Creates the dashboard: the alarms at the top, then current values, then graphs, with the failures of functions last. */
  createDashboard({ alarms, functions, currentValues, graphs }: DashboardProps): Dashboard {
    const { stackName } = Stack.of(this);
    const failures = functions.flatMap((lambda) => [lambda.metricErrors(), lambda.metricThrottles()]);
    const allGraphs = Object.entries({ ...graphs, 'Failures of functions': failures });
    const rows = Math.ceil(allGraphs.length / MAX_GRAPHS_PER_ROW);
    const perRow = Math.ceil(allGraphs.length / rows);
    const width = Math.floor(24 / perRow);
    const widgets = allGraphs.map(([title, left]) => new GraphWidget({ title, left, width, height: 7 }));
    return new Dashboard(this, 'Dashboard', {
      dashboardName: stackName,
      widgets: [
        [
          new AlarmStatusWidget({
            title: 'Is everyone safe? Yes, if all alarms are OK',
            alarms: [...alarms],
            width: 24,
            height: 4,
          }),
        ],
        [new SingleValueWidget({ title: 'Current values', metrics: [...currentValues], width: 24, height: 4 })],
        ...Array.from({ length: rows }, (_, row) => widgets.slice(row * perRow, (row + 1) * perRow)),
      ],
    });
  }
}
