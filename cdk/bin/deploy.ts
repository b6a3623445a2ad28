// make deploy: builds the functions, deploys the secondary stack, writes what it made into the configuration, deploys the primary
// stack; or the one stack of a pool without a twin. By npm run deploy, which puts cdk on the PATH. Arguments go to `cdk deploy`, such as --require-approval never.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigurationError, type Made, readConfiguration, writeMade } from '../lib/configuration.ts';
import { PRIMARY, SECONDARY, SINGLE } from '../lib/twinpool.ts';

const HERE = resolve(import.meta.dirname, '..');
const CONFIGURATION = resolve(HERE, 'twinpool.config.ts');
const OUTPUTS = resolve(HERE, 'cdk.out/outputs.json');

try {
  const { architecture, secondary } = await readConfiguration(CONFIGURATION);
  const target = { arm64: '--arm64', x86_64: '--x86-64' }[architecture];
  run(resolve(HERE, '..'), 'cargo', 'lambda', 'build', '--release', target);

  if (secondary === null) {
    cdkDeploy(SINGLE);
  } else {
    cdkDeploy(SECONDARY);
    const made = outputs();
    if (Object.entries(made).some(([name, value]) => secondary[name as keyof Made] !== value)) {
      writeMade(CONFIGURATION, made);
      console.log(`twinpool.config.ts: secondary is now ${JSON.stringify(made)}. Keep it under version control.`);
    }
    cdkDeploy(PRIMARY);
  }
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

/** What the secondary stack made. */
function outputs(): Made {
  const { UserPoolId, SnapshotBucketName, SnapshotKeyId } = JSON.parse(readFileSync(OUTPUTS, 'utf8'))[SECONDARY];
  return { userPoolId: UserPoolId, snapshotBucket: SnapshotBucketName, snapshotKeyId: SnapshotKeyId };
}

function run(cwd: string, command: string, ...args: string[]): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status !== 0) {
    throw new ConfigurationError(
      `${command} ${args.slice(0, 3).join(' ')} failed${error ? `: ${error.message}` : ''}.`,
    );
  }
}
