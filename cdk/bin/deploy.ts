// make deploy: builds the functions, deploys the secondary stack, writes its pool's id into the configuration, deploys the primary.
// By npm run deploy, which puts cdk on the PATH. Arguments go to `cdk deploy`, such as --require-approval never.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigurationError, readConfiguration, writeSecondaryPoolId } from '../lib/configuration.ts';
import { PRIMARY, SECONDARY } from '../lib/twinpool.ts';

const HERE = resolve(import.meta.dirname, '..');
const CONFIGURATION = resolve(HERE, 'twinpool.config.ts');
const OUTPUTS = resolve(HERE, 'cdk.out/outputs.json');

try {
  const { architecture, secondary } = await readConfiguration(CONFIGURATION);
  const target = { arm64: '--arm64', x86_64: '--x86-64' }[architecture];
  run(resolve(HERE, '..'), 'cargo', 'lambda', 'build', '--release', target);

  cdkDeploy(SECONDARY);
  if (secondary.pool === 'new') {
    const { UserPoolId } = JSON.parse(readFileSync(OUTPUTS, 'utf8'))[SECONDARY];
    if (UserPoolId !== secondary.userPoolId) {
      writeSecondaryPoolId(CONFIGURATION, UserPoolId);
      console.log(`twinpool.config.ts: secondary.userPoolId is now '${UserPoolId}'. Keep it under version control.`);
    }
  }
  cdkDeploy(PRIMARY);
} catch (error) {
  if (!(error instanceof ConfigurationError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}

function cdkDeploy(stack: string): void {
  run(HERE, 'cdk', 'deploy', stack, '--outputs-file', OUTPUTS, ...process.argv.slice(2));
}

function run(cwd: string, command: string, ...args: string[]): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status !== 0) {
    throw new ConfigurationError(
      `${command} ${args.slice(0, 3).join(' ')} failed${error ? `: ${error.message}` : ''}.`,
    );
  }
}
