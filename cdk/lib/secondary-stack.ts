// The secondary region: the twin behind its fence, and backup-fn around it.

import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Backup } from './backup.ts';
import type { ConfigurationWithTwin } from './configuration.ts';
import { Fence } from './fence.ts';
import { chosenPool } from './pool.ts';
import type { CodeOf } from './twinpool-function.ts';
import { Watch } from './watch.ts';

export class SecondaryStack extends Stack {
  constructor(scope: Construct, id: string, configuration: ConfigurationWithTwin, codeOf: CodeOf, props: StackProps) {
    super(scope, id, { ...props, description: 'twinpool: the twin, its fence, and snapshots of everyone in it' });
    const { secondary } = configuration;
    const pool = chosenPool(this, secondary, configuration);
    const watch = new Watch(this, 'Watch', configuration.alarmEmail);
    const backup = new Backup(this, 'Backup', { pool, configuration, codeOf, watch });
    watch.dashboard(backup.now, backup.graphs);

    const hasFence = secondary.pool === 'new' || secondary.fence === true;
    const fence = hasFence ? new Fence(this, 'Fence', pool.arn) : undefined;

    new CfnOutput(this, 'UserPoolId', { value: pool.id, description: 'The secondary pool' });
    if (fence) {
      new CfnOutput(this, 'FenceArn', { value: fence.arn, description: 'The web ACL of the secondary pool' });
    }
  }
}
