// The permissions that calls need, and the resources of a template, by the names that the recorded calls use.

import { type Calls, NEEDS } from '../lib/constructs/permissions.ts';

/** The stack that a template is of. */
export type Stack = 'primary' | 'secondary' | 'single';

/** The permissions that the calls need. */
export function needed(calls: Calls): string[] {
  const permissions = Object.entries(calls).flatMap(([call, resources]) =>
    resources.flatMap((resource) =>
      Object.entries(NEEDS[call] ?? {}).flatMap(([action, targets]) => {
        const bucket = resource.replace(/\/.*/, '');
        const side = resource.replace(/-.*/, '');
        const resources = {
          itself: resource,
          bucket,
          key: `key-of-${bucket}`,
          'import-logs-role': `${side}-import-logs-role`,
          'web-acls': `${side}-web-acls`,
          '*': '*',
        };
        return [targets].flat().map((target) => `${action} on ${resources[target as keyof typeof resources]}`);
      }),
    ),
  );
  return [...new Set(permissions)].sort();
}

/** Adapts permissions to a stack: in the single stack, both pools are the same pool. */
export function inStack(permissions: string[], stack: Stack): string[] {
  const renamed = permissions.map((it) =>
    stack === 'single' ? it.replace(/(primary|secondary)-(pool|web-acls)$/, 'single-$2') : it,
  );
  return [...new Set(renamed)].sort();
}

/** Replaces an ARN of a template with the name that calls.json uses for it. */
export function resourceName(arn: string, stack: Stack): string {
  return arn
    .replace(/^<OutboxBucket\w+\.Arn>/, 'outbox-bucket')
    .replace(/^<OutboxKey\w+\.Arn>/, 'key-of-outbox-bucket')
    .replace(/^arn:<AWS::Partition>:s3:::twinpool-snapshots-(\{[^/]*"\/"[^/]*\}|0123456789ab)/, 'snapshot-bucket')
    .replace(/^<BackupSnapshotsBucket\w+\.Arn>/, 'snapshot-bucket')
    .replace(/^<BackupSnapshotsKey\w+\.Arn>/, 'key-of-snapshot-bucket')
    .replace(/^arn:<AWS::Partition>:kms:ap-northeast-3:<AWS::AccountId>:key\/01234567-.*/, 'key-of-snapshot-bucket')
    .replace(/^<UserPool\w+\.Arn>/, `${stack}-pool`)
    .replace(
      /^arn:<AWS::Partition>:cognito-idp:ap-northeast-1:.*_Primary$/,
      stack === 'single' ? 'single-pool' : 'primary-pool',
    )
    .replace(/^arn:<AWS::Partition>:cognito-idp:ap-northeast-3:.*_Secondary$/, 'secondary-pool')
    .replace(
      /^arn:<AWS::Partition>:logs:ap-northeast-1:<AWS::AccountId>:log-group:\/aws\/cognito\/userpools\/(<UserPool\w+>|ap-northeast-1_Primary)\/\*$/,
      'primary-import-logs',
    )
    .replace(/^<RestoreImportLogsRole\w+\.Arn>$/, 'primary-import-logs-role')
    .replace(
      /^arn:<AWS::Partition>:logs:ap-northeast-3:<AWS::AccountId>:log-group:\/aws\/cognito\/userpools\/(<UserPool\w+>|ap-northeast-3_Secondary)\/\*$/,
      'secondary-import-logs',
    )
    .replace(/^<ImportLogsRole\w+\.Arn>$/, 'secondary-import-logs-role')
    .replace(
      /^arn:<AWS::Partition>:wafv2:ap-northeast-[13]:<AWS::AccountId>:regional\/webacl\/\*\/\*$/,
      `${stack}-web-acls`,
    )
    .replace(/^<FenceWebAcl\w+\.Arn>$/, 'fence')
    .replace(
      /^<AWS::StackId>$|^arn:<AWS::Partition>:cloudformation:\*:<AWS::AccountId>:stack\/Twinpool\w+\/\*$/,
      'stacks',
    );
}
