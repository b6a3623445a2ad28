// Synthesises all variants of the deployment, without AWS, cargo-lambda or Docker.

import { resolve } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { type Configuration, type ConfigurationWithTwin, stackNames } from '../lib/configuration.ts';
import { createStacks } from '../lib/twinpool.ts';
import fresh from './fresh.config.ts';
import { temporaryFolder } from './temporary.ts';

const SECONDARY_OUTPUTS = {
  userPoolId: 'ap-northeast-3_Secondary',
  snapshotBucket: 'twinpool-snapshots-0123456789ab',
  snapshotKeyId: '01234567-89ab-cdef-0123-456789abcdef',
};

/** twinpool creates both pools, and the secondary stack has been deployed. */
export const FROM_NOTHING: ConfigurationWithTwin = {
  ...fresh,
  secondary: { ...fresh.secondary, ...SECONDARY_OUTPUTS },
};

/** Both pools exist already, and the secondary pool gets the fence. */
export const AROUND_EXISTING: ConfigurationWithTwin = {
  ...FROM_NOTHING,
  primary: { region: 'ap-northeast-1', pool: 'existing', userPoolId: 'ap-northeast-1_Primary' },
  secondary: { region: 'ap-northeast-3', pool: 'existing', ...SECONDARY_OUTPUTS, fence: true },
};

/** The variants with a twin, by name. */
export const VARIANTS = { 'from nothing': FROM_NOTHING, 'around existing pools': AROUND_EXISTING };

/** twinpool creates a pool without a twin. */
export const SINGLE_NEW: Configuration = { ...FROM_NOTHING, secondary: null };

/** The pool exists already, and has no twin. */
export const SINGLE_EXISTING: Configuration = { ...AROUND_EXISTING, secondary: null };

/** The variants without a twin, by name. */
export const SINGLE_VARIANTS = { 'a single new pool': SINGLE_NEW, 'a single existing pool': SINGLE_EXISTING };

/** In the context of an app, it makes synthesis validate the templates against the schemas of CloudFormation. */
export const VALIDATE = 'test:validate';

/** An app with its stacks, before synthesis. */
export function app(configuration: Configuration, context: Record<string, string> = {}): App {
  const app = new App({
    outdir: temporaryFolder(),
    // It takes some seconds per process.
    builtinCloudFormationValidation: VALIDATE in context,
    // The second setting makes a violation an error. By default it is a warning.
    context: {
      '@aws-cdk/aws-iam:minimizePolicies': true,
      '@aws-cdk/core:validateAgainstDefaultRules': true,
      ...context,
    },
  });
  const stub = resolve(import.meta.dirname, 'stub');
  createStacks(app, configuration, () => Code.fromAsset(stub));
  return app;
}

/** The stacks of an app, by name. */
export function stacks(app: App): Record<string, Stack> {
  return Object.fromEntries(app.node.children.filter(Stack.isStack).map((stack) => [stack.stackName, stack]));
}

/** The templates of both stacks. */
export function templates(configuration: ConfigurationWithTwin) {
  const template = synthesise(configuration);
  const { primary, secondary } = stackNames(configuration);
  return { primary: template(primary), secondary: template(secondary) };
}

/** The template of the single stack. */
export function singleTemplate(configuration: Configuration): Template {
  return synthesise(configuration)(stackNames(configuration).single);
}

/** Synthesises an app. The result returns the template of a stack by its name. */
function synthesise(configuration: Configuration) {
  const assembly = app(configuration).synth();
  return (stack: string) => Template.fromJSON(assembly.getStackByName(stack).template);
}
