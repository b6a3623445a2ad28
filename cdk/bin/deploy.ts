// `make deploy`: builds the functions, deploys the secondary stack, writes its outputs into the configuration, and deploys the
// primary stack. For a pool without a twin it deploys the single stack instead. Run it through `npm run deploy`, which puts cdk on
// the PATH. Arguments such as --require-approval never are passed on to `cdk deploy`.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  ConfigurationError,
  readConfiguration,
  type SecondaryOutputs,
  writeSecondaryOutputs,
} from '../lib/configuration.ts';
import { PRIMARY, SECONDARY, SINGLE } from '../lib/twinpool.ts';

const CDK_FOLDER = resolve(import.meta.dirname, '..');
const CONFIGURATION = resolve(CDK_FOLDER, 'twinpool.config.ts');
const OUTPUTS = resolve(CDK_FOLDER, 'cdk.out/outputs.json');

try {
  const { architecture, secondary } = await readConfiguration(CONFIGURATION);
  const target = { arm64: '--arm64', x86_64: '--x86-64' }[architecture];
  run(resolve(CDK_FOLDER, '..'), 'cargo', 'lambda', 'build', '--release', '--locked', target);

  if (secondary === null) {
    cdkDeploy(SINGLE);
  } else {
    cdkDeploy(SECONDARY);
    const outputs = readSecondaryOutputs();
    if (Object.entries(outputs).some(([name, value]) => secondary[name as keyof SecondaryOutputs] !== value)) {
      writeSecondaryOutputs(CONFIGURATION, outputs);
      console.log(
        `twinpool.config.ts: wrote ${JSON.stringify(outputs)} into \`secondary\`. Keep the file under version control.`,
      );
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
  run(CDK_FOLDER, 'cdk', 'deploy', stack, '--outputs-file', OUTPUTS, ...process.argv.slice(2));
}

/** Reads the outputs of the secondary stack from the file that `cdk deploy` has written. */
function readSecondaryOutputs(): SecondaryOutputs {
  const { UserPoolId, SnapshotBucketName, SnapshotKeyId } = JSON.parse(readFileSync(OUTPUTS, 'utf8'))[SECONDARY];
  return { userPoolId: UserPoolId, snapshotBucket: SnapshotBucketName, snapshotKeyId: SnapshotKeyId };
}

/** Runs a command and passes its output through. Throws a ConfigurationError if it fails. */
function run(cwd: string, command: string, ...args: string[]): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status !== 0) {
    throw new ConfigurationError(
      `${command} ${args.slice(0, 3).join(' ')} failed${error ? `: ${error.message}` : ''}.`,
    );
  }
}
