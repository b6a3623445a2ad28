// The permissions that AWS documents for each call, and the calls that each function makes. A function has the permissions that its calls
// need, and nothing else. The policies of operators are in operator-policies.ts.

import { Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';

/** A deployed function: the name of the binary, followed by its role as trigger or worker. */
export type FunctionName =
  | 'replicate-fn-trigger'
  | 'replicate-fn-worker'
  | 'backup-fn-trigger'
  | 'backup-fn-worker'
  | 'restore-fn';

/** The resource that a permission applies to: the resource of the call itself, one that belongs to it, or any. */
type Target = 'itself' | 'bucket' | 'key' | 'import-logs-role' | 'web-acls' | '*';

/** The permissions that a call needs, each with the resources that it applies to. */
type Needs = Readonly<Record<string, Target | readonly Target[]>>;

/** Calls, each with its resources: a pool, a bucket, keys in a bucket, and so on. */
export type Calls = Readonly<Record<string, readonly string[]>>;

/**
 * The permissions that each call needs. Sources:
 *
 * Cognito: https://docs.aws.amazon.com/service-authorization/latest/reference/list_cognito-idp.html
 * AWS WAF: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awswafv2.html
 * CloudFormation: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html
 * CloudWatch Logs: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
 * S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html, and the page of each operation
 */
export const NEEDS: Readonly<Record<string, Needs>> = {
  'cognito-idp:AdminAddUserToGroup': { 'cognito-idp:AdminAddUserToGroup': 'itself' },
  'cognito-idp:AdminCreateUser': { 'cognito-idp:AdminCreateUser': 'itself' },
  'cognito-idp:AdminDeleteSoftwareToken': { 'cognito-idp:AdminDeleteSoftwareToken': 'itself' },
  'cognito-idp:AdminDeleteUser': { 'cognito-idp:AdminDeleteUser': 'itself' },
  'cognito-idp:AdminDeleteUserAttributes': { 'cognito-idp:AdminDeleteUserAttributes': 'itself' },
  'cognito-idp:AdminDisableUser': { 'cognito-idp:AdminDisableUser': 'itself' },
  'cognito-idp:AdminEnableUser': { 'cognito-idp:AdminEnableUser': 'itself' },
  'cognito-idp:AdminGetUser': { 'cognito-idp:AdminGetUser': 'itself' },
  'cognito-idp:AdminListGroupsForUser': { 'cognito-idp:AdminListGroupsForUser': 'itself' },
  'cognito-idp:AdminRemoveUserFromGroup': { 'cognito-idp:AdminRemoveUserFromGroup': 'itself' },
  'cognito-idp:AdminSetUserPassword': { 'cognito-idp:AdminSetUserPassword': 'itself' },
  'cognito-idp:AdminUpdateUserAttributes': { 'cognito-idp:AdminUpdateUserAttributes': 'itself' },
  'cognito-idp:AdminUserGlobalSignOut': { 'cognito-idp:AdminUserGlobalSignOut': 'itself' },
  // A role for the group would also need iam:PassRole. twinpool gives a group no role (facts N2).
  'cognito-idp:CreateGroup': { 'cognito-idp:CreateGroup': 'itself' },
  'cognito-idp:CreateUserImportJob': {
    'cognito-idp:CreateUserImportJob': 'itself',
    'iam:PassRole': 'import-logs-role',
  },
  'cognito-idp:DescribeIdentityProvider': { 'cognito-idp:DescribeIdentityProvider': 'itself' },
  'cognito-idp:DescribeUserImportJob': { 'cognito-idp:DescribeUserImportJob': 'itself' },
  'cognito-idp:DescribeUserPool': { 'cognito-idp:DescribeUserPool': 'itself' },
  'cognito-idp:DescribeUserPoolClient': { 'cognito-idp:DescribeUserPoolClient': 'itself' },
  // A domain is no resource of IAM.
  'cognito-idp:DescribeUserPoolDomain': { 'cognito-idp:DescribeUserPoolDomain': '*' },
  'cognito-idp:GetCSVHeader': { 'cognito-idp:GetCSVHeader': 'itself' },
  'cognito-idp:GetUserPoolMfaConfig': { 'cognito-idp:GetUserPoolMfaConfig': 'itself' },
  'cognito-idp:ListGroups': { 'cognito-idp:ListGroups': 'itself' },
  'cognito-idp:ListIdentityProviders': { 'cognito-idp:ListIdentityProviders': 'itself' },
  'cognito-idp:ListUserImportJobs': { 'cognito-idp:ListUserImportJobs': 'itself' },
  'cognito-idp:ListUserPoolClients': { 'cognito-idp:ListUserPoolClients': 'itself' },
  'cognito-idp:ListUsers': { 'cognito-idp:ListUsers': 'itself' },
  'cognito-idp:ListUsersInGroup': { 'cognito-idp:ListUsersInGroup': 'itself' },
  'cognito-idp:StartUserImportJob': { 'cognito-idp:StartUserImportJob': 'itself' },
  'cognito-idp:UpdateGroup': { 'cognito-idp:UpdateGroup': 'itself' },
  'cloudformation:DescribeStacks': { 'cloudformation:DescribeStacks': 'itself' },
  // Which web ACL protects a pool is not known before the call.
  'wafv2:GetWebACLForResource': {
    'wafv2:GetWebACLForResource': ['itself', 'web-acls'],
    'wafv2:GetWebACL': 'web-acls',
    'cognito-idp:GetWebACLForResource': 'itself',
  },
  'wafv2:ListTagsForResource': { 'wafv2:ListTagsForResource': 'itself' },
  'wafv2:GetWebACL': { 'wafv2:GetWebACL': 'itself' },
  'wafv2:UpdateWebACL': { 'wafv2:UpdateWebACL': 'itself' },
  'logs:GetLogEvents': { 'logs:GetLogEvents': 'itself' },
  's3:ListObjectsV2': { 's3:ListBucket': 'itself' },
  // Without s3:ListBucket, S3 answers 403 instead of 404 for a missing key. A condition on s3:prefix is not possible, because a
  // GetObject request has no prefix.
  's3:GetObject': { 's3:GetObject': 'itself', 's3:ListBucket': 'bucket', 'kms:Decrypt': 'key' },
  's3:HeadObject': { 's3:GetObject': 'itself', 's3:ListBucket': 'bucket' },
  's3:PutObject': { 's3:PutObject': 'itself', 'kms:GenerateDataKey': 'key' },
  // With If-Match: "you must have the s3:DeleteObject and s3:GetObject permissions".
  's3:DeleteObject': { 's3:DeleteObject': 'itself', 's3:GetObject': 'itself', 's3:ListBucket': 'bucket' },
  // S3 decrypts the parts of a multipart upload before it completes the upload.
  's3:CreateMultipartUpload': { 's3:PutObject': 'itself', 'kms:GenerateDataKey': 'key', 'kms:Decrypt': 'key' },
  's3:UploadPart': { 's3:PutObject': 'itself', 'kms:GenerateDataKey': 'key', 'kms:Decrypt': 'key' },
  's3:CompleteMultipartUpload': { 's3:PutObject': 'itself', 'kms:GenerateDataKey': 'key', 'kms:Decrypt': 'key' },
  's3:AbortMultipartUpload': { 's3:AbortMultipartUpload': 'itself' },
};

/** The calls of each function. */
export const CALLS: Readonly<Record<FunctionName, Calls>> = {
  'replicate-fn-trigger': {
    'cognito-idp:AdminCreateUser': ['secondary-pool'],
    'cognito-idp:AdminSetUserPassword': ['secondary-pool'],
    'cognito-idp:AdminGetUser': ['secondary-pool'],
    'cognito-idp:DescribeUserPool': ['secondary-pool'],
    's3:PutObject': ['outbox-bucket/outbox/*'],
  },
  // It drains the outbox and reconciles. Nothing is ever written to the primary pool: what --prefer secondary brings home, the command
  // line writes, with the operator's own permissions.
  'replicate-fn-worker': {
    's3:ListObjectsV2': ['outbox-bucket', 'snapshot-bucket'],
    's3:GetObject': [
      'outbox-bucket/outbox/*',
      // The leases of a fill: reconcile waits while one is under way.
      'snapshot-bucket/fills/lease.json',
      'snapshot-bucket/fills/restores/open.json',
      'snapshot-bucket/forgotten/*',
      'snapshot-bucket/journal/password-reset/*',
      'snapshot-bucket/journal/restored/*',
      'snapshot-bucket/journal/sign-up/*',
      // The lease of backup-fn: reconcile does not list while a snapshot lists.
      'snapshot-bucket/lease.json',
      'snapshot-bucket/parts/*',
      'snapshot-bucket/reconciles/*',
      'snapshot-bucket/withheld/*',
    ],
    // A record that was refused is written again with If-Match, and so are the attributes of a record of the journal, once both pools
    // agree. If-Match also needs s3:GetObject. The list above contains both.
    's3:PutObject': [
      'outbox-bucket/conflicts/*',
      'outbox-bucket/outbox/*',
      'snapshot-bucket/journal/password-reset/*',
      'snapshot-bucket/journal/restored/*',
      'snapshot-bucket/journal/sign-up/*',
      'snapshot-bucket/parts/*',
      'snapshot-bucket/reconciles/*',
      'snapshot-bucket/withheld/*',
    ],
    's3:DeleteObject': ['outbox-bucket/outbox/*', 'snapshot-bucket/withheld/*'],
    // Many lines of changes. The plan of a run in parts/ becomes a multipart upload too when a million people are missing: the
    // permissions for s3:PutObject and s3:GetObject there allow that.
    's3:CreateMultipartUpload': ['snapshot-bucket/reconciles/*'],
    's3:UploadPart': ['snapshot-bucket/reconciles/*'],
    's3:CompleteMultipartUpload': ['snapshot-bucket/reconciles/*'],
    's3:AbortMultipartUpload': ['snapshot-bucket/reconciles/*'],
    'cognito-idp:AdminAddUserToGroup': ['secondary-pool'],
    'cognito-idp:AdminCreateUser': ['secondary-pool'],
    'cognito-idp:AdminDeleteUser': ['secondary-pool'],
    'cognito-idp:AdminDeleteUserAttributes': ['secondary-pool'],
    'cognito-idp:AdminDisableUser': ['secondary-pool'],
    'cognito-idp:AdminEnableUser': ['secondary-pool'],
    'cognito-idp:AdminGetUser': ['primary-pool', 'secondary-pool'],
    'cognito-idp:AdminListGroupsForUser': ['primary-pool', 'secondary-pool'],
    'cognito-idp:AdminRemoveUserFromGroup': ['secondary-pool'],
    'cognito-idp:AdminSetUserPassword': ['secondary-pool'],
    'cognito-idp:AdminUpdateUserAttributes': ['secondary-pool'],
    'cognito-idp:AdminUserGlobalSignOut': ['secondary-pool'],
    // A group that only the secondary pool has is left: nothing deletes groups.
    'cognito-idp:CreateGroup': ['secondary-pool'],
    'cognito-idp:DescribeUserPool': ['primary-pool', 'secondary-pool'],
    'cognito-idp:DescribeUserPoolClient': ['primary-pool', 'secondary-pool'],
    'cognito-idp:ListGroups': ['primary-pool', 'secondary-pool'],
    'cognito-idp:ListUserPoolClients': ['primary-pool', 'secondary-pool'],
    'cognito-idp:ListUsers': ['primary-pool', 'secondary-pool'],
    'cognito-idp:ListUsersInGroup': ['primary-pool', 'secondary-pool'],
    'cognito-idp:UpdateGroup': ['secondary-pool'],
  },
  'backup-fn-trigger': {
    's3:PutObject': ['snapshot-bucket/journal/password-reset/*', 'snapshot-bucket/journal/sign-up/*'],
  },
  'backup-fn-worker': {
    'cognito-idp:DescribeUserPool': ['secondary-pool'],
    'cognito-idp:GetCSVHeader': ['secondary-pool'],
    'cognito-idp:ListUsers': ['secondary-pool'],
    'cognito-idp:AdminGetUser': ['secondary-pool'],
    'cognito-idp:AdminListGroupsForUser': ['secondary-pool'],
    'cognito-idp:ListGroups': ['secondary-pool'],
    's3:ListObjectsV2': ['snapshot-bucket'],
    's3:GetObject': [
      'snapshot-bucket/journal/sign-up/*',
      'snapshot-bucket/latest-newcomers.json',
      'snapshot-bucket/latest.json',
      'snapshot-bucket/lease-newcomers.json',
      'snapshot-bucket/lease.json',
      'snapshot-bucket/parts/*',
      'snapshot-bucket/snapshots/*',
      'snapshot-bucket/withheld/*',
    ],
    // The pointers and leases are written with If-Match, which also needs s3:GetObject. The list above contains both.
    's3:PutObject': [
      'snapshot-bucket/latest-newcomers.json',
      'snapshot-bucket/latest.json',
      'snapshot-bucket/lease-newcomers.json',
      'snapshot-bucket/lease.json',
      'snapshot-bucket/parts/*',
      'snapshot-bucket/snapshots/*',
    ],
    's3:CreateMultipartUpload': ['snapshot-bucket/snapshots/*'],
    's3:UploadPart': ['snapshot-bucket/snapshots/*'],
    's3:CompleteMultipartUpload': ['snapshot-bucket/snapshots/*'],
    's3:AbortMultipartUpload': ['snapshot-bucket/snapshots/*'],
  },
  'restore-fn': {
    // It takes a snapshot of the newcomers of the secondary pool first, if people have signed up since the last one.
    'cognito-idp:DescribeUserPool': ['primary-pool', 'secondary-pool'],
    'cognito-idp:GetCSVHeader': ['primary-pool', 'secondary-pool'],
    'cognito-idp:AdminListGroupsForUser': ['secondary-pool'],
    'cognito-idp:ListGroups': ['secondary-pool'],
    'cognito-idp:ListUserImportJobs': ['primary-pool'],
    'cognito-idp:ListUsers': ['primary-pool'],
    'cognito-idp:AdminGetUser': ['primary-pool', 'secondary-pool'],
    'cognito-idp:AdminAddUserToGroup': ['primary-pool'],
    'cognito-idp:AdminCreateUser': ['primary-pool'],
    'cognito-idp:AdminDisableUser': ['primary-pool'],
    'cognito-idp:AdminSetUserPassword': ['primary-pool'],
    'cognito-idp:AdminUpdateUserAttributes': ['primary-pool'],
    'cognito-idp:AdminDeleteUser': ['primary-pool'],
    'cognito-idp:CreateUserImportJob': ['primary-pool'],
    'cognito-idp:StartUserImportJob': ['primary-pool'],
    'cognito-idp:DescribeUserImportJob': ['primary-pool'],
    'logs:GetLogEvents': ['primary-import-logs'],
    's3:ListObjectsV2': ['snapshot-bucket'],
    's3:GetObject': [
      'snapshot-bucket/journal/restored/*',
      'snapshot-bucket/journal/sign-up/*',
      'snapshot-bucket/latest-newcomers.json',
      'snapshot-bucket/latest.json',
      'snapshot-bucket/lease-newcomers.json',
      'snapshot-bucket/lease.json',
      'snapshot-bucket/parts/*',
      'snapshot-bucket/restores/*',
      'snapshot-bucket/snapshots/*',
      'snapshot-bucket/withheld/*',
    ],
    's3:PutObject': [
      'snapshot-bucket/journal/restored/*',
      'snapshot-bucket/latest-newcomers.json',
      'snapshot-bucket/lease-newcomers.json',
      'snapshot-bucket/lease.json',
      'snapshot-bucket/parts/*',
      'snapshot-bucket/restores/*',
      'snapshot-bucket/snapshots/*',
    ],
    's3:DeleteObject': ['snapshot-bucket/journal/sign-up/*'],
    // The files of a snapshot of many thousand newcomers become multipart uploads too: the permissions for s3:PutObject and s3:GetObject there
    // allow that.
    's3:CreateMultipartUpload': ['snapshot-bucket/restores/*'],
    's3:UploadPart': ['snapshot-bucket/restores/*'],
    's3:CompleteMultipartUpload': ['snapshot-bucket/restores/*'],
    's3:AbortMultipartUpload': ['snapshot-bucket/restores/*'],
  },
};

/**
 * The condition on the permissions for a resource. The role of import jobs may be passed to Cognito only. A bucket must belong to the
 * account: the ARN of a bucket does not say so, and somebody else could own a bucket of that name after it was deleted.
 */
function condition(scope: Construct, resource: string): Record<string, Record<string, string>> {
  if (resource.endsWith('import-logs-role')) {
    return { StringEquals: { 'iam:PassedToService': 'cognito-idp.amazonaws.com' } };
  }
  const isInBucket = /^[\w-]+-bucket(\/|$)/.test(resource) && !resource.startsWith('key-of-');
  return isInBucket ? { StringEquals: { 'aws:ResourceAccount': Stack.of(scope).account } } : {};
}

/**
 * The ARN of each resource that calls use: `primary-pool`, `outbox-bucket` and so on, and the key of each bucket. More than one if the
 * resource is one of several.
 */
export type Arns = Readonly<Record<string, string | readonly string[]>>;

/** The policy statements for calls: one for each resource. */
export function statements(scope: Construct, calls: Calls, arns: Arns): PolicyStatement[] {
  const actions = new Map<string, Set<string>>();
  for (const [action, resource] of permissions(calls)) {
    actions.set(resource, (actions.get(resource) ?? new Set()).add(action));
  }
  return [...actions].map(
    ([resource, actions]) =>
      new PolicyStatement({
        actions: [...actions],
        resources: arnsOf(resource, arns),
        conditions: condition(scope, resource),
      }),
  );
}

/** The permissions that calls need, as pairs of action and resource. */
export function permissions(calls: Calls): [action: string, resource: string][] {
  return Object.entries(calls).flatMap(([call, resources]) =>
    resources.flatMap((resource) => {
      const bucket = nameOf(resource);
      const resourceOf = {
        itself: resource,
        bucket,
        key: `key-of-${bucket}`,
        'import-logs-role': resource.replace(/-pool$/, '-import-logs-role'),
        'web-acls': resource.replace(/-pool$/, '-web-acls'),
        '*': '*',
      };
      return Object.entries(NEEDS[call] ?? {}).flatMap(([action, targets]) =>
        [targets].flat().map((target): [string, string] => [action, resourceOf[target as Target]]),
      );
    }),
  );
}

/** The part of a resource that has an ARN, such as `outbox-bucket` of `outbox-bucket/outbox/*`. */
export function nameOf(resource: string): string {
  return resource.split('/', 1)[0] as string;
}

/** The ARNs of a resource such as `outbox-bucket/outbox/*`. */
function arnsOf(resource: string, arns: Arns): string[] {
  if (resource === '*') {
    return ['*'];
  }
  const name = nameOf(resource);
  const found = arns[name];
  if (!found) {
    throw new Error(`The ARN of ${name} is unknown.`);
  }
  return [found].flat().map((arn) => `${arn}${resource.slice(name.length)}`);
}
