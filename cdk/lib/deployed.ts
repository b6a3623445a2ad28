// What is deployed already: `make deploy` reads it before it changes anything, and refuses to turn one pair of pools into another.

import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { type Configuration, ConfigurationError, stackNames } from './configuration.ts';

/** The outputs of a stack, by name. */
export type Outputs = Readonly<Record<string, string>>;

/** A stack of the configuration: its name, its region, and its outputs if it has been deployed. */
export interface DeployedStack {
  readonly name: string;
  readonly region: string;
  readonly outputs: Outputs | undefined;
}

/** The stacks of a configuration, in the order of their deployment. */
export interface DeployedStacks {
  readonly secondary?: DeployedStack;
  /** The primary stack, or the single stack of a pool without a twin. */
  readonly primary: DeployedStack;
}

/** Reads the stacks of a configuration from AWS. Throws a ConfigurationError if AWS does not answer. */
export async function readStacks(configuration: Configuration): Promise<DeployedStacks> {
  const names = stackNames(configuration);
  const { primary, secondary } = configuration;
  if (secondary === null) {
    return { primary: await readStack(names.single, primary.region) };
  }
  return {
    secondary: await readStack(names.secondary, secondary.region),
    primary: await readStack(names.primary, primary.region),
  };
}

/** Reads a stack. One that was never deployed completely has no outputs. */
async function readStack(name: string, region: string): Promise<DeployedStack> {
  const client = new CloudFormationClient({ region });
  try {
    const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: name }));
    const outputs = Object.fromEntries(
      (Stacks?.[0]?.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]),
    );
    return { name, region, outputs: outputs['UserPoolId'] ? outputs : undefined };
  } catch (error) {
    // DescribeStacks has no other error for a stack that does not exist.
    if (error instanceof Error && error.name === 'ValidationError') {
      return { name, region, outputs: undefined };
    }
    throw new ConfigurationError(`${name} in ${region} cannot be looked up: ${error}`);
  } finally {
    client.destroy();
  }
}

/** Throws a ConfigurationError if the deployment would turn a stack around one pool into a stack around another. */
export function expectSamePools(configuration: Configuration, deployed: DeployedStacks): void {
  const { primary, secondary } = configuration;
  const mistakes = [
    ...(secondary
      ? [
          difference(deployed.secondary, 'UserPoolId', secondary.userPoolId, 'secondary.userPoolId'),
          difference(deployed.primary, 'SnapshotBucketName', secondary.snapshotBucket, 'secondary.snapshotBucket'),
        ]
      : []),
    // Before the first deployment, the configuration does not contain the id of a new primary pool.
    primary.userPoolId !== ''
      ? difference(deployed.primary, 'UserPoolId', primary.userPoolId, 'primary.userPoolId')
      : undefined,
  ].filter((mistake) => mistake !== undefined);
  if (mistakes.length > 0) {
    throw new ConfigurationError(
      [
        ...mistakes,
        'Nothing was deployed, because it would change that deployment in place. If the configuration is for other pools, give it a ' +
          "`name` of its own, such as name: 'Orders'. If it is for the same pools, write the deployed values into it.",
      ].join('\n'),
    );
  }
}

/** How an output of a deployed stack differs from what the configuration says; undefined if it does not. */
function difference(
  stack: DeployedStack | undefined,
  output: string,
  configured: string,
  property: string,
): string | undefined {
  const deployed = stack?.outputs?.[output];
  return stack && deployed && deployed !== configured
    ? `${stack.name} in ${stack.region} is deployed with ${output} '${deployed}', but ${property} is '${configured}'.`
    : undefined;
}
