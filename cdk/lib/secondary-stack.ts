// The secondary region: the twin with its fence, backup-fn, and the role of import jobs into the twin.

import type { StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type ConfigurationWithTwin, DEFAULT_NAME } from './configuration.ts';
import { uniqueBucketName } from './constructs/backup.ts';
import { Backup, Fence, ImportLogsRole, OperatorPolicies } from './constructs/index.ts';
import { type CodeOf, TwinpoolStack } from './stack.ts';

export class SecondaryStack extends TwinpoolStack {
  constructor(scope: Construct, id: string, configuration: ConfigurationWithTwin, codeOf: CodeOf, props: StackProps) {
    const { primary, secondary } = configuration;
    super(scope, id, configuration, secondary, {
      ...props,
      description: 'twinpool: the secondary pool, its fence, and snapshots of its users',
    });
    const backup = new Backup(this, 'Backup', {
      ...this.backupSettings(),
      code: codeOf('backup-fn'),
      snapshotBucketName: uniqueBucketName(),
      ...(primary.userPoolId && { primaryUserPoolId: primary.userPoolId }),
    });
    // `twinpool reconcile` brings the people of the primary pool by import jobs of this pool. An operator passes the role to them.
    const { userPool } = this;
    const importLogsRole = new ImportLogsRole(this, 'ImportLogsRole', { userPool });
    const hasFence = secondary.pool === 'new' || secondary.fence === true;
    const fence = hasFence
      ? new Fence(this, 'Fence', {
          ...this.alarmSettings(),
          metricPrefix: `${metricPrefix(configuration)}-fence`,
          ...(secondary.fenceLogDays && { logRetention: secondary.fenceLogDays }),
        })
      : undefined;
    const policies = new OperatorPolicies(this, 'Operators', {
      secondary: { userPool, backup, importLogsRole, ...(fence && { fenceArn: fence.webAcl.attrArn }) },
    });
    this.monitoring.createDashboard({
      alarms: [...backup.alarms, ...(fence?.alarms ?? [])],
      functions: [backup.trigger, backup.worker],
      currentValues: backup.currentValues,
      graphs: backup.graphs,
    });

    this.addOutput('UserPoolId', this.userPool.userPoolId, 'The secondary pool');
    this.addBackupOutputs(backup);
    this.addOriginSubOutput();
    this.addOutput(
      'ImportLogsRoleArn',
      importLogsRole.roleArn,
      'The role for import jobs into the secondary pool: twinpool reconcile --logs-role',
    );
    if (fence) {
      this.addOutput('FenceArn', fence.webAcl.attrArn, 'The fence: the web ACL of the secondary pool');
    }
    this.addPolicyOutputs(policies);
  }
}

/** How the names of the fence's metrics begin. Another prefix would change the fence of a deployment without a name, which closes it. */
function metricPrefix({ name = DEFAULT_NAME }: ConfigurationWithTwin): string {
  return name === DEFAULT_NAME ? 'twinpool' : name;
}
