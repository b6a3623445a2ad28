// A pool without a twin: backup-fn takes snapshots of it, and restore-fn restores them into the same pool.

import type { StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type Configuration, stackNames } from './configuration.ts';
import { uniqueBucketName } from './constructs/backup.ts';
import { Backup, OperatorPolicies, Restore } from './constructs/index.ts';
import { type CodeOf, TwinpoolStack } from './stack.ts';

export class SingleStack extends TwinpoolStack {
  constructor(scope: Construct, id: string, configuration: Configuration, codeOf: CodeOf, props: StackProps) {
    super(scope, id, configuration, configuration.primary, {
      ...props,
      description: 'twinpool: snapshots of the users of one pool, and their restore',
    });
    const backup = new Backup(this, 'Backup', {
      ...this.backupSettings(),
      code: codeOf('backup-fn'),
      isSinglePool: true,
      snapshotBucketName: uniqueBucketName(),
    });
    const restore = new Restore(this, 'Restore', {
      ...this.functionSettings(),
      code: codeOf('restore-fn'),
      twin: backup.twin,
    });
    const { userPool } = this;
    const policies = new OperatorPolicies(this, 'Operators', {
      primary: { userPool, restore },
      secondary: { userPool, backup },
      stackArns: [this.stackId, ...this.arnsOfPair(configuration)],
    });
    this.monitoring.createDashboard({
      alarms: [...backup.alarms, ...restore.alarms],
      functions: [backup.trigger, backup.worker, restore.worker],
      currentValues: backup.currentValues,
      graphs: backup.graphs,
    });

    this.addOutput('UserPoolId', this.userPool.userPoolId, 'The pool');
    this.addBackupOutputs(backup);
    this.addOriginSubOutput();
    this.addRestoreOutputs(restore);
    this.addPolicyOutputs(policies);
  }

  /** The stacks that this pool would have with a twin: `twinpool init` looks for them first. */
  private arnsOfPair(configuration: Configuration): string[] {
    const { primary, secondary } = stackNames(configuration);
    return [primary, secondary].map((name) =>
      this.formatArn({ service: 'cloudformation', region: '*', resource: 'stack', resourceName: `${name}/*` }),
    );
  }
}
