// The CDK app: twinpool.config.ts, and the functions that cargo-lambda has built.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { ConfigurationError, readConfiguration } from '../lib/configuration.ts';
import { review, twinpool } from '../lib/twinpool.ts';

const CONFIGURATION = resolve(import.meta.dirname, '../twinpool.config.ts');
const BUILT = resolve(import.meta.dirname, '../../target/lambda');

function codeOf(binary: string): Code {
  const folder = resolve(BUILT, binary);
  if (!existsSync(resolve(folder, 'bootstrap'))) {
    throw new ConfigurationError(
      `target/lambda/${binary}/bootstrap is not there: run make deploy, or cargo lambda build.`,
    );
  }
  return Code.fromAsset(folder);
}

try {
  const app = new App();
  twinpool(app, await readConfiguration(CONFIGURATION), codeOf);
  review(app);
  app.synth();
} catch (error) {
  if (!(error instanceof ConfigurationError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}
