// The calls of each command of the command line, as tests/tests/scenarios/permissions/ has recorded them. Written by
// UPDATE_CALLS=1 cargo test --test scenarios permissions

import type { Calls } from './permissions.ts';

export const COMMAND_CALLS: Readonly<Record<string, Calls>> = {
  "check": {
    "cognito-idp:DescribeIdentityProvider": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:DescribeUserPool": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:DescribeUserPoolClient": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:DescribeUserPoolDomain": [
      "any-pool"
    ],
    "cognito-idp:GetCSVHeader": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:GetUserPoolMfaConfig": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListGroups": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListIdentityProviders": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListUserPoolClients": [
      "primary-pool",
      "secondary-pool"
    ],
    "s3:GetObject": [
      "snapshot-bucket/latest.json",
      "snapshot-bucket/snapshots/*/manifest.json"
    ],
    "wafv2:GetWebACLForResource": [
      "primary-pool",
      "secondary-pool"
    ],
    "wafv2:ListTagsForResource": [
      "primary-web-acls",
      "secondary-web-acls"
    ]
  },
  "failback": {
    "cognito-idp:AdminDeleteUser": [
      "primary-pool"
    ],
    "cognito-idp:AdminGetUser": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:AdminUpdateUserAttributes": [
      "primary-pool"
    ],
    "cognito-idp:CreateUserImportJob": [
      "primary-pool"
    ],
    "cognito-idp:DescribeUserImportJob": [
      "primary-pool"
    ],
    "cognito-idp:DescribeUserPool": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:DescribeUserPoolClient": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:GetCSVHeader": [
      "primary-pool"
    ],
    "cognito-idp:ListGroups": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListUserPoolClients": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListUsers": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:StartUserImportJob": [
      "primary-pool"
    ],
    "s3:DeleteObject": [
      "snapshot-bucket/journal/sign-up/*"
    ],
    "s3:GetObject": [
      "snapshot-bucket/failovers/*",
      "snapshot-bucket/fills/*",
      "snapshot-bucket/journal/password-reset/*",
      "snapshot-bucket/journal/restored/*",
      "snapshot-bucket/journal/sign-up/*",
      "snapshot-bucket/latest-newcomers.json",
      "snapshot-bucket/latest.json",
      "snapshot-bucket/lease-newcomers.json",
      "snapshot-bucket/lease.json",
      "snapshot-bucket/parts/*",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/restores/*",
      "snapshot-bucket/snapshots/*",
      "snapshot-bucket/snapshots/*/manifest.json",
      "snapshot-bucket/withheld/*"
    ],
    "s3:ListObjectsV2": [
      "outbox-bucket",
      "snapshot-bucket"
    ],
    "s3:PutObject": [
      "snapshot-bucket/failovers/*",
      "snapshot-bucket/journal/password-reset/*",
      "snapshot-bucket/journal/restored/*",
      "snapshot-bucket/lease.json",
      "snapshot-bucket/parts/*",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/restores/*"
    ],
    "wafv2:GetWebACL": [
      "fence"
    ],
    "wafv2:GetWebACLForResource": [
      "secondary-pool"
    ],
    "wafv2:ListTagsForResource": [
      "secondary-web-acls"
    ],
    "wafv2:UpdateWebACL": [
      "fence"
    ]
  },
  "failback --dry-run": {
    "cognito-idp:DescribeUserPool": [
      "primary-pool",
      "secondary-pool"
    ],
    "s3:GetObject": [
      "snapshot-bucket/latest-newcomers.json",
      "snapshot-bucket/latest.json",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/snapshots/*/manifest.json"
    ],
    "s3:ListObjectsV2": [
      "outbox-bucket",
      "snapshot-bucket"
    ],
    "wafv2:GetWebACLForResource": [
      "secondary-pool"
    ],
    "wafv2:ListTagsForResource": [
      "secondary-web-acls"
    ]
  },
  "failover": {
    "cognito-idp:DescribeUserPool": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListUserPoolClients": [
      "secondary-pool"
    ],
    "s3:GetObject": [
      "snapshot-bucket/failovers/*",
      "snapshot-bucket/latest.json",
      "snapshot-bucket/reconciles/*"
    ],
    "s3:ListObjectsV2": [
      "outbox-bucket",
      "snapshot-bucket"
    ],
    "s3:PutObject": [
      "snapshot-bucket/failovers/*"
    ],
    "wafv2:GetWebACL": [
      "fence"
    ],
    "wafv2:GetWebACLForResource": [
      "secondary-pool"
    ],
    "wafv2:ListTagsForResource": [
      "secondary-web-acls"
    ],
    "wafv2:UpdateWebACL": [
      "fence"
    ]
  },
  "failover --dry-run": {
    "cognito-idp:DescribeUserPool": [
      "primary-pool",
      "secondary-pool"
    ],
    "s3:GetObject": [
      "snapshot-bucket/latest-newcomers.json",
      "snapshot-bucket/latest.json",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/snapshots/*/manifest.json"
    ],
    "s3:ListObjectsV2": [
      "outbox-bucket",
      "snapshot-bucket"
    ],
    "wafv2:GetWebACLForResource": [
      "secondary-pool"
    ],
    "wafv2:ListTagsForResource": [
      "secondary-web-acls"
    ]
  },
  "fence close": {
    "cognito-idp:DescribeUserPool": [
      "secondary-pool"
    ],
    "wafv2:GetWebACL": [
      "fence"
    ],
    "wafv2:GetWebACLForResource": [
      "secondary-pool"
    ],
    "wafv2:ListTagsForResource": [
      "secondary-web-acls"
    ],
    "wafv2:UpdateWebACL": [
      "fence"
    ]
  },
  "fence no-sign-ups": {
    "cognito-idp:DescribeUserPool": [
      "secondary-pool"
    ],
    "wafv2:GetWebACL": [
      "fence"
    ],
    "wafv2:GetWebACLForResource": [
      "secondary-pool"
    ],
    "wafv2:ListTagsForResource": [
      "secondary-web-acls"
    ],
    "wafv2:UpdateWebACL": [
      "fence"
    ]
  },
  "fence open": {
    "cognito-idp:DescribeUserPool": [
      "secondary-pool"
    ],
    "wafv2:GetWebACL": [
      "fence"
    ],
    "wafv2:GetWebACLForResource": [
      "secondary-pool"
    ],
    "wafv2:ListTagsForResource": [
      "secondary-web-acls"
    ],
    "wafv2:UpdateWebACL": [
      "fence"
    ]
  },
  "fence status": {
    "cognito-idp:DescribeUserPool": [
      "secondary-pool"
    ],
    "wafv2:GetWebACLForResource": [
      "secondary-pool"
    ],
    "wafv2:ListTagsForResource": [
      "secondary-web-acls"
    ]
  },
  "forget": {
    "cognito-idp:AdminDeleteUser": [
      "secondary-pool"
    ],
    "cognito-idp:AdminGetUser": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:DescribeUserPool": [
      "secondary-pool"
    ],
    "cognito-idp:ListUsers": [
      "primary-pool",
      "secondary-pool"
    ],
    "s3:DeleteObject": [
      "outbox-bucket/conflicts/*",
      "outbox-bucket/outbox/*",
      "snapshot-bucket/journal/password-reset/*",
      "snapshot-bucket/journal/restored/*",
      "snapshot-bucket/journal/sign-up/*",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/restores/*",
      "snapshot-bucket/withheld/*"
    ],
    "s3:GetObject": [
      "outbox-bucket/conflicts/*",
      "outbox-bucket/outbox/*",
      "snapshot-bucket/fills/*",
      "snapshot-bucket/journal/password-reset/*",
      "snapshot-bucket/journal/restored/*",
      "snapshot-bucket/journal/sign-up/*",
      "snapshot-bucket/lease-newcomers.json",
      "snapshot-bucket/lease.json",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/restores/*",
      "snapshot-bucket/withheld/*"
    ],
    "s3:HeadObject": [
      "snapshot-bucket/failovers/*",
      "snapshot-bucket/fills/*",
      "snapshot-bucket/parts/*",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/restores/*",
      "snapshot-bucket/snapshots/*"
    ],
    "s3:ListObjectsV2": [
      "snapshot-bucket"
    ],
    "s3:PutObject": [
      "snapshot-bucket/fills/*",
      "snapshot-bucket/forgotten/*",
      "snapshot-bucket/lease-newcomers.json",
      "snapshot-bucket/lease.json",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/restores/*"
    ]
  },
  "init": {
    "cloudformation:DescribeStacks": [
      "stacks"
    ]
  },
  "mfa-reset": {
    "cognito-idp:AdminDeleteSoftwareToken": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:AdminGetUser": [
      "primary-pool",
      "secondary-pool"
    ]
  },
  "reconcile": {
    "cognito-idp:AdminAddUserToGroup": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:AdminCreateUser": [
      "secondary-pool"
    ],
    "cognito-idp:AdminDeleteUser": [
      "secondary-pool"
    ],
    "cognito-idp:AdminDeleteUserAttributes": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:AdminDisableUser": [
      "secondary-pool"
    ],
    "cognito-idp:AdminEnableUser": [
      "secondary-pool"
    ],
    "cognito-idp:AdminGetUser": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:AdminListGroupsForUser": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:AdminRemoveUserFromGroup": [
      "secondary-pool"
    ],
    "cognito-idp:AdminSetUserPassword": [
      "secondary-pool"
    ],
    "cognito-idp:AdminUpdateUserAttributes": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:AdminUserGlobalSignOut": [
      "secondary-pool"
    ],
    "cognito-idp:CreateGroup": [
      "secondary-pool"
    ],
    "cognito-idp:CreateUserImportJob": [
      "secondary-pool"
    ],
    "cognito-idp:DescribeUserImportJob": [
      "secondary-pool"
    ],
    "cognito-idp:DescribeUserPool": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:DescribeUserPoolClient": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:GetCSVHeader": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListGroups": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListUserPoolClients": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListUsers": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListUsersInGroup": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:StartUserImportJob": [
      "secondary-pool"
    ],
    "cognito-idp:UpdateGroup": [
      "secondary-pool"
    ],
    "logs:GetLogEvents": [
      "secondary-import-logs"
    ],
    "s3:AbortMultipartUpload": [
      "snapshot-bucket/reconciles/*"
    ],
    "s3:CompleteMultipartUpload": [
      "snapshot-bucket/reconciles/*"
    ],
    "s3:CreateMultipartUpload": [
      "snapshot-bucket/reconciles/*"
    ],
    "s3:DeleteObject": [
      "snapshot-bucket/withheld/*"
    ],
    "s3:GetObject": [
      "snapshot-bucket/fills/*",
      "snapshot-bucket/forgotten/*",
      "snapshot-bucket/journal/password-reset/*",
      "snapshot-bucket/journal/restored/*",
      "snapshot-bucket/journal/sign-up/*",
      "snapshot-bucket/lease.json",
      "snapshot-bucket/parts/*",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/withheld/*"
    ],
    "s3:ListObjectsV2": [
      "snapshot-bucket"
    ],
    "s3:PutObject": [
      "snapshot-bucket/fills/*",
      "snapshot-bucket/journal/password-reset/*",
      "snapshot-bucket/journal/restored/*",
      "snapshot-bucket/journal/sign-up/*",
      "snapshot-bucket/parts/*",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/withheld/*"
    ],
    "s3:UploadPart": [
      "snapshot-bucket/reconciles/*"
    ]
  },
  "restore": {
    "cognito-idp:AdminAddUserToGroup": [
      "primary-pool"
    ],
    "cognito-idp:AdminCreateUser": [
      "primary-pool"
    ],
    "cognito-idp:AdminDeleteUser": [
      "primary-pool"
    ],
    "cognito-idp:AdminDisableUser": [
      "primary-pool"
    ],
    "cognito-idp:AdminGetUser": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:AdminListGroupsForUser": [
      "secondary-pool"
    ],
    "cognito-idp:AdminSetUserPassword": [
      "primary-pool"
    ],
    "cognito-idp:AdminUpdateUserAttributes": [
      "primary-pool"
    ],
    "cognito-idp:CreateUserImportJob": [
      "primary-pool"
    ],
    "cognito-idp:DescribeUserImportJob": [
      "primary-pool"
    ],
    "cognito-idp:DescribeUserPool": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:GetCSVHeader": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:ListGroups": [
      "secondary-pool"
    ],
    "cognito-idp:ListUserImportJobs": [
      "primary-pool"
    ],
    "cognito-idp:ListUsers": [
      "primary-pool"
    ],
    "cognito-idp:StartUserImportJob": [
      "primary-pool"
    ],
    "logs:GetLogEvents": [
      "primary-import-logs"
    ],
    "s3:AbortMultipartUpload": [
      "snapshot-bucket/restores/*"
    ],
    "s3:CompleteMultipartUpload": [
      "snapshot-bucket/restores/*"
    ],
    "s3:CreateMultipartUpload": [
      "snapshot-bucket/restores/*"
    ],
    "s3:DeleteObject": [
      "snapshot-bucket/journal/sign-up/*"
    ],
    "s3:GetObject": [
      "snapshot-bucket/journal/restored/*",
      "snapshot-bucket/journal/sign-up/*",
      "snapshot-bucket/latest-newcomers.json",
      "snapshot-bucket/latest.json",
      "snapshot-bucket/lease-newcomers.json",
      "snapshot-bucket/lease.json",
      "snapshot-bucket/parts/*",
      "snapshot-bucket/restores/*",
      "snapshot-bucket/snapshots/*",
      "snapshot-bucket/snapshots/*/manifest.json",
      "snapshot-bucket/withheld/*"
    ],
    "s3:ListObjectsV2": [
      "snapshot-bucket"
    ],
    "s3:PutObject": [
      "snapshot-bucket/journal/restored/*",
      "snapshot-bucket/latest-newcomers.json",
      "snapshot-bucket/lease-newcomers.json",
      "snapshot-bucket/lease.json",
      "snapshot-bucket/parts/*",
      "snapshot-bucket/restores/*",
      "snapshot-bucket/snapshots/*",
      "snapshot-bucket/snapshots/*/manifest.json"
    ],
    "s3:UploadPart": [
      "snapshot-bucket/restores/*"
    ]
  },
  "snapshot": {
    "cognito-idp:AdminGetUser": [
      "secondary-pool"
    ],
    "cognito-idp:AdminListGroupsForUser": [
      "secondary-pool"
    ],
    "cognito-idp:DescribeUserPool": [
      "secondary-pool"
    ],
    "cognito-idp:GetCSVHeader": [
      "secondary-pool"
    ],
    "cognito-idp:ListGroups": [
      "secondary-pool"
    ],
    "cognito-idp:ListUsers": [
      "secondary-pool"
    ],
    "s3:AbortMultipartUpload": [
      "snapshot-bucket/snapshots/*"
    ],
    "s3:CompleteMultipartUpload": [
      "snapshot-bucket/snapshots/*"
    ],
    "s3:CreateMultipartUpload": [
      "snapshot-bucket/snapshots/*"
    ],
    "s3:GetObject": [
      "snapshot-bucket/journal/sign-up/*",
      "snapshot-bucket/latest-newcomers.json",
      "snapshot-bucket/latest.json",
      "snapshot-bucket/lease-newcomers.json",
      "snapshot-bucket/lease.json",
      "snapshot-bucket/parts/*",
      "snapshot-bucket/snapshots/*",
      "snapshot-bucket/snapshots/*/manifest.json",
      "snapshot-bucket/withheld/*"
    ],
    "s3:ListObjectsV2": [
      "snapshot-bucket"
    ],
    "s3:PutObject": [
      "snapshot-bucket/latest-newcomers.json",
      "snapshot-bucket/latest.json",
      "snapshot-bucket/lease-newcomers.json",
      "snapshot-bucket/lease.json",
      "snapshot-bucket/parts/*",
      "snapshot-bucket/snapshots/*",
      "snapshot-bucket/snapshots/*/manifest.json"
    ],
    "s3:UploadPart": [
      "snapshot-bucket/snapshots/*"
    ]
  },
  "snapshot --dry-run": {
    "cognito-idp:DescribeUserPool": [
      "secondary-pool"
    ],
    "cognito-idp:GetCSVHeader": [
      "secondary-pool"
    ],
    "s3:GetObject": [
      "snapshot-bucket/latest-newcomers.json",
      "snapshot-bucket/latest.json",
      "snapshot-bucket/lease-newcomers.json",
      "snapshot-bucket/lease.json",
      "snapshot-bucket/snapshots/*/manifest.json"
    ],
    "s3:ListObjectsV2": [
      "snapshot-bucket"
    ]
  },
  "status": {
    "cognito-idp:DescribeUserPool": [
      "primary-pool",
      "secondary-pool"
    ],
    "s3:GetObject": [
      "snapshot-bucket/latest-newcomers.json",
      "snapshot-bucket/latest.json",
      "snapshot-bucket/reconciles/*",
      "snapshot-bucket/snapshots/*/manifest.json"
    ],
    "s3:ListObjectsV2": [
      "outbox-bucket",
      "snapshot-bucket"
    ],
    "wafv2:GetWebACLForResource": [
      "secondary-pool"
    ],
    "wafv2:ListTagsForResource": [
      "secondary-web-acls"
    ]
  },
  "validate": {
    "cognito-idp:DescribeUserPool": [
      "primary-pool",
      "secondary-pool"
    ],
    "cognito-idp:GetCSVHeader": [
      "primary-pool",
      "secondary-pool"
    ]
  }
};
