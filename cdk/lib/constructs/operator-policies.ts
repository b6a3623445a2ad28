// IAM policies for the people who work with the command line: what each command needs, and nothing else. They follow from the calls that
// were recorded while the commands ran, in command-calls.ts.
//
// The pools are in two regions, and so are their stacks: each stack has the part of each policy that concerns its own resources. Somebody
// needs both parts.

import { Stack } from 'aws-cdk-lib';
import type { IUserPool } from 'aws-cdk-lib/aws-cognito';
import { ManagedPolicy, PolicyDocument, type PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { Backup } from './backup.ts';
import { COMMAND_CALLS } from './command-calls.ts';
import type { ImportLogsRole } from './import-logs-role.ts';
import { type Arns, type Calls, nameOf, permissions, statements } from './permissions.ts';
import type { Replication } from './replication.ts';
import type { Restore } from './restore.ts';

/**
 * - Look: looks, and changes nothing. No attribute of a person can be read with it
 * - Fence: opens and closes the fence, and keeps the evidence
 * - Restore: takes snapshots, and restores people
 * - Reconcile: makes the two pools equal
 * - MfaReset: removes the authenticator of a person who has lost it
 * - Forget: erases a person
 */
const POLICIES = ['Look', 'Fence', 'Restore', 'Reconcile', 'MfaReset', 'Forget'] as const;

export type PolicyName = (typeof POLICIES)[number];

/** The policies that somebody needs for each command. */
export const COMMANDS: Readonly<Record<string, readonly PolicyName[]>> = {
  init: ['Look'],
  check: ['Look'],
  status: ['Look'],
  validate: ['Look'],
  'fence status': ['Look'],
  'snapshot --dry-run': ['Look'],
  'failover --dry-run': ['Look'],
  'failback --dry-run': ['Look'],
  'fence open': ['Look', 'Fence'],
  'fence no-sign-ups': ['Look', 'Fence'],
  'fence close': ['Look', 'Fence'],
  failover: ['Look', 'Fence'],
  snapshot: ['Look', 'Restore'],
  restore: ['Look', 'Restore'],
  reconcile: ['Look', 'Reconcile'],
  failback: ['Look', 'Fence', 'Restore', 'Reconcile'],
  'mfa-reset': ['MfaReset'],
  forget: ['Forget'],
};

/** The commands that are of use for a pool without a twin. */
export const SINGLE_POOL_COMMANDS = ['init', 'validate', 'snapshot --dry-run', 'snapshot', 'restore', 'mfa-reset'];

/** The calls that a policy allows: those of its commands, without those that Look allows anyway. */
function callsOf(name: PolicyName, commands: readonly string[]): Calls {
  const calls: Record<string, string[]> = {};
  for (const command of commands) {
    const policies = COMMANDS[command] ?? [];
    // A command with several policies beside Look needs what other commands need as well.
    if (policies.at(-1) !== name || policies.length > 2) {
      continue;
    }
    const look = policies.length > 1 ? callsOf('Look', commands) : {};
    for (const [call, resources] of Object.entries(COMMAND_CALLS[command] ?? {})) {
      const more = resources.filter((resource) => !look[call]?.includes(resource));
      calls[call] = [...new Set([...(calls[call] ?? []), ...more])].sort();
    }
  }
  return calls;
}

export interface OperatorPoliciesProps {
  /** The constructs around the primary pool, in its stack. Without `replication`, the pool has no twin. */
  readonly primary?: { readonly userPool: IUserPool; readonly replication?: Replication; readonly restore: Restore };
  /** The constructs around the secondary pool, in its stack; around the pool itself if it has no twin. */
  readonly secondary?: {
    readonly userPool: IUserPool;
    readonly backup: Backup;
    /** The ARN of the fence, its web ACL. */
    readonly fenceArn?: string;
    readonly importLogsRole?: ImportLogsRole;
  };
  /** The ARNs of the stacks whose outputs `twinpool init` reads. Default: the stack of this construct. */
  readonly stackArns?: readonly string[];
}

/** The policies of operators. Attach them to the roles or groups of your account. */
export class OperatorPolicies extends Construct {
  readonly policies: Readonly<Partial<Record<PolicyName, ManagedPolicy>>>;
  /** The statements of each policy. */
  readonly statements: Readonly<Partial<Record<PolicyName, PolicyStatement[]>>>;

  constructor(scope: Construct, id: string, props: OperatorPoliciesProps) {
    super(scope, id);
    const arns = arnsOf(this, props);
    const isHere = (resource: string) => resource === '*' || nameOf(resource) in arns;
    const isSinglePool = props.primary !== undefined && props.secondary !== undefined;
    const policies: Partial<Record<PolicyName, ManagedPolicy>> = {};
    const all: Partial<Record<PolicyName, PolicyStatement[]>> = {};
    const commands = isSinglePool ? SINGLE_POOL_COMMANDS : Object.keys(COMMANDS);
    for (const name of POLICIES) {
      const calls = Object.fromEntries(
        Object.entries(callsOf(name, commands)).map(([call, resources]) => [
          call,
          resources.filter((resource) => permissions({ [call]: [resource] }).every(([, needed]) => isHere(needed))),
        ]),
      );
      const ofPolicy = statements(this, calls, arns);
      if (ofPolicy.length > 0) {
        all[name] = ofPolicy;
        policies[name] = new ManagedPolicy(this, name, {
          // A new description would replace the policy, and whoever has the old one would be left behind.
          description: `twinpool, for operators: ${name}`,
          document: new PolicyDocument({ statements: ofPolicy, minimize: true }),
        });
      }
    }
    this.policies = policies;
    this.statements = all;
  }
}

/** The ARNs of the resources that are in the stack. */
function arnsOf(scope: Construct, { primary, secondary, stackArns }: OperatorPoliciesProps): Arns {
  const stack = Stack.of(scope);
  const webAcls = stack.formatArn({ service: 'wafv2', resource: 'regional/webacl', resourceName: '*/*' });
  const arns: Record<string, string | readonly string[]> = { stacks: stackArns ?? [stack.stackId] };
  if (primary) {
    const { userPool, replication, restore } = primary;
    arns['primary-pool'] = userPool.userPoolArn;
    arns['primary-web-acls'] = webAcls;
    arns['primary-import-logs'] = restore.importLogsRole.logsArn;
    arns['primary-import-logs-role'] = restore.importLogsRole.roleArn;
    if (replication) {
      arns['outbox-bucket'] = replication.bucket.bucketArn;
      arns['key-of-outbox-bucket'] = replication.key.keyArn;
    }
  }
  if (secondary) {
    const { userPool, backup, fenceArn, importLogsRole } = secondary;
    arns['secondary-pool'] = userPool.userPoolArn;
    arns['secondary-web-acls'] = webAcls;
    arns['snapshot-bucket'] = backup.bucket.bucketArn;
    arns['key-of-snapshot-bucket'] = backup.key.keyArn;
    if (fenceArn) {
      arns['fence'] = fenceArn;
    }
    if (importLogsRole) {
      arns['secondary-import-logs'] = importLogsRole.logsArn;
      arns['secondary-import-logs-role'] = importLogsRole.roleArn;
    }
  }
  return arns;
}
