// What the constructs have in common: their properties, the binaries, and the names and ARNs that are derived from the id of a pool.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Fn, type RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import { Architecture, Code } from 'aws-cdk-lib/aws-lambda';
import type { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';

/** Properties of every construct. */
export interface CommonProps {
  /** The topic that the alarms notify. Default: none, so nobody is told of an alarm. */
  readonly alarmTopic?: ITopic;
  /**
   * What happens to the bucket, its key, the trigger with its role and log, or the fence when they are removed from the stack. Default:
   * they are kept, because their data exists nowhere else, and a pool whose trigger is missing answers every sign-up with an error.
   */
  readonly removalPolicy?: RemovalPolicy;
  /**
   * Where the alarms are created. Default: in the construct.
   *
   * @internal
   */
  readonly alarmScope?: Construct;
}

/** Properties of every construct with functions. */
export interface FunctionProps extends CommonProps {
  /** The binary of the functions. Default: the one that this package contains. */
  readonly code?: Code;
  /** The processor architecture of the binary. Default: arm64. */
  readonly architecture?: Architecture;
  /** For how long the logs of the functions are kept. Default: 90 days. */
  readonly logRetention?: RetentionDays;
  /**
   * The custom attribute that keeps a person's first `sub`, such as `custom:origin_sub`. Both pools must have it. Default: none, so
   * people are told apart by their names only.
   */
  readonly originSubAttribute?: string;
}

/** Properties of the constructs that attach a trigger to a pool. */
export interface TriggerProps {
  /** Reserved concurrency of the trigger. Default: none. */
  readonly triggerConcurrency?: number;
  /**
   * The ARN of the pool's own post-confirmation function, if there is one. The pool keeps it, and it must invoke the trigger. Default:
   * the pool runs the trigger itself.
   */
  readonly postConfirmationFunctionArn?: string;
}

/** A secondary pool and the snapshots of its users, in any region. */
export interface Twin {
  readonly userPoolId: string;
  readonly snapshotBucketName: string;
  /** The encryption key of the snapshot bucket. */
  readonly snapshotKeyArn: string;
}

/** The region of a pool, which is the part of its id before `_`. */
export function regionOfPool(userPoolId: string): string {
  return Token.isUnresolved(userPoolId)
    ? Fn.select(0, Fn.split('_', userPoolId))
    : (userPoolId.split('_', 1)[0] as string);
}

/** The ARN of a pool of this account, in any region. */
export function arnOfPool(scope: Construct, userPoolId: string): string {
  return Stack.of(scope).formatArn({
    service: 'cognito-idp',
    region: regionOfPool(userPoolId),
    resource: 'userpool',
    resourceName: userPoolId,
  });
}

/** The ARN of a bucket. */
export function arnOfBucket(scope: Construct, bucketName: string): string {
  return Stack.of(scope).formatArn({ service: 's3', region: '', account: '', resource: bucketName });
}

/** The folder of the binaries in the package. The sources, which are ES modules, have none. */
const BINARIES = typeof __dirname === 'undefined' ? undefined : resolve(__dirname, '../lambda');

/** The code of a binary: the given one, or the one that the package contains. */
export function codeOf(binary: string, { code, architecture = Architecture.ARM_64 }: FunctionProps): Code {
  if (code) {
    return code;
  }
  const zip = BINARIES && resolve(BINARIES, `${binary}-${architecture.name}.zip`);
  if (!zip || !existsSync(zip)) {
    throw new Error(
      `This package was packed without ${binary} for ${architecture.name}. Set \`code\`, such as ` +
        `Code.fromAsset('${binary}-${architecture.name}.zip') with a file of a release of twinpool.`,
    );
  }
  return Code.fromAsset(zip);
}
