// The secondary region: the twin with its fence, backup-fn, and the role of import jobs into the twin.

import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Backup } from './backup.ts';
import { type ConfigurationWithTwin, DEFAULT_NAME } from './configuration.ts';
import { Fence } from './fence.ts';
import { ImportLogsRole } from './import-logs-role.ts';
import { Monitoring } from './monitoring.ts';
import { createOrReferToPool } from './pool.ts';
import type { CodeOf } from './twinpool-function.ts';

export class SecondaryStack extends Stack {
  constructor(scope: Construct, id: string, configuration: ConfigurationWithTwin, codeOf: CodeOf, props: StackProps) {
    super(scope, id, { ...props, description: 'twinpool: the secondary pool, its fence, and snapshots of its users' });
    const { secondary } = configuration;
    const pool = createOrReferToPool(this, secondary, configuration);
    const monitoring = new Monitoring(this, 'Watch', configuration.alarmEmail);
    const backup = new Backup(this, 'Backup', { pool, configuration, codeOf, monitoring });
    monitoring.createDashboard(backup.currentValues, backup.graphs);

    // `twinpool reconcile` brings the people of the primary pool by import jobs of this pool. An operator passes the role to them.
    new ImportLogsRole(this, 'ImportLogsRole', {
      pool,
      outputDescription: 'The role for import jobs into the secondary pool: twinpool reconcile --logs-role',
    });

    const hasFence = secondary.pool === 'new' || secondary.fence === true;
    const fence = hasFence ? new Fence(this, 'Fence', pool, metricPrefix(configuration)) : undefined;

    new CfnOutput(this, 'UserPoolId', { value: pool.id, description: 'The secondary pool' });
    if (fence) {
      new CfnOutput(this, 'FenceArn', {
        value: fence.arn,
        description: 'The fence: the web ACL of the secondary pool',
      });
    }
  }
}

/** How the names of the fence's metrics begin. Another prefix would change the fence of a deployment without a name, which closes it. */
function metricPrefix({ name = DEFAULT_NAME }: ConfigurationWithTwin): string {
  return name === DEFAULT_NAME ? 'twinpool' : name;
}
