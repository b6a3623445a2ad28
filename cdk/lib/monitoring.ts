// Monitoring of a region: alarms that notify an SNS topic, and a dashboard that shows whether everyone is safe.

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

/** An alarm that is raised when the metric exceeds the threshold. */
export interface AlarmProps {
  readonly metric: IMetric;
  readonly threshold: number;
  /** What the alarm means and what to do, for the person who receives it. */
  readonly description: string;
  /**
   * How a period without data is treated. `not breaching` is for a count: nothing happened. `breaching` is for a value that the tick
   * reports every minute: the worker has failed. `ignore`, which keeps the alarm's state, is for a value that is reported irregularly.
   * The last two also notify when the alarm returns to OK.
   */
  readonly missingData: 'not breaching' | 'breaching' | 'ignore';
  /** Number of periods to evaluate. One that breaches is enough, unless missing data is breaching: then all must breach. */
  readonly periods?: number;
}

const MISSING_DATA = {
  'not breaching': TreatMissingData.NOT_BREACHING,
  breaching: TreatMissingData.BREACHING,
  ignore: TreatMissingData.IGNORE,
};

/** More graphs side by side are too narrow to be read. */
const MAX_GRAPHS_PER_ROW = 4;

export class Monitoring extends Construct {
  private readonly topic: Topic;
  private readonly alarms: Alarm[] = [];
  private readonly functions: TwinpoolFunction[] = [];

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

  addAlarm(id: string, props: AlarmProps): void {
    const periods = props.periods ?? 1;
    const alarm = new Alarm(this, id, {
      alarmDescription: props.description,
      metric: props.metric,
      threshold: props.threshold,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: periods,
      datapointsToAlarm: props.missingData === 'breaching' ? periods : 1,
      treatMissingData: MISSING_DATA[props.missingData],
    });
    alarm.addAlarmAction(new SnsAction(this.topic));
    if (props.missingData !== 'not breaching') {
      alarm.addOkAction(new SnsAction(this.topic));
    }
    this.alarms.push(alarm);
  }

  /** Adds the alarm on a pool that does not run the trigger, which the tick of the pool's worker measures. */
  alarmOnDetachedTrigger(worker: TwinpoolFunction): void {
    this.addAlarm('TriggerDetached', {
      metric: worker.maximum('TriggerDetached'),
      threshold: 0,
      // Silence of the worker is an alarm of its own.
      missingData: 'ignore',
      description:
        'The pool does not run the trigger after a confirmation, so sign-ups are lost for twinpool. Attach it again (output TriggerArn), ' +
        'and find out which tool or template detached it.',
    });
  }

  /** Adds alarms on the errors and throttles of a function, which Lambda counts. `name` begins their descriptions. */
  alarmOnFailures(id: string, monitored: TwinpoolFunction, name: string): void {
    const { lambda } = monitored;
    this.functions.push(monitored);
    this.addAlarm(`${id}Errors`, {
      metric: lambda.metricErrors(),
      threshold: 0,
      missingData: 'not breaching',
      description: `${name} fails. Its log contains the errors.`,
    });
    this.addAlarm(`${id}Throttles`, {
      metric: lambda.metricThrottles(),
      threshold: 0,
      missingData: 'not breaching',
      description: `${name} is throttled by Lambda. Check the concurrency of the account and of the function.`,
    });
  }

  /** Creates the dashboard: the alarms at the top, then current values, then graphs, with the failures of functions last. */
  createDashboard(currentValues: IMetric[], graphs: Readonly<Record<string, IMetric[]>>): Dashboard {
    const { stackName } = Stack.of(this);
    const failures = this.functions.flatMap(({ lambda }) => [lambda.metricErrors(), lambda.metricThrottles()]);
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
            alarms: this.alarms,
            width: 24,
            height: 4,
          }),
        ],
        [new SingleValueWidget({ title: 'Current values', metrics: currentValues, width: 24, height: 4 })],
        ...Array.from({ length: rows }, (_, row) => widgets.slice(row * perRow, (row + 1) * perRow)),
      ],
    });
  }
}
