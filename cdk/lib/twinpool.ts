// twinpool in two regions. Each stack stands alone: what one must know of the other is in the configuration.

import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { Configuration } from './configuration.ts';
import { PrimaryStack } from './primary-stack.ts';
import { SecondaryStack } from './secondary-stack.ts';
import type { CodeOf } from './twinpool-function.ts';

export const PRIMARY = 'TwinpoolPrimary';
export const SECONDARY = 'TwinpoolSecondary';

/** Refuses to synthesise what breaks the rules of AwsSolutions and is not acknowledged with a reason. */
export function review(app: App): void {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
}

/** Both stacks; the primary one as soon as the secondary pool's id is known. */
export function twinpool(app: App, configuration: Configuration, codeOf: CodeOf) {
  const env = (region: string) => {
    const account = process.env['CDK_DEFAULT_ACCOUNT'];
    return { env: account ? { account, region } : { region } };
  };
  const { primary, secondary } = configuration;
  return {
    secondary: new SecondaryStack(app, SECONDARY, configuration, codeOf, env(secondary.region)),
    primary: secondary.userPoolId
      ? new PrimaryStack(app, PRIMARY, configuration, codeOf, env(primary.region))
      : undefined,
  };
}
