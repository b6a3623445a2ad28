// Both ways of deploying, synthesised without AWS, cargo-lambda or Docker.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Code } from 'aws-cdk-lib/aws-lambda';
import type { Configuration } from '../lib/configuration.ts';
import { PRIMARY, SECONDARY, twinpool } from '../lib/twinpool.ts';
import fresh from './fresh.config.ts';

/** Both pools are made by twinpool, and the secondary one has been. */
export const FROM_NOTHING: Configuration = {
  ...fresh,
  secondary: { ...fresh.secondary, userPoolId: 'ap-northeast-3_Secondary' },
};

/** Both pools are there already, and the secondary one gets the fence. */
export const AROUND_EXISTING: Configuration = {
  ...FROM_NOTHING,
  primary: { region: 'ap-northeast-1', pool: 'existing', userPoolId: 'ap-northeast-1_Primary' },
  secondary: { region: 'ap-northeast-3', pool: 'existing', userPoolId: 'ap-northeast-3_Secondary', fence: true },
};

/** Both ways, by name. */
export const WAYS = { 'from nothing': FROM_NOTHING, 'around existing pools': AROUND_EXISTING };

/** An app with both stacks, not synthesised yet. */
export function app(configuration: Configuration) {
  const app = new App({
    outdir: mkdtempSync(join(tmpdir(), 'twinpool-cdk-')),
    context: { '@aws-cdk/aws-iam:minimizePolicies': true },
  });
  const stub = resolve(import.meta.dirname, 'stub');
  return { app, ...twinpool(app, configuration, () => Code.fromAsset(stub)) };
}

/** The templates of both stacks. */
export function templates(configuration: Configuration) {
  const synthesised = app(configuration).app.synth();
  const template = (stack: string) => Template.fromJSON(synthesised.getStackByName(stack).template);
  return { primary: template(PRIMARY), secondary: template(SECONDARY) };
}
