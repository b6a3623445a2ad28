// Creates the stacks: two for a pool and its twin, or one for a single pool. The stacks do not refer to each other: what the primary
// stack needs to know of the secondary stack is in the configuration.

import { Annotations, type App, type Stack, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { type Configuration, type ConfigurationWithTwin, hasTwin, stackNames } from './configuration.ts';
import { acknowledgeFindings } from './constructs/nag.ts';
import { PrimaryStack } from './primary-stack.ts';
import { SecondaryStack } from './secondary-stack.ts';
import { SingleStack } from './single-stack.ts';
import type { CodeOf } from './stack.ts';

/** The context with which `make deploy` says that it deploys the primary stack afterwards. */
export const BOTH_STACKS = 'twinpool:both-stacks';

/** Makes synthesis fail for a resource that violates a rule of AwsSolutions without an acknowledgement that gives the reason. */
export function addSecurityChecks(app: App): void {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
}

/** Creates the stacks of a configuration. */
export function createStacks(app: App, configuration: Configuration, codeOf: CodeOf): void {
  const stacks = hasTwin(configuration)
    ? createPair(app, configuration, codeOf)
    : [
        new SingleStack(
          app,
          stackNames(configuration).single,
          configuration,
          codeOf,
          env(configuration.primary.region),
        ),
      ];
  acknowledgeFindings(app);
  if (!configuration.alarmEmail) {
    for (const stack of stacks) {
      Annotations.of(stack).addWarningV2(
        'twinpool:alarms',
        'alarmEmail is empty, so nobody is told of an alarm. Set it, or subscribe to the topic of the output AlarmTopicArn.',
      );
    }
  }
}

/** Creates the secondary stack, and the primary stack once the outputs of the secondary stack are in the configuration. */
function createPair(app: App, configuration: ConfigurationWithTwin, codeOf: CodeOf): Stack[] {
  const { primary, secondary } = configuration;
  const names = stackNames(configuration);
  const twin = new SecondaryStack(app, names.secondary, configuration, codeOf, env(secondary.region));
  if (secondary.userPoolId && secondary.snapshotBucket && secondary.snapshotKeyId) {
    return [twin, new PrimaryStack(app, names.primary, configuration, codeOf, env(primary.region))];
  }
  if (!app.node.tryGetContext(BOTH_STACKS)) {
    Annotations.of(twin).addError(
      `The configuration does not have the outputs of ${names.secondary} yet, so there is no ${names.primary}, and nobody would be replicated. ` +
        'Run make deploy: it deploys both, and writes the outputs into the configuration.',
    );
  }
  return [twin];
}

function env(region: string) {
  const account = process.env['CDK_DEFAULT_ACCOUNT'];
  return { env: account ? { account, region } : { region } };
}
