// twinpool in two regions, or around one pool. Each stack stands alone: what one must know of the other is in the configuration.

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

/** Refuses to synthesise what breaks the rules of AwsSolutions and is not acknowledged with a reason. */
export function review(app: App): void {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
}

/** The stacks of a configuration. */
export function twinpool(app: App, configuration: Configuration, codeOf: CodeOf): void {
  if (hasTwin(configuration)) {
    pair(app, configuration, codeOf);
  } else {
    new SingleStack(app, SINGLE, configuration, codeOf, env(configuration.primary.region));
  }
}

/** Both regions; the primary one as soon as it is known what the secondary stack has made. */
function pair(app: App, configuration: ConfigurationWithTwin, codeOf: CodeOf): void {
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
