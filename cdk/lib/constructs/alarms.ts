// The alarms of a construct. They notify a topic, if there is one.

import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Construct } from 'constructs';
import type { TwinpoolFunction } from './function.ts';
import type { CommonProps } from './options.ts';

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
  /** Number of periods to evaluate. */
  readonly periods?: number;
  /** Number of periods that must breach. Default: one, but all of them if missing data is breaching. */
  readonly breachingPeriods?: number;
}

const MISSING_DATA = {
  'not breaching': TreatMissingData.NOT_BREACHING,
  breaching: TreatMissingData.BREACHING,
  ignore: TreatMissingData.IGNORE,
};

export class Alarms {
  readonly all: Alarm[] = [];
  private readonly scope: Construct;

  constructor(
    construct: Construct,
    private readonly props: CommonProps,
  ) {
    this.scope = props.alarmScope ?? new Construct(construct, 'Alarms');
  }

  add(id: string, props: AlarmProps): void {
    const { metric, threshold, description, missingData, periods = 1 } = props;
    const alarm = new Alarm(this.scope, id, {
      alarmDescription: description,
      metric,
      threshold,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: periods,
      datapointsToAlarm: props.breachingPeriods ?? (missingData === 'breaching' ? periods : 1),
      treatMissingData: MISSING_DATA[missingData],
    });
    const { alarmTopic } = this.props;
    if (alarmTopic) {
      alarm.addAlarmAction(new SnsAction(alarmTopic));
      if (missingData !== 'not breaching') {
        alarm.addOkAction(new SnsAction(alarmTopic));
      }
    }
    this.all.push(alarm);
  }

  /** Adds the alarm on a pool that does not run the trigger, which the tick of the pool's worker measures. */
  addDetachedTrigger(worker: TwinpoolFunction): void {
    this.add('TriggerDetached', {
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
  addFailures(id: string, { lambda }: TwinpoolFunction, name: string): void {
    this.add(`${id}Errors`, {
      metric: lambda.metricErrors(),
      threshold: 0,
      missingData: 'not breaching',
      description: `${name} fails. Its log contains the errors.`,
    });
    this.add(`${id}Throttles`, {
      metric: lambda.metricThrottles(),
      threshold: 0,
      missingData: 'not breaching',
      description: `${name} is throttled by Lambda. Check the concurrency of the account and of the function.`,
    });
  }
}
