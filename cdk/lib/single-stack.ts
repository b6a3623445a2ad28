// A pool without a twin: backup-fn takes snapshots of it, and restore-fn restores them into the same pool.

import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Backup } from './backup.ts';
import type { Configuration } from './configuration.ts';
import { Monitoring } from './monitoring.ts';
import { createOrReferToPool } from './pool.ts';
import { Restore } from './restore.ts';
import type { CodeOf } from './twinpool-function.ts';

export class SingleStack extends Stack {
  constructor(scope: Construct, id: string, configuration: Configuration, codeOf: CodeOf, props: StackProps) {
    super(scope, id, { ...props, description: 'twinpool: snapshots of the users of one pool, and their restore' });
    const pool = createOrReferToPool(this, configuration.primary, configuration);
    const monitoring = new Monitoring(this, 'Watch', configuration.alarmEmail);
    const { snapshots, currentValues, graphs } = new Backup(this, 'Backup', {
      pool,
      configuration,
      codeOf,
      monitoring,
    });
    new Restore(this, 'Restore', { pool, snapshotPool: pool, snapshots, configuration, codeOf, monitoring });
    monitoring.createDashboard(currentValues, graphs);

    new CfnOutput(this, 'UserPoolId', { value: pool.id, description: 'The pool' });
  }
}
