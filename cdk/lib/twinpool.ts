// Creates the stacks: two for a pool and its twin, or one for a single pool. The stacks do not refer to each other: what the primary
// stack needs to know of the secondary stack is in the configuration.

import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { type Configuration, type ConfigurationWithTwin, hasTwin } from './configuration.ts';
import { PrimaryStack } from './primary-stack.ts';
import { SecondaryStack } from './secondary-stack.ts';
import { SingleStack } from './single-stack.ts';
import type { CodeOf } from './twinpool-function.ts';

export const PRIMARY = 'TwinpoolPrimary';
export const SECONDARY = 'TwinpoolSecondary';
export const SINGLE = 'TwinpoolBackup';

/** Makes synthesis fail for a resource that violates a rule of AwsSolutions without an acknowledgement that gives the reason. */
export function addSecurityChecks(app: App): void {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
}

/** Creates the stacks of a configuration. */
export function createStacks(app: App, configuration: Configuration, codeOf: CodeOf): void {
  if (hasTwin(configuration)) {
    createPair(app, configuration, codeOf);
  } else {
    new SingleStack(app, SINGLE, configuration, codeOf, env(configuration.primary.region));
  }
}

/** Creates the secondary stack, and the primary stack once the outputs of the secondary stack are in the configuration. */
function createPair(app: App, configuration: ConfigurationWithTwin, codeOf: CodeOf): void {
  const { primary, secondary } = configuration;
  new SecondaryStack(app, SECONDARY, configuration, codeOf, env(secondary.region));
  if (secondary.userPoolId && secondary.snapshotBucket && secondary.snapshotKeyId) {
    new PrimaryStack(app, PRIMARY, configuration, codeOf, env(primary.region));
  }
}

function env(region: string) {
  const account = process.env['CDK_DEFAULT_ACCOUNT'];
  return { env: account ? { account, region } : { region } };
}
