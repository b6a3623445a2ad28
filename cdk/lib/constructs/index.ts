// The constructs of twinpool for AWS CDK apps. README.md of the package shows how they are used.

export { Backup, type BackupProps, type BackupVariables } from './backup.ts';
export { Fence, type FenceProps } from './fence.ts';
export { ImportLogsRole, type ImportLogsRoleProps } from './import-logs-role.ts';
export { OperatorPolicies, type OperatorPoliciesProps, type PolicyName } from './operator-policies.ts';
export type { CommonProps, FunctionProps, TriggerProps, Twin } from './options.ts';
export { Replication, type ReplicationProps, type ReplicationVariables } from './replication.ts';
export { Restore, type RestoreProps } from './restore.ts';
