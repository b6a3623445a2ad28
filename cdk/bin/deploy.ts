// `make deploy`: builds the functions, deploys the secondary stack, writes its outputs into the configuration, and deploys the
// primary stack. The first time that the primary pool is new, it writes the id of that pool into the configuration too, and deploys the
// secondary stack again, whose worker watches the primary pool. In the end it asks each trigger for an answer, and compares Lambda's quotas. For a pool without a twin it
// deploys the single stack instead. Run it through `npm run deploy`, which puts cdk on
// the PATH. Arguments such as --require-approval never are passed on to `cdk deploy`.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { concurrencyWarning } from '../lib/concurrency.ts';
import {
  ConfigurationError,
  configurationFile,
  readConfiguration,
  type SecondaryOutputs,
  stackNames,
  writeOutputs,
} from '../lib/configuration.ts';
import { expectSamePools, readStacks } from '../lib/deployed.ts';
import { type DeployedTrigger, expectTriggersAnswer } from '../lib/trigger-answers.ts';
import { BOTH_STACKS } from '../lib/twinpool.ts';

const CDK_FOLDER = resolve(import.meta.dirname, '..');
const OUTPUTS = resolve(CDK_FOLDER, 'cdk.out/outputs.json');
const CDK_ARGUMENTS = process.argv.slice(2);

/** The triggers that this run has deployed. */
const TRIGGERS: DeployedTrigger[] = [];

try {
  useProfile();
  const file = configurationFile();
  const configuration = await readConfiguration(file);
  const { architecture, primary, secondary } = configuration;
  const names = stackNames(configuration);
  expectSamePools(configuration, await readStacks(configuration));

  const target = { arm64: '--arm64', x86_64: '--x86-64' }[architecture];
  run(resolve(CDK_FOLDER, '..'), 'cargo', 'lambda', 'build', '--release', '--locked', target);

  if (secondary === null) {
    cdkDeploy(names.single);
  } else {
    cdkDeploy(names.secondary);
    const outputs = readSecondaryOutputs(names.secondary);
    if (Object.entries(outputs).some(([name, value]) => secondary[name as keyof SecondaryOutputs] !== value)) {
      writeOutputs(file, 'secondary', outputs);
      tellWritten('secondary', outputs);
    }
    cdkDeploy(names.primary);
    const { UserPoolId: userPoolId } = readOutputs(names.primary);
    if (userPoolId && userPoolId !== primary.userPoolId) {
      writeOutputs(file, 'primary', { userPoolId });
      tellWritten('primary', { userPoolId });
      cdkDeploy(names.secondary);
    }
  }
  await expectTriggersAnswer(TRIGGERS);
  const warning = secondary && (await concurrencyWarning(primary.region, secondary.region));
  if (warning) {
    console.warn(`Warning: ${warning}`);
  }
} catch (error) {
  if (!(error instanceof ConfigurationError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}

/** Makes this program use the profile that `cdk deploy` is told to use. */
function useProfile(): void {
  const at = CDK_ARGUMENTS.findIndex((argument) => /^--profile(=|$)/.test(argument));
  const profile = CDK_ARGUMENTS[at]?.split('=')[1] ?? CDK_ARGUMENTS[at + 1];
  if (at >= 0 && profile) {
    process.env['AWS_PROFILE'] = profile;
  }
}

function cdkDeploy(stack: string): void {
  run(
    CDK_FOLDER,
    'cdk',
    'deploy',
    stack,
    '--context',
    `${BOTH_STACKS}=true`,
    '--outputs-file',
    OUTPUTS,
    ...CDK_ARGUMENTS,
  );
  const { TriggerArn: arn } = JSON.parse(readFileSync(OUTPUTS, 'utf8'))[stack];
  if (!TRIGGERS.some((trigger) => trigger.arn === arn)) {
    TRIGGERS.push({ stack, arn });
  }
}

/** Reads the outputs of the secondary stack from the file that `cdk deploy` has written. */
function readSecondaryOutputs(stack: string): SecondaryOutputs {
  const { UserPoolId = '', SnapshotBucketName = '', SnapshotKeyId = '' } = readOutputs(stack);
  return { userPoolId: UserPoolId, snapshotBucket: SnapshotBucketName, snapshotKeyId: SnapshotKeyId };
}

/** Reads the outputs of a stack from the same file. */
function readOutputs(stack: string): Record<string, string | undefined> {
  return JSON.parse(readFileSync(OUTPUTS, 'utf8'))[stack] ?? {};
}

/** Tells what was written into the configuration. */
function tellWritten(pool: string, outputs: object): void {
  const file = basename(configurationFile());
  console.log(`${file}: wrote ${JSON.stringify(outputs)} into \`${pool}\`. Keep the file under version control.`);
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
