// A pool without a twin: backup-fn around it, and restore-fn back into it.

import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Backup } from './backup.ts';
import type { Configuration } from './configuration.ts';
import { chosenPool } from './pool.ts';
import { Restore } from './restore.ts';
import type { CodeOf } from './twinpool-function.ts';
import { Watch } from './watch.ts';

export class SingleStack extends Stack {
  constructor(scope: Construct, id: string, configuration: Configuration, codeOf: CodeOf, props: StackProps) {
    super(scope, id, { ...props, description: 'twinpool: snapshots of everyone in one pool, and the way back' });
    const pool = chosenPool(this, configuration.primary, configuration);
    const watch = new Watch(this, 'Watch', configuration.alarmEmail);
    const { snapshots, now, graphs } = new Backup(this, 'Backup', { pool, configuration, codeOf, watch });
    new Restore(this, 'Restore', { pool, snapshotPool: pool, snapshots, configuration, codeOf, watch });
    watch.dashboard(now, graphs);

    new CfnOutput(this, 'UserPoolId', { value: pool.id, description: 'The pool' });
  }
}
