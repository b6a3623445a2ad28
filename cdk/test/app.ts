// All ways of deploying, synthesised without AWS, cargo-lambda or Docker.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Code } from 'aws-cdk-lib/aws-lambda';
import type { Configuration, ConfigurationWithTwin } from '../lib/configuration.ts';
import { PRIMARY, SECONDARY, SINGLE, twinpool } from '../lib/twinpool.ts';
import fresh from './fresh.config.ts';

const MADE = {
  userPoolId: 'ap-northeast-3_Secondary',
  snapshotBucket: 'twinpool-snapshots-0123456789ab',
  snapshotKeyId: '01234567-89ab-cdef-0123-456789abcdef',
};

/** Both pools are made by twinpool, and the secondary one has been. */
export const FROM_NOTHING: ConfigurationWithTwin = { ...fresh, secondary: { ...fresh.secondary, ...MADE } };

/** Both pools are there already, and the secondary one gets the fence. */
export const AROUND_EXISTING: ConfigurationWithTwin = {
  ...FROM_NOTHING,
  primary: { region: 'ap-northeast-1', pool: 'existing', userPoolId: 'ap-northeast-1_Primary' },
  secondary: { region: 'ap-northeast-3', pool: 'existing', ...MADE, fence: true },
};

/** Both ways of a pool and its twin, by name. */
export const WAYS = { 'from nothing': FROM_NOTHING, 'around existing pools': AROUND_EXISTING };

/** A pool without a twin, made by twinpool. */
export const SINGLE_NEW: Configuration = { ...FROM_NOTHING, secondary: null };

/** A pool without a twin that is there already. */
export const SINGLE_EXISTING: Configuration = { ...AROUND_EXISTING, secondary: null };

/** Both ways of a pool without a twin, by name. */
export const SINGLE_WAYS = { 'a single new pool': SINGLE_NEW, 'a single existing pool': SINGLE_EXISTING };

/** An app with its stacks, not synthesised yet. */
export function app(configuration: Configuration): App {
  const app = new App({
    outdir: mkdtempSync(join(tmpdir(), 'twinpool-cdk-')),
    context: { '@aws-cdk/aws-iam:minimizePolicies': true },
  });
  const stub = resolve(import.meta.dirname, 'stub');
  twinpool(app, configuration, () => Code.fromAsset(stub));
  return app;
}

/** The stacks of an app, by name. */
export function stacks(app: App): Record<string, Stack> {
  return Object.fromEntries(app.node.children.filter(Stack.isStack).map((stack) => [stack.stackName, stack]));
}

/** The templates of both regions. */
export function templates(configuration: ConfigurationWithTwin) {
  const template = synthesised(configuration);
  return { primary: template(PRIMARY), secondary: template(SECONDARY) };
}

/** The template of a pool without a twin. */
export function singleTemplate(configuration: Configuration): Template {
  return synthesised(configuration)(SINGLE);
}

function synthesised(configuration: Configuration) {
  const assembly = app(configuration).synth();
  return (stack: string) => Template.fromJSON(assembly.getStackByName(stack).template);
}
