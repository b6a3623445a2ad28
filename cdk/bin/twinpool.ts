// The CDK app: creates the stacks of the configuration, with the functions that cargo-lambda has built.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { ConfigurationError, configurationFile, readConfiguration } from '../lib/configuration.ts';
import { addSecurityChecks, createStacks } from '../lib/twinpool.ts';

const LAMBDA_BUILDS = resolve(import.meta.dirname, '../../target/lambda');

function codeOf(binary: string): Code {
  const folder = resolve(LAMBDA_BUILDS, binary);
  if (!existsSync(resolve(folder, 'bootstrap'))) {
    throw new ConfigurationError(
      `target/lambda/${binary}/bootstrap does not exist. Run make deploy, or cargo lambda build.`,
    );
  }
  return Code.fromAsset(folder);
}

try {
  const app = new App();
  createStacks(app, await readConfiguration(configurationFile()), codeOf);
  addSecurityChecks(app);
  app.synth();
} catch (error) {
  if (!(error instanceof ConfigurationError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}
